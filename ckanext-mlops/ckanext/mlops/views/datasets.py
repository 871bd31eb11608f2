"""The dataset that a page is about."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk


def dataset_or_abort(id_or_name: str) -> dict[str, Any]:
    """The dataset as its reader may see it; otherwise the answer is 404 or 403."""
    try:
        package: dict[str, Any] = tk.get_action("package_show")({}, {"id": id_or_name})
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Dataset not found"))
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to see this dataset"))
    return package
