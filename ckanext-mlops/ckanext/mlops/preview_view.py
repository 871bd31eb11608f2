"""The CKAN plugin ``mlops_preview``: a resource view of tables, texts and images that DVC stores."""

from __future__ import annotations

from typing import Any

from ckan import plugins as p
from ckan.plugins import toolkit as tk
from ckan.types import Context

from ckanext.mlops.transfers import profiles


class PreviewView(p.SingletonPlugin):
    """Shows what a worker found in the file; the page reads no storage."""

    p.implements(p.IResourceView, inherit=True)

    def info(self) -> dict[str, Any]:
        """The view, for CKAN's list of views."""
        return {
            "name": "mlops_preview",
            "title": tk._("Preview"),
            "default_title": tk._("Preview"),
            "icon": "table",
            "iframed": False,
            "always_available": False,
            "default_description": "",
        }

    def can_view(self, data_dict: dict[str, Any]) -> bool:
        """Whether the resource is a file of DVC that has previews."""
        path = str(data_dict["resource"].get("dvc_path") or "")
        return bool(path) and profiles.kind_of(path) != "none"

    def view_template(self, context: Context, data_dict: dict[str, Any]) -> str:
        """The page's part."""
        return "mlops/preview.html"
