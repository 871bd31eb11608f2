"""Pages of harvesting beside those of ckanext-harvest: the preview of a source, and decisions about a job."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from flask import Blueprint, request
from werkzeug.wrappers import Response

from ckanext.mlops.helpers_harvest import mlops_is_dvc_source
from ckanext.mlops.views.lineage import refusals
from ckanext.mlops.views.posted import done

mlops_harvest = Blueprint("mlops_harvest", __name__)

#: Pages of ckanext-harvest that change something when they are only opened: any page's link or image could do it.
_CHANGING = {"harvester.refresh": "refresh", "harvester.clear": "clear", "harvester.job_abort": "stop"}


@mlops_harvest.before_app_request
def only_by_a_button() -> str | Response | None:
    """Ask before a link begins, stops or clears: a form carries a token, a link does not.

    The Stop of other harvesters' sources is such a link, and nothing else: it is left alone.
    """
    if request.endpoint not in _CHANGING or request.method == "POST":
        return None
    places = request.view_args or {}
    named = places.get("source") or places.get("id")
    source = model.Package.get(named)
    what = _CHANGING[request.endpoint]
    if source is None or (what == "stop" and not mlops_is_dvc_source(source.id)):
        return None
    with refusals():
        if what == "clear":
            tk.check_access("harvest_source_clear", {}, {"id": source.id})
        else:  # whoever may harvest may stop it
            tk.check_access("harvest_job_create", {}, {"source_id": source.id})
        found = _source(str(named))
    before_request()
    job = places["id"] if what == "stop" else ""
    return tk.render("mlops/harvest_confirm.html", {"harvest_source": found, "what": what, "job": job})


@mlops_harvest.before_request
def before_request() -> None:
    """What the templates of ckanext-harvest expect."""
    tk.g.dataset_type = "harvest"


@mlops_harvest.route("/harvest/<source>/preview", endpoint="preview")
def preview(source: str) -> str:
    """The newest preview: how far it is, or what a harvest would do."""
    with refusals():
        found = _source(source)
        shown = tk.get_action("mlops_preview_show")({}, {"id": found["id"]})
    return tk.render("mlops/harvest_preview.html", {"harvest_source": found, "preview": shown})


@mlops_harvest.route("/harvest/<source>/preview", endpoint="preview_start", methods=["POST"])
def preview_start(source: str) -> Response:
    """Ask a worker for a preview."""
    with refusals():
        found = _source(source)
    return done("mlops_preview_create", {"id": found["id"]}, "", "mlops_harvest.preview", source=found["name"])


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
    return done(f"mlops_harvest_{decision}", values, told[decision], "harvester.job_show", source=source, id=id)


@mlops_harvest.route("/harvest/<source>/job/<id>/stop", endpoint="stop", methods=["POST"])
def stop(source: str, id: str) -> Response:  # noqa: A002
    """Stop a job."""
    said = tk._("Stopped. What was written by then stays.")
    return done("harvest_job_abort", {"id": id}, said, "harvester.job_show", source=source, id=id)


@mlops_harvest.route("/dataset/<id>/field/<any(take,restore):decision>", endpoint="field", methods=["POST"])
def field(id: str, decision: str) -> Response:  # noqa: A002
    """Take what Git says for a field, or put back what a person had."""
    told = {"take": tk._("The field says what Git says now."), "restore": tk._("The field is as it was.")}
    values = {"id": id, "field": request.form.get("field", ""), "resource": request.form.get("resource", "")}
    return done(f"mlops_field_{decision}", values, told[decision], "dataset.read", id=id)


def _source(name: str) -> dict[str, Any]:
    found: dict[str, Any] = tk.get_action("harvest_source_show")({}, {"id": name})
    return found
