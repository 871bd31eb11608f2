"""The page on which a reader asks for access to a dataset, and its editors decide."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from flask import Blueprint, request
from werkzeug.wrappers import Response

from ckanext.mlops.views.posted import done

mlops_access = Blueprint("mlops_access", __name__)


@mlops_access.route("/dataset/<id>/access", endpoint="index")
def index(id: str) -> Response | str:  # noqa: A002 CKAN's routes name it so
    """What the reader may do: ask, or decide."""
    package = model.Package.get(id)
    if package is None or package.state != "active" or package.type == "harvest":
        return tk.abort(404, tk._("Dataset not found"))
    if not tk.current_user.is_authenticated:
        return tk.redirect_to("user.login", came_from=tk.url_for("mlops_access.index", id=id))
    requests: list[dict[str, Any]] | None = None
    if tk.h.check_access("mlops_access_list", {"id": package.id}):
        requests = tk.get_action("mlops_access_list")({}, {"id": package.id})
    # Who may not see the dataset is told nothing of it but what they came with.
    seen = tk.h.check_access("package_show", {"id": package.id})
    return tk.render(
        "mlops/access.html",
        {
            "reference": id,
            "title": (package.title or package.name) if seen else id,
            "requests": requests,
            "allowed": tk.h.check_access("mlops_download", {"id": package.id}),
        },
    )


@mlops_access.route("/dataset/<id>/access", endpoint="ask", methods=["POST"])
def ask(id: str) -> Response:  # noqa: A002
    """Send the request."""
    values = {"id": id, "reason": request.form.get("reason", "")}
    said = tk._("The editors of the dataset see your request.")
    return done("mlops_access_ask", values, said, "mlops_access.index", id=id)


@mlops_access.route("/dataset/<id>/access/<request_id>", endpoint="decide", methods=["POST"])
def decide(id: str, request_id: str) -> Response:  # noqa: A002
    """Grant or deny a request."""
    grant = request.form.get("decision") == "grant"
    said = tk._("Access is granted.") if grant else tk._("Access is denied.")
    values = {"id": request_id, "grant": grant, "answer": request.form.get("answer", "")}
    return done("mlops_access_decide", values, said, "mlops_access.index", id=id)
