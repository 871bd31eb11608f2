"""Apply: write changes to the catalog, any number of them in one database transaction.

Versions, lineage and the harvest objects' marks are written first, for all of them at once; then CKAN's own
``package_create`` or ``package_update`` is called for each, with its validation, hooks and activities. The caller
(:mod:`batches`) brings the search index up to date and commits: everything is kept, or nothing. Applying a change
again, after a process was killed, changes nothing: ids are computed, and a harvest object that is current was applied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib import helpers
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.model import HarvestObject, HarvestObjectExtra
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import ownership, undo
from ckanext.mlops.catalog.datasets import Dataset
from ckanext.mlops.catalog.plan import Change
from ckanext.mlops.catalog.weburl import import_uri
from ckanext.mlops.core import naming
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.harvesting import memory, owning
from ckanext.mlops.logic import creating, deferred, shown, updating
from ckanext.mlops.model import hashes, lineage, versions
from ckanext.mlops.model.tables import utc_now

_COLUMNS = ("url", "name", "description", "format", "mimetype", "hash", "size")
_NULLABLE = ("name", "mimetype", "size")
_UNSYNCHRONIZED = {"synchronize_session": False}


class NotApplied(MlopsError):
    """A change cannot be applied; the message says why and what can be done."""


class Failed(Exception):
    """One harvest object of several cannot be applied; its transaction is lost. ``__cause__`` says why."""

    def __init__(self, object_id: str) -> None:
        super().__init__(object_id)
        self.object_id = object_id


@dataclass(frozen=True)
class Applied:
    """What was done to a dataset: ``written`` is False when it was as it should be already.

    :param known: whether a harvest had written the dataset before
    :param activity: the kind of its entry in the activity stream that is to be noted: :func:`creating.note_activities`
    """

    package_id: str
    written: bool
    conflicts: tuple[ownership.Conflict, ...] = ()
    known: bool = True
    activity: str = ""


@dataclass
class _Item:
    """One change on its way: ``before`` is the harvest object that the dataset is of until now."""

    object: HarvestObject
    change: Change
    dataset: Dataset
    before: HarvestObject | None = None
    portal: dict[str, Any] | None = None
    merged: dict[str, Any] = field(default_factory=dict)
    conflicts: list[ownership.Conflict] = field(default_factory=list)
    refs: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def package_id(self) -> str:
        return str(self.dataset.package["id"])


def apply(objects: Sequence[HarvestObject], user: str) -> dict[str, Applied]:
    """Write the changes that ``objects`` hold: object id → what was done. The caller indexes and commits.

    :raises Failed: one of them cannot be written; the transaction was rolled back, or has to be
    """
    session = model.Session()
    items = [_item(each) for each in objects]
    ids = sorted(item.package_id for item in items)
    # Workers that got the same dataset take turns; the locks end with the transaction.
    session.execute(
        sa.text(
            "SELECT pg_advisory_xact_lock(hashtextextended(id, 0)) FROM (SELECT unnest(CAST(:ids AS text[])) AS id "
            "ORDER BY 1) AS sorted"
        ),
        {"ids": ids},
    )
    session.scalars(
        sa.select(HarvestObject)
        .where(HarvestObject.id.in_([item.object.id for item in items]))
        .execution_options(populate_existing=True)
    ).all()
    portals = shown.pages(session, ids)
    last = owning.last(session, ids)
    done: dict[str, Applied] = {}
    work = []
    for item in items:
        with _Blamed(item):
            item.before = _owned(item, last.get(item.package_id, []), portals.get(item.package_id))
            if item.object.current:
                done[str(item.object.id)] = Applied(item.package_id, written=True)
                continue
            if item.before is not None and item.before.gathered > item.object.gathered:
                done[str(item.object.id)] = Applied(item.package_id, written=False)
                continue
            item.merged = dict(item.dataset.package)
            if item.package_id in portals:
                item.portal = portals[item.package_id]
                item.merged, item.conflicts = ownership.merge(
                    _remembered(item.before), item.dataset.package, item.portal
                )
            work.append(item)
    _carry_conflicts(session, work)
    if work:
        refs = versions.refs(session, [item.package_id for item in work if item.portal is not None])
        for item in work:
            item.refs = refs.get(item.package_id, {})
        _write_rows(session, work)
        _mark(session, work)
        new = [item for item in work if item.portal is None]
        if new:
            _create(session, new, user)
    for item in work:
        with _Blamed(item):
            done[str(item.object.id)] = _write(session, item, user)
    return done


def _carry_conflicts(session: Session, items: Sequence[_Item]) -> None:
    """A conflict that nobody decided stays one, although Git says nothing new by now."""
    earlier = {str(item.before.id): item for item in items if item.before is not None and item.portal is not None}
    extra = HarvestObjectExtra
    rows = sa.select(extra.harvest_object_id, extra.value).where(
        extra.harvest_object_id.in_(earlier), extra.key == memory.CONFLICTS
    )
    for row in session.execute(rows) if earlier else ():
        item = earlier[row.harvest_object_id]
        before = [ownership.Conflict(**each) for each in json.loads(row.value)]
        item.conflicts += ownership.still(before, item.conflicts, item.dataset.package, item.portal or {})


def _item(harvest_object: HarvestObject) -> _Item:
    item = _Item(harvest_object, Change("unchanged", str(harvest_object.guid)), Dataset("", {}))
    with _Blamed(item):
        item.change = memory.change_of(str(harvest_object.content or ""))
        if item.change.after is None:
            raise NotApplied(f"{item.change.guid}: the harvest object says nothing to write.")
        item.dataset = for_portal(item.change.after)
    return item


class _Blamed:
    """Says which object an error is of."""

    def __init__(self, item: _Item) -> None:
        self.object_id = str(item.object.id)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, Failed):
            raise Failed(self.object_id) from error


def _create(session: Session, items: Sequence[_Item], user: str) -> None:
    taken = _names(session, items)
    packages = [_filled(item.merged) | {"name": _free_name(item.dataset, taken)} for item in items]
    of = {item.package_id: item for item in items}
    if creating.possible():
        creating.create(session, packages, user, lambda package_id: _Blamed(of[package_id]))
        return
    for item, package in zip(items, packages, strict=True):
        with _Blamed(item):
            tk.get_action("package_create")(_context(user), package)


def _write(session: Session, item: _Item, user: str) -> Applied:
    written, activity = True, "new" if item.portal is None and creating.possible() else ""
    if item.portal is not None and updating.possible(item.portal):
        filled = _to_update(session, item.merged, item.portal)
        written = filled is not None
        activity = "changed" if filled is not None and updating.update(session, filled, item.portal, user) else ""
    elif item.portal is not None:
        written = update(session, item.merged, item.portal, user)
    return Applied(item.package_id, written, tuple(item.conflicts), known=item.before is not None, activity=activity)


def update(session: Session, package: Mapping[str, Any], portal: Mapping[str, Any], user: str) -> bool:
    """Make a dataset that ``portal`` shows equal to ``package``; False when it is. The caller indexes and commits."""
    filled = _to_update(session, package, portal)
    if filled is not None:
        deferred.package_update(session, _context(user), filled)
    return filled is not None


def _to_update(session: Session, package: Mapping[str, Any], portal: Mapping[str, Any]) -> dict[str, Any] | None:
    """What makes the dataset equal to ``package``; None when it is."""
    if not ownership.changed(package, portal):
        return None
    _clear(session, package, portal)
    filled = _filled(package)
    filled.pop("metadata_modified", None)
    return filled


def _context(user: str) -> Context:
    return {
        "session": model.Session(),
        "user": user,
        "ignore_auth": True,
        "defer_commit": True,
        "return_id_only": True,
    }


def _remembered(before: HarvestObject | None) -> dict[str, Any] | None:
    try:
        return for_portal(memory.dataset_of(str(before.content or ""))).package if before is not None else None
    except ValueError:
        return None


def for_portal(dataset: Dataset) -> Dataset:
    """The dataset as CKAN would store it, where CKAN rewrites values."""
    resources = [
        each | {"format": helpers.unified_resource_format(each["format"]) if each["format"] else ""}
        for each in dataset.package["resources"]
    ]
    return replace(dataset, package=dataset.package | {"resources": resources})


def _owned(item: _Item, rows: list[owning.Row], portal: Mapping[str, Any] | None) -> HarvestObject | None:
    """The harvest object that the dataset is of now.

    :param portal: the dataset as it is, None when there is none yet
    :raises NotApplied: it is another source's, or another organization's
    """
    own_source, guid = str(item.object.harvest_source_id), str(item.object.guid)
    owner_org = None if portal is None else str(portal.get("owner_org") or "")
    refused = owning.refusal(guid, own_source, str(item.dataset.package.get("owner_org") or ""), rows, owner_org)
    if refused:
        raise NotApplied(refused)
    return next((last for last, source in rows if source.id == own_source), rows[0][0] if rows else None)


def _write_rows(session: Session, items: Sequence[_Item]) -> None:
    now = utc_now()
    versions.store_all(session, {item.package_id: item.dataset.versions for item in items}, now)
    lineage.store_harvested_all(session, {item.package_id: item.dataset.edges for item in items}, now)
    hashes.store_harvested(
        session,
        {item.package_id: (item.dataset.guid, item.dataset.versions, item.dataset.edges) for item in items},
    )
    _relink(session, [item.dataset for item in items if item.change.kind != "retired"])


def _relink(session: Session, datasets: Iterable[Dataset]) -> None:
    """Imports from these datasets that were harvested before they were known here become edges to them."""
    lineage.relink(
        session,
        {
            import_uri(dataset.package["dvc_repository"], each["dvc_path"]): (dataset.package["id"], each["id"])
            for dataset in datasets
            for each in dataset.package["resources"]
        },
    )


def _mark(session: Session, items: Sequence[_Item]) -> None:
    """Make the objects the current ones of their datasets, with what a plan needs to know of them."""
    objects = [str(item.object.id) for item in items]
    session.execute(
        sa.update(HarvestObject)
        .where(
            HarvestObject.package_id.in_([item.package_id for item in items]),
            HarvestObject.id.not_in(objects),
            HarvestObject.current,
        )
        .values(current=False),
        execution_options=_UNSYNCHRONIZED,
    )
    session.execute(
        sa.delete(HarvestObjectExtra).where(
            HarvestObjectExtra.harvest_object_id.in_(objects),
            HarvestObjectExtra.key.in_([memory.STATE, memory.REFS, memory.CONFLICTS, memory.UNDO]),
        ),
        execution_options=_UNSYNCHRONIZED,
    )
    rows = []
    for item in items:
        extras = memory.state_of(item.change)
        if item.conflicts:
            extras[memory.CONFLICTS] = json.dumps([each.to_dict() for each in item.conflicts], default=str)
        if item.portal is not None:
            extras[memory.UNDO] = _undo(item)
        rows += [
            {"id": model.types.make_uuid(), "harvest_object_id": item.object.id, "key": key, "value": value}
            for key, value in extras.items()
        ]
        marked: Any = item.object
        marked.current = True
        marked.package_id = item.package_id
    session.execute(sa.insert(HarvestObjectExtra), rows)
    # The packages come after their objects.
    session.execute(sa.text("SET CONSTRAINTS harvest_object_package_id_fkey DEFERRED"))
    session.flush()


def _undo(item: _Item) -> str:
    """What takes the write back: the fields that it changes, and the branches and tags that versions showed."""
    given = {row["id"]: row["refs"] for row in item.dataset.versions}
    refs = {version: shown for version, shown in item.refs.items() if shown != given.get(version, [])}
    return json.dumps(undo.difference(item.portal or {}, item.merged) | {"refs": refs}, default=str)


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


def _names(session: Session, items: Iterable[_Item]) -> set[str]:
    """Which of the new datasets' names are taken."""
    names = [item.dataset.package["name"] for item in items if item.portal is None]
    return set(session.scalars(sa.select(model.Package.name).where(model.Package.name.in_(names)))) if names else set()


def _free_name(dataset: Dataset, taken: set[str]) -> str:
    name = str(dataset.package["name"])
    if name in taken:
        name = naming.package_name_unique(dataset.package["dvc_repository"], dataset.guid.split("#", 1)[1])
    taken.add(name)
    return name
