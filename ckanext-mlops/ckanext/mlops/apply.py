"""Apply: write one change to the catalog, in one database transaction.

Versions, lineage and the harvest object's marks are written first; ``package_create`` or ``package_update`` then
commits everything at once, or nothing is kept. Applying a change again, after a process was killed, changes nothing:
ids are computed, and a harvest object that is current was applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib import helpers
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.model import HarvestObject, HarvestObjectExtra, HarvestSource
from sqlalchemy.orm import Session

from ckanext.mlops import memory
from ckanext.mlops.catalog import ownership
from ckanext.mlops.catalog.datasets import Dataset
from ckanext.mlops.catalog.plan import Change
from ckanext.mlops.catalog.weburl import import_uri
from ckanext.mlops.core import naming
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.model import lineage, versions
from ckanext.mlops.model.tables import Edge, Version

_COLUMNS = ("url", "name", "description", "format", "mimetype", "hash", "size")
_NULLABLE = ("name", "mimetype", "size")
_UNSYNCHRONIZED = {"synchronize_session": False}


class NotApplied(MlopsError):
    """A change cannot be applied; the message says why and what can be done."""


@dataclass(frozen=True)
class Applied:
    """What was done to a dataset: ``written`` is False when it was as it should be already."""

    package_id: str
    written: bool
    conflicts: tuple[ownership.Conflict, ...] = ()


def apply(harvest_object: HarvestObject, user: str) -> Applied:
    """Write the change that ``harvest_object`` holds, and commit.

    :raises NotApplied: another source has the dataset
    :raises ckan.logic.ValidationError: CKAN does not accept the dataset; nothing was written
    """
    session = model.Session()
    change = memory.change_of(str(harvest_object.content or ""))
    if change.after is None:
        raise NotApplied(f"{change.guid}: the harvest object says nothing to write.")
    dataset = _for_portal(change.after)
    package_id = dataset.package["id"]
    # Workers that got the same message twice take turns; the lock ends with the transaction.
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(package_id, 0))))
    session.refresh(harvest_object)
    if harvest_object.current:
        return Applied(package_id, written=True)
    before = _last(session, harvest_object, package_id)
    if before is not None and before.gathered > harvest_object.gathered:
        return Applied(package_id, written=False)
    portal = _portal(package_id)
    merged, conflicts = dict(dataset.package), list[ownership.Conflict]()
    if portal is not None:
        harvested = _remembered(before)
        merged, conflicts = ownership.merge(harvested, dataset.package, portal)
    _write_rows(session, dataset, change)
    _mark(session, harvest_object, change, package_id, conflicts)
    if portal is None:
        merged = _filled(merged)
        merged["name"] = _free_name(session, dataset)
        session.execute(sa.text("SET CONSTRAINTS harvest_object_package_id_fkey DEFERRED"))
        session.flush()
        tk.get_action("package_create")(_context(user), merged)
    elif ownership.changed(merged, portal):
        _clear(session, merged, portal)
        merged = _filled(merged)
        merged.pop("metadata_modified", None)
        tk.get_action("package_update")(_context(user), merged)
    else:
        session.commit()
        return Applied(package_id, written=False, conflicts=tuple(conflicts))
    session.commit()
    return Applied(package_id, written=True, conflicts=tuple(conflicts))


def refresh_refs(session: Session, objects: Mapping[str, str], moved: Mapping[str, tuple[dict[str, Any], str]]) -> None:
    """Note that branches and tags moved over datasets that did not change. The caller commits.

    :param objects: guid → harvest object id
    :param moved: guid → (version id → refs, new digest of them)
    """
    rows = [{"b_id": key, "b_refs": refs} for each, _ in moved.values() for key, refs in each.items()]
    marks = [{"b_object": objects[guid], "b_digest": digest} for guid, (_, digest) in moved.items()]
    if not marks:
        return
    connection = session.connection()
    table, extra = Version.__table__, HarvestObjectExtra.__table__
    connection.execute(
        sa.update(table).where(table.c.id == sa.bindparam("b_id")).values(refs=sa.bindparam("b_refs")), rows
    )
    connection.execute(
        sa.update(extra)
        .where(extra.c.harvest_object_id == sa.bindparam("b_object"), extra.c.key == memory.REFS)
        .values(value=sa.bindparam("b_digest")),
        marks,
    )


def _context(user: str) -> Context:
    return {"session": model.Session(), "user": user, "ignore_auth": True}


def _portal(package_id: str) -> dict[str, Any] | None:
    if model.Package.get(package_id) is None:
        return None
    # The search index would add fields that are not the dataset's own.
    context: Context = {"ignore_auth": True, "use_cache": False}
    return dict(tk.get_action("package_show")(context, {"id": package_id}))


def _remembered(before: HarvestObject | None) -> dict[str, Any] | None:
    try:
        return _for_portal(memory.dataset_of(str(before.content or ""))).package if before is not None else None
    except ValueError:
        return None


def _for_portal(dataset: Dataset) -> Dataset:
    """The dataset as CKAN would store it, where CKAN rewrites values."""
    for resource in dataset.package["resources"]:
        resource["format"] = helpers.unified_resource_format(resource["format"]) if resource["format"] else ""
    return dataset


def _last(session: Session, harvest_object: HarvestObject, package_id: str) -> HarvestObject | None:
    """The harvest object that the dataset is of now.

    :raises NotApplied: it is another source's
    """
    rows = session.execute(
        sa.select(HarvestObject, HarvestSource)
        .join(HarvestSource, HarvestSource.id == HarvestObject.harvest_source_id)
        .where(HarvestObject.package_id == package_id, HarvestObject.current)
        .order_by(HarvestObject.gathered.desc())
    ).all()
    for _, source in rows:
        if source.id != harvest_object.harvest_source_id and source.active:
            package = model.Package.get(package_id)
            name = package.name if package else package_id
            raise NotApplied(
                f'Dataset "{name}" ({harvest_object.guid}) is harvested by the source "{source.title or source.id}". '
                f"Leave it out here with the option exclude, or delete that source."
            )
    own = next((last for last, source in rows if source.id == harvest_object.harvest_source_id), None)
    return own or (rows[0][0] if rows else None)


def _write_rows(session: Session, dataset: Dataset, change: Change) -> None:
    package_id = dataset.package["id"]
    versions.store(session, package_id, dataset.versions)
    lineage.store_harvested(session, package_id, dataset.edges)
    if change.kind != "retired":
        _relink(session, dataset)


def _relink(session: Session, dataset: Dataset) -> None:
    """Imports from this dataset that were harvested before it was known here become edges to it."""
    repository = dataset.package["dvc_repository"]
    resources = {import_uri(repository, each["dvc_path"]): each["id"] for each in dataset.package["resources"]}
    if not resources:
        return
    found = session.scalars(sa.select(Edge).where(Edge.upstream_uri.in_(resources), Edge.origin == "harvested")).all()
    for edge in found:
        uri = edge.upstream_uri or ""
        key = {"upstream_dataset": dataset.package["id"], "upstream_resource": resources[uri], "upstream_uri": None}
        new = lineage.edge_id(
            edge.downstream_dataset,
            origin=edge.origin,
            path=edge.path,
            version_id=edge.version_id,
            **key,
        )
        if session.get(Edge, new) is None:
            session.execute(
                sa.update(Edge).where(Edge.id == edge.id).values(id=new, **key), execution_options=_UNSYNCHRONIZED
            )
        session.expunge(edge)


def _mark(
    session: Session,
    harvest_object: HarvestObject,
    change: Change,
    package_id: str,
    conflicts: list[ownership.Conflict],
) -> None:
    session.execute(
        sa.update(HarvestObject)
        .where(HarvestObject.package_id == package_id, HarvestObject.id != harvest_object.id, HarvestObject.current)
        .values(current=False),
        execution_options=_UNSYNCHRONIZED,
    )
    session.execute(
        sa.delete(HarvestObjectExtra).where(
            HarvestObjectExtra.harvest_object_id == harvest_object.id,
            HarvestObjectExtra.key.in_([memory.STATE, memory.REFS, memory.CONFLICTS]),
        ),
        execution_options=_UNSYNCHRONIZED,
    )
    extras = memory.state_of(change)
    if conflicts:
        extras[memory.CONFLICTS] = json.dumps([conflict.to_dict() for conflict in conflicts], default=str)
    marked: Any = harvest_object
    marked.current = True
    marked.package_id = package_id
    for key, value in extras.items():
        session.add(HarvestObjectExtra(harvest_object_id=harvest_object.id, key=key, value=value))


def _filled(package: Mapping[str, Any]) -> dict[str, Any]:
    """The dict without empty fields, which validators of dates and numbers refuse; CKAN stores both the same way."""
    filled = {key: value for key, value in package.items() if value not in ("", None)}
    filled["resources"] = [
        {key: value for key, value in resource.items() if value not in ("", None)} for resource in package["resources"]
    ]
    return filled


def _clear(session: Session, merged: Mapping[str, Any], portal: Mapping[str, Any]) -> None:
    """Empty the columns of resources that have a value in the portal and none any more.

    CKAN leaves a column alone when an update does not name it, and validators of schemas drop empty values.
    """
    before = {resource["id"]: resource for resource in portal["resources"]}
    for resource in merged["resources"]:
        known = before.get(resource["id"], {})
        empty = [key for key in _COLUMNS if known.get(key) not in ("", None) and resource.get(key) in ("", None)]
        row = session.get(model.Resource, resource["id"]) if empty else None
        for key in empty:
            setattr(row, key, None if key in _NULLABLE else "")


def _free_name(session: Session, dataset: Dataset) -> str:
    name = dataset.package["name"]
    if session.scalar(sa.select(model.Package.id).where(model.Package.name == name)) is None:
        return name
    return naming.package_name_unique(dataset.package["dvc_repository"], dataset.guid.split("#", 1)[1])
