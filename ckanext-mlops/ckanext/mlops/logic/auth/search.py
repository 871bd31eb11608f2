"""Who may find what: everybody, what they may see; saved searches are of the person who saved them."""

from __future__ import annotations

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict

from ckanext.mlops.logic.auth.rules import may, row, signed_in
from ckanext.mlops.model.searches import SavedSearch


@tk.auth_allow_anonymous_access
def mlops_search_suggest(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_dataset_similar(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset; the answer holds what they may see."""
    return may("package_show", context, data_dict["id"])


def mlops_saved_search_create(context: Context, data_dict: DataDict) -> AuthResult:
    """Every signed-in user."""
    return signed_in(context, tk._("You must be signed in to save searches"))


def mlops_saved_search_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Every signed-in user, their own."""
    return mlops_saved_search_create(context, data_dict)


def mlops_saved_search_delete(context: Context, data_dict: DataDict) -> AuthResult:
    """Who saved it."""
    search = row(context, data_dict, SavedSearch, "saved search")
    user = model.User.get(context.get("user"))
    if user is not None and search.user_id == user.id:
        return {"success": True}
    return {"success": False, "msg": tk._("This search is somebody else's")}


@tk.auth_allow_anonymous_access
def mlops_organization_health(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the organization; its datasets and sources are checked one by one."""
    return may("organization_show", context, data_dict["id"])
