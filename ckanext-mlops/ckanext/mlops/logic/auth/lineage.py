"""Who may see lineage: whoever may see what it begins with; neighbours are checked one by one."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict

from ckanext.mlops.logic import focus
from ckanext.mlops.logic.auth.rules import may
from ckanext.mlops.logic.reader import Reader


@tk.auth_allow_anonymous_access
def mlops_lineage_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see what it begins with; neighbours are checked one by one.

    A dataset or resource that exists is refused; of anything else that is not to be seen, the reader does not learn
    whether it exists.
    """
    return _walk(context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_lineage_impact(context: Context, data_dict: DataDict) -> AuthResult:
    """As :func:`mlops_lineage_show`."""
    return _walk(context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_lineage_diff(context: Context, data_dict: DataDict) -> AuthResult:
    """As :func:`mlops_lineage_show`."""
    return _walk(context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_lineage_path(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see both ends; what is between is checked one by one."""
    start = _walk(context, data_dict["start"])
    return _walk(context, data_dict["end"]) if start["success"] else start


@tk.auth_allow_anonymous_access
def mlops_lineage_coverage(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the organization; its datasets are checked one by one."""
    return may("organization_show", context, data_dict["id"])


def _walk(context: Context, node: str) -> AuthResult:
    found = focus.find(context, node)
    focus.leave(context, node, found)
    if found.named and found.own:
        return may("package_show", context, found.datasets[0])
    focus.visible(found, Reader(context))
    return {"success": True}
