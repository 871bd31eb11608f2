"""Who may take a dataset's files, see what is known of them, and ask for access."""

from __future__ import annotations

from ckan import authz, model
from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict

from ckanext.mlops.logic.auth.rules import may, row, signed_in
from ckanext.mlops.model import transfers
from ckanext.mlops.model.transfers import AccessRequest

#: Value of the field ``data_access``.
ON_REQUEST = "on_request"


@tk.auth_allow_anonymous_access
def mlops_file_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset: names and hashes are part of it. Taking a file is ``mlops_download``."""
    return may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_recipe_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return may("package_show", context, data_dict["id"])


def mlops_file_append(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the resource."""
    return may("resource_update", context, data_dict["id"])


def mlops_content_check(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return may("package_update", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_profile_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may take the dataset's files: a profile shows parts of them."""
    return may("mlops_download", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_download(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset; of one whose files are given on request, its organization and who was granted."""
    allowed = may("package_show", context, data_dict["id"])
    package = model.Package.get(data_dict["id"])
    if not allowed["success"] or package is None or (package.extras or {}).get("data_access") != ON_REQUEST:
        return allowed
    user = model.User.get(context.get("user"))
    member = user is not None and authz.has_user_permission_for_group_or_org(package.owner_org, user.name, "read")
    if member or may("package_update", context, package.id)["success"]:
        return {"success": True}
    if user is not None and transfers.granted(model.Session(), package.id, user.id):
        return {"success": True}
    return {"success": False, "msg": tk._("The files of this dataset are given on request: ask for access")}


def mlops_audit_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return may("package_update", context, data_dict["id"])


def mlops_access_ask(context: Context, data_dict: DataDict) -> AuthResult:
    """Every signed-in user, also for what they may not see."""
    return signed_in(context, tk._("You must be signed in to ask for access"))


def mlops_access_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return may("package_update", context, data_dict["id"])


def mlops_access_decide(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset that is asked for."""
    return may("package_update", context, row(context, data_dict, AccessRequest, "request").package_id)


@tk.auth_allow_anonymous_access
def mlops_content_find(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see."""
    return {"success": True}
