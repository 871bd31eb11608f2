"""The lineage of a file as a view of its resource, for the resource's page and to embed elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckan.plugins import toolkit as tk

from ckanext.mlops.lineage_page import page, words
from ckanext.mlops.lineage_page.state import State
from ckanext.mlops.logic.schema import lineage as schema

NAME = "mlops_lineage_view"
DEFAULTS = {"level": "files", "direction": "both", "depth": "3"}


def info() -> dict[str, Any]:
    """What CKAN asks of a view's plugin."""
    return {
        "name": NAME,
        "title": tk._("Lineage"),
        "icon": "project-diagram",
        "iframed": True,
        "default_title": tk._("Lineage"),
        "schema": schema.lineage_view(),
    }


def can_view(data_dict: Mapping[str, Any]) -> bool:
    """Whether DVC, a hash or a person says something of the file's origin."""
    resource, package = data_dict["resource"], data_dict["package"]
    return bool(resource.get("dvc_path") or package.get("dvc_stage") or package.get("derived_from"))


def template_variables(data_dict: Mapping[str, Any]) -> dict[str, Any]:
    """What the view and its form take; ``error`` where there is nothing to show, as while it is being set up."""
    resource, package, view = data_dict["resource"], data_dict["package"], data_dict["resource_view"]
    chosen = {name: str(view.get(name) or default) for name, default in DEFAULTS.items()}
    found: dict[str, Any] = {
        "chosen": chosen,
        "choices": {
            "level": (tk._("Show"), words.levels()),
            "direction": (tk._("For"), words.directions()),
            "depth": (tk._("Steps"), {str(each): str(each) for each in range(1, schema.MAX_DEPTH + 1)}),
        },
    }
    place = {"id": package["name"], "resource_id": resource["id"]}

    def here(query: Mapping[str, str]) -> str:
        return str(tk.url_for("mlops_lineage.resource", **place, **query))

    try:
        return found | page.template_data(State.of(chosen), resource["id"], here)
    except (tk.ObjectNotFound, tk.NotAuthorized, tk.ValidationError):
        return found | {"error": tk._("The lineage of this file is not known.")}
