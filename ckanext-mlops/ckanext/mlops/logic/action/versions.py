"""Actions on versions."""

from __future__ import annotations

from typing import Any, cast

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops.logic import file_diff
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import versions as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.logic.versions import Chain, chain, changes, version_dict
from ckanext.mlops.model import Version, revisions, versions


@tk.side_effect_free
@validated(schema.version_list)
def mlops_version_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The versions of a dataset: every distinct state that its repository showed, newest first.

    A step of a project that got another address (a stage file of DVC 0.x that became a stage of ``dvc.yaml``, a rename
    that a hash proves) is one chain: the versions of the datasets that this one goes on from are among them.

    :param id: id or name of the dataset
    :type id: string
    :param limit: at most so many, 1 to 1000 (optional, default: 100)
    :type limit: int
    :param offset: after skipping so many (optional, default: 0)
    :type offset: int
    :param chain: with the versions of the datasets that it goes on from (optional, default: true)
    :type chain: bool

    Example::

        curl 'https://portal.example/api/3/action/mlops_version_list?id=titanic-train&limit=10'

    :returns: ``count`` (of all) and ``results``. A version has ``id``, ``package_id`` and ``dataset`` (name) of its
        dataset, ``url`` (its page), ``digest`` (of the state), ``commit`` (the oldest that shows it), ``committed``,
        ``author``, ``message``, ``refs`` (the branches and tags that show it now; empty when none does any more),
        ``current`` (whether the dataset shows it), ``position``, ``first_seen``, ``last_seen`` (by this portal), and
        ``facts``: ``command``, ``outs``, ``deps``, ``params`` and ``metrics`` of the stage. Fields of ``facts`` that
        are empty are left out. With ``chain``, what the dataset goes on from: a list of ``id``, ``name``, ``title``,
        ``stage`` and ``why`` (the evidence), the nearest first.
    :rtype: dictionary
    """
    tk.check_access("mlops_version_list", context, data_dict)
    session = cast(Session, context["session"])
    package = model.Package.get(data_dict["id"])
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    found = chain(context, package) if data_dict["chain"] else Chain([package])
    rows = versions.page(session, found.ids, data_dict["limit"], data_dict["offset"])
    heads = revisions.branches(session, found.ids)
    return {
        "count": versions.count(session, found.ids),
        "results": [version_dict(row, heads) | {"dataset": found.name(row.package_id)} for row in rows],
        "chain": found.links(),
    }


@tk.side_effect_free
@validated(common.object_show)
def mlops_version_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """One version of a dataset, and what changed against the one before.

    :param id: id of the version
    :type id: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_version_show?id=5b0c…'

    :returns: the version, as in ``mlops_version_list``, with ``previous`` (id of the next older version in the chain,
        or null; ``previous_dataset`` the name of its dataset) and ``changes`` against it (null without one), as in
        ``mlops_version_diff``.
    :rtype: dictionary
    """
    tk.check_access("mlops_version_show", context, data_dict)
    session = cast(Session, context["session"])
    version, found = _version(context, data_dict["id"])
    older = versions.before(session, version, found.ids)
    return version_dict(version, revisions.branches(session, [version.package_id])) | {
        "dataset": found.name(version.package_id),
        "previous": None if older is None else older.id,
        "previous_dataset": None if older is None else found.name(older.package_id),
        "changes": None if older is None else changes(version.facts, older.facts),
    }


@tk.side_effect_free
@validated(schema.version_diff)
def mlops_version_diff(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What differs between any two versions, of one dataset or of two.

    :param before: id of a version
    :type before: string
    :param after: id of the other version
    :type after: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_version_diff?before=5b0c…&after=91fe…'

    :returns: ``before`` and ``after`` (the versions, as in ``mlops_version_list``) and ``changes``: ``address`` (of the
        stage) and ``command`` (``before`` and ``after``, or null when they are equal), ``outputs``, ``inputs``,
        ``params`` and ``metrics`` (lists of what is not equal: ``name``, ``before``, ``after``, for numbers also
        ``delta``; a side that does not have it is null; outputs and inputs are given by their hashes).
    :rtype: dictionary
    """
    tk.check_access("mlops_version_diff", context, data_dict)
    session = cast(Session, context["session"])
    found = {side: _version(context, data_dict[side]) for side in ("before", "after")}
    heads = revisions.branches(session, {version.package_id for version, _ in found.values()})
    sides = {
        side: version_dict(version, heads) | {"dataset": own.name(version.package_id)}
        for side, (version, own) in found.items()
    }
    return {**sides, "changes": changes(sides["after"]["facts"], sides["before"]["facts"])}


@tk.side_effect_free
@validated(schema.version_diff)
def mlops_file_diff(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Which files differ between two versions, and how much of the later one the earlier one had already.

    Folders are opened by the lists of files that their DVC remotes keep, where this portal was told how to read the
    remote (``ckanext.mlops.storage``); others are compared as a whole, and are in ``unknown`` with the reason.

    :param before: id of a version
    :type before: string
    :param after: id of the other version
    :type after: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_file_diff?before=5b0c…&after=91fe…'

    :returns: ``added``, ``removed``, ``changed``, ``unchanged`` (paths), ``reused`` (of ``total`` files of the later
        version: content that the earlier one had, at whatever path), ``share_reused`` (0 to 1, of what ``share_of``
        says: ``bytes`` or ``files``; null when a folder is unknown), ``bytes_before``, ``bytes_after``, ``bytes_new``,
        ``bytes_gone`` (null where a size is not known), ``files`` (each ``path``, ``change``, ``before`` and ``after``:
        hashes, ``size_before``, ``size_after``, ``moved_from``), ``unknown`` (each ``path``, ``why``), ``columns``
        (each ``path`` of a table that a worker looked at and ``differences``: ``name``, ``before`` and ``after``, the
        column's types or null) and ``command``: what tells it in a clone of the repository
    :rtype: dictionary
    """
    tk.check_access("mlops_file_diff", context, data_dict)
    sides = [_version(context, data_dict[side])[0] for side in ("before", "after")]
    packages = [model.Package.get(side.package_id) for side in sides]
    urls = {str(each.id): str((each.extras or {}).get("dvc_repository") or "") for each in packages if each}
    return file_diff.between(context, sides[0], sides[1], urls)


def _version(context: Context, version_id: str) -> tuple[Version, Chain]:
    version = cast(Session, context["session"]).get(Version, version_id, populate_existing=True)
    package = model.Package.get(version.package_id) if version is not None else None
    if version is None or package is None:
        raise tk.ObjectNotFound(tk._("Version not found"))
    return version, chain(context, package)
