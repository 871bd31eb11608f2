"""The page on which an organization sees how its catalog is: gaps, stale data, failing harvests."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from flask import Blueprint, request

from ckanext.mlops.views.lineage import refusals

DAYS = (30, 90, 180, 365)
mlops_organization = Blueprint("mlops_organization", __name__)


@mlops_organization.route("/organization/<id>/health", endpoint="health")
def health(id: str) -> str:  # noqa: A002 as CKAN's routes
    """The page; ``days`` of its query say what is stale."""
    asked = request.args.get("days", "")
    days = int(asked) if asked in map(str, DAYS) else 180
    # Looking for gaps goes through the lineage of every dataset: the page asks for it after it is shown.
    part = request.args.get("part") == "gaps"
    with refusals():
        organization = tk.get_action("organization_show")({}, {"id": id, "include_datasets": False})
        found = tk.get_action("mlops_organization_health")({}, {"id": organization["id"], "days": days, "gaps": part})
    gaps = {
        "source": tk._("No path to a raw or outside source"),
        "consumer": tk._("No known use"),
        "owner": tk._("No owner"),
        "licence": tk._("No licence"),
    }
    values = {"group_dict": organization, "group_type": organization["type"], "found": found, "gaps": gaps}
    alone = part and request.headers.get("HX-Request") == "true"
    template = "mlops/snippets/gaps.html" if alone else "mlops/health.html"
    return str(tk.render(template, values | {"choices": DAYS}))
