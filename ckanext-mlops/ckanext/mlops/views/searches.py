"""The page of a person's saved searches, a tab of their dashboard."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from flask import Blueprint, request
from werkzeug.wrappers import Response

mlops_searches = Blueprint("mlops_searches", __name__)


@mlops_searches.route("/dashboard/searches", endpoint="index")
def index() -> Response | str:
    """The searches, with what was found last."""
    if not tk.current_user.is_authenticated:
        return tk.redirect_to("user.login", came_from=tk.url_for("mlops_searches.index"))
    found = tk.get_action("mlops_saved_search_list")({}, {})
    return str(tk.render("mlops/searches.html", {"searches": found, "user_dict": tk.current_user.as_dict()}))


@mlops_searches.route("/dashboard/searches", endpoint="save", methods=["POST"])
def save() -> Response | str:
    """Save a search."""
    form = request.form
    mail = "mail" in form
    values = {"query": form.get("query", ""), "name": form.get("name", ""), "mail": mail}
    return _done("mlops_saved_search_create", values, tk._("The search is saved: you are told of new versions."))


@mlops_searches.route("/dashboard/searches/<search_id>/delete", endpoint="delete", methods=["POST"])
def delete(search_id: str) -> Response | str:
    """Delete a search."""
    return _done("mlops_saved_search_delete", {"id": search_id}, tk._("The search is deleted."))


def _done(action: str, values: dict[str, object], said: str) -> Response | str:
    if not tk.current_user.is_authenticated:
        return tk.redirect_to("user.login", came_from=tk.url_for("mlops_searches.index"))
    try:
        tk.get_action(action)({}, values)
        tk.h.flash_success(said)
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Saved search not found"))
    except tk.NotAuthorized:
        return tk.abort(403, tk._("This search is somebody else's"))
    except tk.ValidationError as error:
        tk.h.flash_error("; ".join(map(str, error.error_summary.values())))
    return tk.redirect_to("mlops_searches.index")
