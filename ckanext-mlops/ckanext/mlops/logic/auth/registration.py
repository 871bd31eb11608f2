"""Who may have a repository read for a dataset form, and see what was read."""

from __future__ import annotations

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict

from ckanext.mlops.logic.auth.rules import may, may_create
from ckanext.mlops.model import Plan


def mlops_registration_create(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may create datasets, as for harvest sources."""
    return may_create(context, tk._("Only who may create datasets may have repositories read"))


def mlops_registration_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever asked for it: what a private repository has is nobody else's business."""
    row = context["session"].get(Plan, data_dict["id"])
    if row is None or row.kind != "registration":
        raise tk.ObjectNotFound(f"No registration {data_dict['id']}")
    user = model.User.get(context.get("user"))
    if user is not None and user.id == row.user_id:
        return {"success": True}
    return {"success": False, "msg": tk._("Only who asked for a reading may see it")}


def mlops_dataset_register(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever asked for it; CKAN asks whether they may create the dataset."""
    return mlops_registration_show(context, data_dict)


def mlops_source_add(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return may("package_update", context, data_dict["id"])
