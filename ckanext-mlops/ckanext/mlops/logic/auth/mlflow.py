"""Who may see and write links, and what MLflow says: a link is seen and written as its dataset is."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict

from ckanext.mlops.logic.auth.rules import may, may_create, row, signed_in
from ckanext.mlops.model import Link, LinkHint


@tk.auth_allow_anonymous_access
def mlops_link_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_run_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return may("package_show", context, data_dict["id"])


def mlops_link_create(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return may("package_update", context, data_dict["id"])


def mlops_link_delete(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the linked dataset."""
    return may("package_update", context, row(context, data_dict, Link, "link").package_id)


def mlops_link_create_many(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of every dataset that is named."""
    for each in data_dict["links"]:
        answer = may("package_update", context, str(each.get("id") or ""))
        if not answer["success"]:
            return answer
    return {"success": True}


def mlops_link_update(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the linked dataset."""
    return mlops_link_delete(context, data_dict)


@tk.auth_allow_anonymous_access
def mlops_link_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the linked dataset."""
    return may("package_show", context, row(context, data_dict, Link, "link").package_id)


@tk.auth_allow_anonymous_access
def mlops_link_hint_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return may("package_show", context, data_dict["id"])


def mlops_link_hint_accept(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset that it is about."""
    return may("package_update", context, row(context, data_dict, LinkHint, "hint").package_id)


def mlops_link_hint_dismiss(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset that it is about."""
    return mlops_link_hint_accept(context, data_dict)


@tk.auth_allow_anonymous_access
def mlops_leaderboard(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_experiment_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what datasets that they may see are linked to. ``all``: who may create datasets."""
    return mlops_run_search(context, data_dict) if data_dict.get("all") else _dataset_or_all(context, data_dict)


@tk.auth_allow_anonymous_access
def mlops_model_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what datasets that they may see are linked to. ``all``: who may create datasets."""
    return mlops_experiment_list(context, data_dict)


@tk.auth_allow_anonymous_access
def mlops_experiment_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; it is "not found" to whom may see none of the datasets that it is linked to."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_model_lineage(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; it is "not found" to whom may see none of the datasets that it is linked to."""
    return {"success": True}


def mlops_run_search(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may create datasets: they can link any run, too."""
    return may_create(context, tk._("Only who may create datasets may look into MLflow servers"))


def mlops_link_target_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may create datasets."""
    return mlops_run_search(context, data_dict)


def mlops_server_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Every signed-in user: the answer holds names and health, no address with credentials."""
    return signed_in(context, tk._("You must be signed in to see the MLflow servers"))


def mlops_mlflow_sync(context: Context, data_dict: DataDict) -> AuthResult:
    """Sysadmins only."""
    return {"success": False}


def _dataset_or_all(context: Context, data_dict: DataDict) -> AuthResult:
    return may("package_show", context, data_dict["id"]) if data_dict.get("id") else {"success": True}
