"""Actions on the files of a dataset, and on what is known of who took them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.catalog.recipe import recipe
from ckanext.mlops.logic import files
from ckanext.mlops.logic.reader import same_user
from ckanext.mlops.logic.schema import transfer as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model.transfers import Audit


def package_dict(context: Context, package_id: str) -> dict[str, Any]:
    """The dataset as the caller's ``package_show`` gives it."""
    reader = same_user(context)
    found: dict[str, Any] = tk.get_action("package_show")(reader, {"id": package_id})
    return found


@tk.side_effect_free
@validated(schema.at_version)
def mlops_file_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The files of a dataset at one version, and where the portal gives them.

    :param id: id or name of the dataset
    :type id: string
    :param version: a branch, tag, commit or version id (optional, default: the current version)
    :type version: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_file_list?id=titanic-train&version=baseline'

    :returns: ``version`` (id, or null for a dataset that no repository versions), ``commit`` and ``files``: ``path``,
        ``is_dir``, ``hash``, ``algorithm``, ``size``, ``kind`` and ``address``, below the portal's own. A folder's
        address gives a zip archive, with ``manifest=1`` the list of its files.
    :rtype: dictionary
    """
    tk.check_access("mlops_file_list", context, data_dict)
    there = files.at(context, package_dict(context, data_dict["id"]), data_dict["version"])
    return {
        "id": there.package["id"],
        "name": there.package["name"],
        "version": there.version.id if there.version is not None else None,
        "commit": there.commit,
        "files": files.file_dicts(there),
    }


@tk.side_effect_free
@validated(schema.at_version)
def mlops_recipe_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """How to make the outputs of a version again: exact commands, inputs, parameters, hashes that must come out.

    :param id: id or name of the dataset
    :type id: string
    :param version: a branch, tag, commit or version id (optional, default: the current version)
    :type version: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_recipe_show?id=titanic-train&version=baseline'

    :returns: ``repository``, ``commit``, ``stage``, ``command``, ``inputs``, ``params``, ``outputs``, ``commands`` (of
        a shell), ``notes`` (on what is not in Git) and ``format`` (1)
    :rtype: dictionary
    """
    tk.check_access("mlops_recipe_show", context, data_dict)
    there = files.at(context, package_dict(context, data_dict["id"]), data_dict["version"])
    if there.version is None:
        raise tk.ObjectNotFound(tk._("Version not found"))
    return recipe(there.repository, there.commit, there.version.facts)


@tk.side_effect_free
@validated(schema.audit_list)
def mlops_audit_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Who took which files of a dataset, and who was given access to it, newest first.

    :param id: id or name of the dataset
    :type id: string
    :param limit: at most so many (optional, default: 100)
    :type limit: int
    :param offset: after skipping so many (optional, default: 0)
    :type offset: int

    Example::

        curl -H "Authorization: $TOKEN" 'https://portal.example/api/3/action/mlops_audit_list?id=titanic-train'

    :returns: ``count`` and ``results``: ``at``, ``event`` (``download``, ``access_asked``, ``access_granted``,
        ``access_denied``), ``user`` (name, null when anonymous) and ``details``
    :rtype: dictionary
    """
    tk.check_access("mlops_audit_list", context, data_dict)
    package = model.Package.get(data_dict["id"])
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    session = model.Session()
    of_dataset = Audit.package_id == package.id
    rows = session.execute(
        sa.select(Audit, model.User.name)
        .outerjoin(model.User, model.User.id == Audit.user_id)
        .where(of_dataset)
        .order_by(Audit.at.desc(), Audit.id)
        .limit(data_dict["limit"])
        .offset(data_dict["offset"])
    ).all()
    return {
        "count": session.scalar(sa.select(sa.func.count()).select_from(Audit).where(of_dataset)) or 0,
        "results": [
            {"at": f"{row.at:%Y-%m-%dT%H:%M:%SZ}", "event": row.event, "user": name, "details": row.details}
            for row, name in rows
        ],
    }
