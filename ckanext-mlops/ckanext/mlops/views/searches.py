"""The page of a person's saved searches, a tab of their dashboard."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from flask import Blueprint, request
from werkzeug.wrappers import Response

from ckanext.mlops.views.posted import done

mlops_searches = Blueprint("mlops_searches", __name__)


@mlops_searches.before_request
def before_request() -> Response | None:
    """All of it is for people who are signed in."""
    if tk.current_user.is_authenticated:
        return None
    return tk.redirect_to("user.login", came_from=tk.url_for("mlops_searches.index"))


@mlops_searches.route("/dashboard/searches", endpoint="index")
def index() -> str:
    """The searches, with what was found last."""
    found = tk.get_action("mlops_saved_search_list")({}, {})
    return str(tk.render("mlops/searches.html", {"searches": found, "user_dict": tk.current_user.as_dict()}))


@mlops_searches.route("/dashboard/searches", endpoint="save", methods=["POST"])
def save() -> Response:
    """Save a search."""
    form = request.form
    mail = "mail" in form
    values = {"query": form.get("query", ""), "name": form.get("name", ""), "mail": mail}
    said = tk._("The search is saved: you are told of new versions.")
    return done("mlops_saved_search_create", values, said, "mlops_searches.index")


@mlops_searches.route("/dashboard/searches/<search_id>/delete", endpoint="delete", methods=["POST"])
def delete(search_id: str) -> Response:
    """Delete a search."""
    said = tk._("The search is deleted.")
    return done("mlops_saved_search_delete", {"id": search_id}, said, "mlops_searches.index")
