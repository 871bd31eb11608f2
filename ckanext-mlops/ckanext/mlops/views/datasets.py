"""The dataset that a page is about."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context


def show(id_or_name: str) -> dict[str, Any]:
    """The dataset as its reader may see it.

    Its row is kept for the request, where CKAN's own page of a dataset has it as well: each action of the page finds it
    in the session instead of asking the database again.

    :raises ckan.logic.ActionError: as ``package_show`` does
    """
    context: Context = {}
    package: dict[str, Any] = tk.get_action("package_show")(context, {"id": id_or_name})
    tk.g.pkg = context["package"]
    return package


def dataset_or_abort(id_or_name: str) -> dict[str, Any]:
    """The dataset as its reader may see it; otherwise the answer is 404 or 403."""
    try:
        return show(id_or_name)
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Dataset not found"))
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to see this dataset"))
