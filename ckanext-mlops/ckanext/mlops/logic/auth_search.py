"""Who may find what: everybody, what they may see; saved searches are of the person who saved them."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict


@tk.auth_allow_anonymous_access
def mlops_search_suggest(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_dataset_similar(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset; the answer holds what they may see."""
    return _of_dataset(context, data_dict)


def _of_dataset(context: Context, data_dict: DataDict) -> AuthResult:
    try:
        tk.check_access("package_show", context, {"id": data_dict["id"]})
    except tk.NotAuthorized as error:
        return {"success": False, "msg": error.message or str(error)}
    return {"success": True}
