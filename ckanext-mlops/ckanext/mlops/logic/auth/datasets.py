"""Who may see datasets, their versions and repositories, and what is drawn and compared of them."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict

from ckanext.mlops.logic.auth.rules import may, row, signed_in
from ckanext.mlops.model import Version


@tk.auth_allow_anonymous_access
def mlops_version_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_version_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the version's dataset."""
    return may("package_show", context, row(context, data_dict, Version, "version").package_id)


@tk.auth_allow_anonymous_access
def mlops_version_diff(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see both datasets."""
    for side in ("before", "after"):
        answer = mlops_version_show(context, {"id": data_dict[side]})
        if not answer["success"]:
            return answer
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_file_diff(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see both datasets; what is in folders is told to who may take their files."""
    return mlops_version_diff(context, data_dict)


@tk.auth_allow_anonymous_access
def mlops_ref_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_repository_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody: the answer holds what the reader may see, and is "not found" where that is nothing."""
    return {"success": True}


def mlops_dataset_load(context: Context, data_dict: DataDict) -> AuthResult:
    """Every signed-in user: CKAN asks for each dataset whether that user may create or change it."""
    return signed_in(context, tk._("You must be signed in to load datasets"))


@tk.auth_allow_anonymous_access
def mlops_overview(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_repository_metrics(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see, and is "not found" where that is nothing."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_compare(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see, and is "not found" where that is nothing."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_plot_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see, and is "not found" where that is nothing."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_plot_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see, and is "not found" where that is nothing."""
    return {"success": True}
