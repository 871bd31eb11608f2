"""Datasets that are like another one: a part of its page that is loaded after it, or a page of its own."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from flask import Blueprint, request

from ckanext.mlops.views.datasets import dataset_or_abort

mlops_similar = Blueprint("mlops_similar", __name__)


@mlops_similar.route("/dataset/<id>/similar", endpoint="index")
def index(id: str) -> str:  # noqa: A002 CKAN's routes name it so
    """The list; for htmx without the frame of a page."""
    package = dataset_or_abort(id)
    found = tk.get_action("mlops_dataset_similar")({}, {"id": package["id"], "limit": 5})
    part = request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"
    template = "mlops/snippets/similar.html" if part else "mlops/similar.html"
    return str(tk.render(template, {"pkg_dict": package, "dataset_type": package["type"], "similar": found}))
