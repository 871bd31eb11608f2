"""Actions on repositories and their refs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops.logic import repositories
from ckanext.mlops.logic.harvest_sources import sources_of
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import versions as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.logic.versions import chain
from ckanext.mlops.model import refs
from ckanext.mlops.search.cards import cards


@tk.side_effect_free
@validated(common.object_show)
def mlops_repository_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """A repository: its datasets, branches and tags, and the harvest sources that read it.

    :param id: id of the repository, as in the address of its page (``titanic-3f2a9c01``)
    :type id: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_repository_show?id=titanic-3f2a9c01'

    :returns: ``id``, ``name``, ``url`` (of the repository), ``page`` (here), ``count`` of its datasets, ``datasets``
        (those that you may see, at most 1000, by stage), ``hidden`` (how many more there are that you may not see),
        ``versions`` (their number), ``refs`` (the branches and tags that show these datasets: ``name``, ``kind``,
        ``commit``, ``committed``, ``datasets``) and ``sources`` (harvest sources that you may see: ``id``, ``name``,
        ``title``, ``page``, ``last_harvest`` with ``status``, ``created``, ``finished`` and ``stats``, or null).

        A dataset has ``id``, ``name``, ``title``, ``page``, ``stage``, ``files``, ``size`` in bytes or null,
        ``versions`` (with those of the datasets that it goes on from), ``newest`` (when its newest version was
        committed), ``used_by``, ``runs``, ``retired`` and ``private``.
    :rtype: dictionary
    """
    tk.check_access("mlops_repository_show", context, data_dict)
    session = cast(Session, context["session"]())
    seen = repositories.show(context, data_dict["id"])
    ids = [each["id"] for each in seen.datasets]
    told = cards(context, seen.datasets)
    return {
        "id": seen.id,
        "name": seen.name,
        "url": seen.url,
        "page": tk.url_for("mlops_repository.show", id=seen.id, qualified=True),
        "count": seen.count,
        "hidden": seen.hidden,
        "datasets": [_dataset(each, asdict(told[each["id"]])) for each in seen.datasets],
        "versions": refs.count_versions(session, ids),
        "refs": [_ref(each) for each in refs.of_datasets(session, ids, common.MAX_PAGE)],
        "sources": sources_of(context, ids),
    }


@tk.side_effect_free
@validated(schema.ref_list)
def mlops_ref_list(context: Context, data_dict: DataDict) -> list[dict[str, Any]]:
    """The branches and tags at which a dataset is known: the points in time that its lineage can be asked for.

    Those of the datasets that it goes on from under another address are among them, as far as you may see these.

    :param id: id or name of the dataset
    :type id: string
    :param limit: at most so many, 1 to 1000 (optional, default: 200); tags come first, then the newest
    :type limit: int

    Example::

        curl 'https://portal.example/api/3/action/mlops_ref_list?id=titanic-train'

    :returns: dictionaries with ``name``, ``kind`` (``tag``, ``branch``, ``experiment`` or ``commit``), ``commit`` and
        ``committed`` (when the version that it shows was committed)
    :rtype: list of dictionaries
    """
    tk.check_access("mlops_ref_list", context, data_dict)
    package = model.Package.get(data_dict["id"])
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    session = cast(Session, context["session"]())
    return [_ref(each) for each in refs.of_datasets(session, chain(context, package).ids, data_dict["limit"])]


def _ref(ref: refs.Ref) -> dict[str, Any]:
    return asdict(ref) | {"committed": None if ref.committed is None else ref.committed.isoformat()}


def _dataset(package: dict[str, Any], card: dict[str, Any]) -> dict[str, Any]:
    newest = card["newest"]
    return {
        "id": package["id"],
        "name": package["name"],
        "title": package.get("title") or package["name"],
        "page": tk.url_for("dataset.read", id=package["name"], qualified=True),
        "stage": card["stage"],
        "files": card["files"],
        "size": card["size"],
        "versions": card["versions"],
        "newest": None if newest is None else newest.isoformat(),
        "used_by": card["used_by"],
        "runs": card["runs"],
        "retired": str(package.get("dvc_retired") or ""),
        "private": bool(package.get("private")),
    }
