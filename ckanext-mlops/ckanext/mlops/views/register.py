"""Add a dataset of data that lives in DVC: address, path and revision, then the dataset form, filled."""

from __future__ import annotations

import json
from typing import Any

from ckan.lib.navl.dictization_functions import DataError, unflatten
from ckan.logic import clean_dict, parse_params, tuplize_dict
from ckan.plugins import toolkit as tk
from ckan.views.dataset import _tag_string_to_list
from flask import Blueprint, request
from flask import Response as FlaskResponse
from werkzeug.wrappers import Response

from ckanext.mlops.harvesting import repositories
from ckanext.mlops.logic.reader import context_of_request

mlops_register = Blueprint("mlops_register", __name__)
_ASKED = ("url", "path", "revision", "credential")
TYPE = "dataset"


@mlops_register.route("/dataset/new/dvc", endpoint="new")
def new() -> str:
    """What is to be read."""
    _check("mlops_registration_create", {})
    return _ask({name: request.args.get(name, "") for name in _ASKED}, {})


@mlops_register.route("/dataset/new/dvc", endpoint="create", methods=["POST"])
def create() -> Response | str:
    """Ask a worker for it."""
    _check("mlops_registration_create", {})
    asked = {name: request.form.get(name, "") for name in _ASKED}
    try:
        made = tk.get_action("mlops_registration_create")(context_of_request(), dict(asked))
    except tk.ValidationError as error:
        return _ask(asked, error.error_dict)
    return tk.redirect_to("mlops_register.read", id=made["id"], group=request.form.get("group") or None)


@mlops_register.route("/dataset/new/dvc/<id>", endpoint="read")
def read(id: str) -> str:  # noqa: A002 CKAN's routes name it so
    """How far the reading is; then the steps to choose from, or the form."""
    shown = _shown(id)
    if not shown.get("dataset"):
        return _page({"registration": shown, "asked": shown["asked"], "errors": {}})
    package = dict(shown["dataset"])
    package["tag_string"] = ", ".join(each["name"] for each in package.pop("tags", ()))
    return _form(shown, package, {}, {})


@mlops_register.route("/dataset/new/dvc/<id>", endpoint="save", methods=["POST"])
def save(id: str) -> Response | str:  # noqa: A002
    """Make the dataset."""
    shown = _shown(id)
    if not shown.get("dataset"):
        return tk.redirect_to("mlops_register.read", id=id)
    try:
        data = clean_dict(unflatten(tuplize_dict(parse_params(request.form))))
    except DataError:
        return tk.abort(400, tk._("Integrity Error"))
    for name in ("save", "_ckan_phase", "pkg_name", "_csrf_token", "resources"):
        data.pop(name, None)
    package = {**data, "tags": _tag_string_to_list(str(data.get("tag_string") or "")), "state": "active"}
    package.pop("tag_string", None)
    try:
        made = tk.get_action("mlops_dataset_register")(context_of_request(), {"id": id, "package": package})
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to create this dataset"))
    except tk.ValidationError as error:
        return _form(shown, {**data, "resources": shown["dataset"]["resources"]},
                     error.error_dict, error.error_summary)  # fmt: skip
    tk.h.flash_success(tk._("The dataset was made of what the repository says."))
    return tk.redirect_to("dataset.read", id=made["name"])


@mlops_register.route("/dataset/<id>/made-from", endpoint="derive", methods=["POST"])
def derive(id: str) -> Response | str:  # noqa: A002
    """Note that a dataset was made from another one; the upload field asks for the answer as JSON."""
    wants_json = request.accept_mimetypes.best == "application/json"
    try:
        made = tk.get_action("mlops_source_add")(
            context_of_request(), {"id": id, "dataset": request.form.get("dataset", "")}
        )
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Dataset not found"))
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to change this dataset"))
    except tk.ValidationError as error:
        if wants_json:
            return FlaskResponse(json.dumps(error.error_dict), 409, mimetype="application/json")
        tk.h.flash_error("; ".join(map(str, error.error_summary.values())))
        return tk.redirect_to("dataset.read", id=id)
    if wants_json:
        return FlaskResponse(json.dumps(made), mimetype="application/json")
    tk.h.flash_success(tk._("Noted: the dataset was made from it."))
    return tk.redirect_to("dataset.read", id=id)


def _shown(registration_id: str) -> dict[str, Any]:
    try:
        shown: dict[str, Any] = tk.get_action("mlops_registration_show")(context_of_request(), {"id": registration_id})
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Not found; read the repository again"))
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Only who asked for a reading may see it"))
    return shown


def _ask(asked: dict[str, str], errors: dict[str, Any]) -> str:
    return _page({"registration": None, "asked": asked, "errors": errors})


def _page(values: dict[str, Any]) -> str:
    names = sorted(repositories.credential_names())
    return tk.render("mlops/register.html", {"dataset_type": TYPE, "credentials": names, **values})


def _form(shown: dict[str, Any], data: dict[str, Any], errors: dict[str, Any], error_summary: dict[str, Any]) -> str:
    # As CKAN's own page for a new dataset: the group of the page that one came from is chosen.
    data["group_id"] = request.args.get("group")
    form_vars = {
        "data": data,
        "errors": errors,
        "error_summary": error_summary,
        "action": "new",
        "stage": ["active"],
        "dataset_type": TYPE,
        "form_style": "new",
        "registration": shown,
    }
    return tk.render(
        "mlops/register_form.html",
        {
            "form_vars": form_vars,
            "form_snippet": "mlops/snippets/register_form.html",
            "dataset_type": TYPE,
            "pkg_dict": {},
            "registration": shown,
        },
    )


def _check(action: str, values: dict[str, Any]) -> None:
    try:
        tk.check_access(action, context_of_request(), values)
    except tk.NotAuthorized as error:
        tk.abort(403, error.message or tk._("Not authorized"))
