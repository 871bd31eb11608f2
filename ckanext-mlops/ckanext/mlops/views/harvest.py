"""Pages of harvesting beside those of ckanext-harvest: the preview of a source, and decisions about a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Response
from flask import Blueprint, request

mlops_harvest = Blueprint("mlops_harvest", __name__)


@mlops_harvest.before_request
def before_request() -> None:
    """What the templates of ckanext-harvest expect."""
    tk.g.dataset_type = "harvest"


@mlops_harvest.route("/harvest/<source>/preview", endpoint="preview")
def preview(source: str) -> str:
    """The newest preview: how far it is, or what a harvest would do."""
    found = _source(source)
    shown = _allowed(lambda: tk.get_action("mlops_preview_show")({}, {"id": found["id"]}))
    return tk.render("mlops/harvest_preview.html", {"harvest_source": found, "preview": shown})


@mlops_harvest.route("/harvest/<source>/preview", endpoint="preview_start", methods=["POST"])
def preview_start(source: str) -> Response:
    """Ask a worker for a preview."""
    found = _source(source)
    _allowed(lambda: tk.get_action("mlops_preview_create")({}, {"id": found["id"]}))
    return tk.redirect_to("mlops_harvest.preview", source=found["name"])


@mlops_harvest.route(
    "/harvest/<source>/job/<id>/<any(approve,reject,revert):decision>", endpoint="decide", methods=["POST"]
)
def decide(source: str, id: str, decision: str) -> Response:  # noqa: A002 as ckanext-harvest's routes name it
    """Approve or reject a job's plan, or take the job back."""
    told = {
        "approve": tk._("Approved: it is written now."),
        "reject": tk._("Rejected: nothing of it is written."),
        "revert": tk._("A worker takes this harvest back."),
    }
    values: dict[str, Any] = {"id": id}
    if decision == "reject":
        values["why"] = request.form.get("why", "")
    if decision == "revert":
        values["partly"] = bool(request.form.get("partly"))
    _allowed(lambda: tk.get_action(f"mlops_harvest_{decision}")({}, values), told[decision])
    return tk.redirect_to("harvester.job_show", source=source, id=id)


@mlops_harvest.route("/dataset/<id>/field/<any(take,restore):decision>", endpoint="field", methods=["POST"])
def field(id: str, decision: str) -> Response:  # noqa: A002
    """Take what Git says for a field, or put back what a person had."""
    told = {"take": tk._("The field says what Git says now."), "restore": tk._("The field is as it was.")}
    values = {"id": id, "field": request.form.get("field", ""), "resource": request.form.get("resource", "")}
    _allowed(lambda: tk.get_action(f"mlops_field_{decision}")({}, values), told[decision])
    return tk.redirect_to("dataset.read", id=id)


def _source(name: str) -> dict[str, Any]:
    found: dict[str, Any] = _allowed(lambda: tk.get_action("harvest_source_show")({}, {"id": name}))
    return found


def _allowed(do: Callable[[], Any], told: str = "") -> Any:
    """What ``do`` gives; errors become CKAN's pages, and what cannot be done is said on the next page."""
    try:
        result = do()
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Not found"))
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to see this page"))
    except tk.ValidationError as error:
        tk.h.flash_error("; ".join(map(str, error.error_summary.values())))
        return None
    if told:
        tk.h.flash_success(told)
    return result
