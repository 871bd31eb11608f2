"""Who may harvest, and settle what a harvest says: whoever may change the source, or edit the dataset."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from ckan.types import AuthFunction, AuthResult, Context, DataDict
from ckanext.harvest.model import HarvestJob, HarvestObject

from ckanext.mlops.logic.auth.rules import may, row


def mlops_repository_push(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the harvest source: what is sent decides what its datasets say."""
    return may("harvest_source_update", context, data_dict["id"])


def mlops_harvest_preview(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the harvest source."""
    return may("harvest_source_update", context, data_dict["id"])


def mlops_preview_create(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the harvest source."""
    return may("harvest_source_update", context, data_dict["id"])


def mlops_preview_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the harvest source."""
    return may("harvest_source_update", context, data_dict["id"])


def mlops_harvest_report(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the job's source."""
    return may("harvest_source_update", context, str(row(context, data_dict, HarvestJob, "harvest job").source_id))


def mlops_harvest_approve(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the job's source."""
    return mlops_harvest_report(context, data_dict)


def mlops_harvest_reject(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the job's source."""
    return mlops_harvest_report(context, data_dict)


def mlops_harvest_revert(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the job's source."""
    return mlops_harvest_report(context, data_dict)


def mlops_field_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return may("package_update", context, data_dict["id"])


def mlops_field_take(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return may("package_update", context, data_dict["id"])


def mlops_field_restore(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return may("package_update", context, data_dict["id"])


@tk.chained_auth_function
@tk.auth_allow_anonymous_access
def harvest_object_show(next_auth: AuthFunction, context: Context, data_dict: DataDict | None) -> AuthResult:
    """Of our sources: whoever may see the dataset, or change the source; its content is all that was harvested."""
    name = (data_dict or {}).get("id")
    found = context["session"].get(HarvestObject, name) if name else None
    if found is None or found.source is None or found.source.type != "dvc":
        return next_auth(context, data_dict or {})
    seen = may("package_show", context, str(found.package_id)) if found.package_id else {"success": False}
    return seen if seen["success"] else may("harvest_source_update", context, str(found.harvest_source_id))
