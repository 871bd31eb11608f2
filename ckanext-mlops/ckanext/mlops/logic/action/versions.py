"""Actions on versions."""

from __future__ import annotations

from typing import Any, cast

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops.logic import schema
from ckanext.mlops.logic.versions import changes, version_dict
from ckanext.mlops.model import Version, versions


@tk.side_effect_free
@tk.validate_action_data(schema.page_of_dataset)
def mlops_version_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The versions of a dataset: every distinct state that its repository showed, newest first.

    :param id: id or name of the dataset
    :type id: string
    :param limit: at most so many, 1 to 1000 (optional, default: 100)
    :type limit: int
    :param offset: after skipping so many (optional, default: 0)
    :type offset: int

    Example::

        curl 'https://portal.example/api/3/action/mlops_version_list?id=titanic-train&limit=10'

    :returns: ``count`` (of all) and ``results``. A version has ``id``, ``package_id``, ``url`` (its page), ``digest``
        (of the state), ``commit`` (the oldest that shows it), ``committed``, ``author``, ``message``, ``refs`` (the
        branches and tags that show it now; empty when none does any more), ``current`` (whether the dataset shows it),
        ``position``, ``first_seen``, ``last_seen`` (by this portal), and ``facts``: ``command``, ``outs``, ``deps``,
        ``params`` and ``metrics`` of the stage. Fields of ``facts`` that are empty are left out.
    :rtype: dictionary
    """
    tk.check_access("mlops_version_list", context, data_dict)
    session = cast(Session, context["session"])
    package = model.Package.get(data_dict["id"])
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    rows = versions.page(session, package.id, data_dict["limit"], data_dict["offset"])
    return {"count": versions.count(session, package.id), "results": [version_dict(row) for row in rows]}


@tk.side_effect_free
@tk.validate_action_data(schema.object_show)
def mlops_version_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """One version of a dataset, and what changed against the one before.

    :param id: id of the version
    :type id: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_version_show?id=5b0c…'

    :returns: the version, as in ``mlops_version_list``, with ``previous`` (id of the next older version, or null) and
        ``changes`` against it (null without one): ``command`` (``before`` and ``after``, or null), ``outputs``,
        ``inputs``, ``params`` and ``metrics`` (lists of ``name``, ``before``, ``after``, for numbers also ``delta``).
    :rtype: dictionary
    """
    tk.check_access("mlops_version_show", context, data_dict)
    session = cast(Session, context["session"])
    version = session.get(Version, data_dict["id"], populate_existing=True)
    if version is None:
        raise tk.ObjectNotFound(tk._("Version not found"))
    older = versions.before(session, version)
    return version_dict(version) | {
        "previous": None if older is None else older.id,
        "changes": None if older is None else changes(version.facts, older.facts),
    }
