"""Who may do what. Reading follows the dataset's own visibility, writing its editors."""

from __future__ import annotations

from ckan import authz, model
from ckan.plugins import toolkit as tk
from ckan.types import AuthFunction, AuthResult, Context, DataDict
from ckanext.harvest.model import HarvestJob, HarvestObject

from ckanext.mlops.logic import focus
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import Link, LinkHint, Version, transfers
from ckanext.mlops.model.transfers import AccessRequest

#: Value of the field ``data_access``.
ON_REQUEST = "on_request"


@tk.auth_allow_anonymous_access
def mlops_lineage_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see what it begins with; neighbours are checked one by one.

    A dataset or resource that exists is refused; of anything else that is not to be seen, the reader does not learn
    whether it exists.
    """
    return _may_walk(context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_lineage_impact(context: Context, data_dict: DataDict) -> AuthResult:
    """As :func:`mlops_lineage_show`."""
    return _may_walk(context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_lineage_diff(context: Context, data_dict: DataDict) -> AuthResult:
    """As :func:`mlops_lineage_show`."""
    return _may_walk(context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_lineage_path(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see both ends; what is between is checked one by one."""
    start = _may_walk(context, data_dict["start"])
    return _may_walk(context, data_dict["end"]) if start["success"] else start


@tk.auth_allow_anonymous_access
def mlops_lineage_coverage(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the organization; its datasets are checked one by one."""
    return _may("organization_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_version_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return _may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_version_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the version's dataset."""
    version = context["session"].get(Version, data_dict["id"])
    if version is None:
        raise tk.ObjectNotFound(f"No version {data_dict['id']}")
    return _may("package_show", context, version.package_id)


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
    return _may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_repository_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody: the answer holds what the reader may see, and is "not found" where that is nothing."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def mlops_link_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return _may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_run_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return _may("package_show", context, data_dict["id"])


def mlops_link_create(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return _may("package_update", context, data_dict["id"])


def mlops_link_delete(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the linked dataset."""
    link = context["session"].get(Link, data_dict["id"])
    if link is None:
        raise tk.ObjectNotFound(f"No link {data_dict['id']}")
    return _may("package_update", context, link.package_id)


def mlops_link_create_many(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of every dataset that is named."""
    for each in data_dict["links"]:
        answer = _may("package_update", context, str(each.get("id") or ""))
        if not answer["success"]:
            return answer
    return {"success": True}


def mlops_link_update(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the linked dataset."""
    return mlops_link_delete(context, data_dict)


@tk.auth_allow_anonymous_access
def mlops_link_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the linked dataset."""
    link = context["session"].get(Link, data_dict["id"])
    if link is None:
        raise tk.ObjectNotFound(f"No link {data_dict['id']}")
    return _may("package_show", context, link.package_id)


@tk.auth_allow_anonymous_access
def mlops_link_hint_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return _may("package_show", context, data_dict["id"])


def mlops_link_hint_accept(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset that it is about."""
    hint = context["session"].get(LinkHint, data_dict["id"])
    if hint is None:
        raise tk.ObjectNotFound(f"No hint {data_dict['id']}")
    return _may("package_update", context, hint.package_id)


def mlops_link_hint_dismiss(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset that it is about."""
    return mlops_link_hint_accept(context, data_dict)


@tk.auth_allow_anonymous_access
def mlops_leaderboard(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return _may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_experiment_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what datasets that they may see are linked to. ``all``: who may create datasets."""
    return mlops_run_search(context, data_dict) if data_dict.get("all") else _of_dataset(context, data_dict)


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
    try:
        tk.check_access("package_create", context, {})
    except tk.NotAuthorized:
        return {"success": False, "msg": tk._("Only who may create datasets may look into MLflow servers")}
    return {"success": True}


def mlops_server_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Every signed-in user: the answer holds names and health, no address with credentials."""
    # CKAN 2.12 passes an AnonymousUser object, which its own check takes for a signed-in user.
    if context.get("user"):
        return {"success": True}
    return {"success": False, "msg": tk._("You must be signed in to see the MLflow servers")}


def mlops_dataset_load(context: Context, data_dict: DataDict) -> AuthResult:
    """Every signed-in user: CKAN asks for each dataset whether that user may create or change it."""
    if context.get("user"):
        return {"success": True}
    return {"success": False, "msg": tk._("You must be signed in to load datasets")}


def mlops_mlflow_sync(context: Context, data_dict: DataDict) -> AuthResult:
    """Sysadmins only."""
    return {"success": False}


def mlops_repository_push(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the harvest source: what is sent decides what its datasets say."""
    return _may("harvest_source_update", context, data_dict["id"])


def mlops_harvest_preview(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the harvest source."""
    return _may("harvest_source_update", context, data_dict["id"])


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


@tk.auth_allow_anonymous_access
def mlops_file_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset: names and hashes are part of it. Taking a file is ``mlops_download``."""
    return _may("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_recipe_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset."""
    return _may("package_show", context, data_dict["id"])


def mlops_content_check(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return _may("package_update", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_profile_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may take the dataset's files: a profile shows parts of them."""
    return _may("mlops_download", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_download(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may see the dataset; of one whose files are given on request, its organization and who was granted."""
    allowed = _may("package_show", context, data_dict["id"])
    package = model.Package.get(data_dict["id"])
    if not allowed["success"] or package is None or (package.extras or {}).get("data_access") != ON_REQUEST:
        return allowed
    user = model.User.get(context.get("user"))
    member = user is not None and authz.has_user_permission_for_group_or_org(package.owner_org, user.name, "read")
    if member or _may("package_update", context, package.id)["success"]:
        return {"success": True}
    if user is not None and transfers.granted(model.Session(), package.id, user.id):
        return {"success": True}
    return {"success": False, "msg": tk._("The files of this dataset are given on request: ask for access")}


def mlops_audit_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return _may("package_update", context, data_dict["id"])


def mlops_access_ask(context: Context, data_dict: DataDict) -> AuthResult:
    """Every signed-in user, also for what they may not see."""
    if context.get("user"):
        return {"success": True}
    return {"success": False, "msg": tk._("You must be signed in to ask for access")}


def mlops_access_list(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return _may("package_update", context, data_dict["id"])


def mlops_access_decide(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset that is asked for."""
    found = context["session"].get(AccessRequest, data_dict["id"])
    if found is None:
        raise tk.ObjectNotFound(f"No request {data_dict['id']}")
    return _may("package_update", context, found.package_id)


def mlops_preview_create(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the harvest source."""
    return _may("harvest_source_update", context, data_dict["id"])


def mlops_preview_show(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the harvest source."""
    return _may("harvest_source_update", context, data_dict["id"])


def mlops_harvest_report(context: Context, data_dict: DataDict) -> AuthResult:
    """Whoever may change the job's source."""
    job = context["session"].get(HarvestJob, data_dict["id"])
    if job is None:
        raise tk.ObjectNotFound(f"No harvest job {data_dict['id']}")
    return _may("harvest_source_update", context, str(job.source_id))


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
    return _may("package_update", context, data_dict["id"])


def mlops_field_take(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return _may("package_update", context, data_dict["id"])


def mlops_field_restore(context: Context, data_dict: DataDict) -> AuthResult:
    """Editors of the dataset."""
    return _may("package_update", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def mlops_content_find(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see."""
    return {"success": True}


@tk.chained_auth_function
@tk.auth_allow_anonymous_access
def harvest_object_show(next_auth: AuthFunction, context: Context, data_dict: DataDict | None) -> AuthResult:
    """Of our sources: whoever may see the dataset, or change the source; its content is all that was harvested."""
    name = (data_dict or {}).get("id")
    found = context["session"].get(HarvestObject, name) if name else None
    if found is None or found.source is None or found.source.type != "dvc":
        return next_auth(context, data_dict or {})
    seen = _may("package_show", context, str(found.package_id)) if found.package_id else {"success": False}
    return seen if seen["success"] else _may("harvest_source_update", context, str(found.harvest_source_id))


def _of_dataset(context: Context, data_dict: DataDict) -> AuthResult:
    return _may("package_show", context, data_dict["id"]) if data_dict.get("id") else {"success": True}


def _may_walk(context: Context, node: str) -> AuthResult:
    found = focus.find(context, node)
    if found.named and found.own:
        return _may("package_show", context, found.datasets[0])
    focus.visible(found, Reader(context))
    return {"success": True}


def _may(action: str, context: Context, object_id: str) -> AuthResult:
    try:
        tk.check_access(action, context, {"id": object_id})
    except tk.NotAuthorized as error:
        return {"success": False, "msg": error.message or str(error)}
    return {"success": True}
