"""What the portal remembers of earlier harvests: it is kept with the current harvest object of each dataset.

The object's ``content`` is the change that was applied (:meth:`Change.to_dict`); its extra :data:`STATE` says what a
plan needs to know of it without reading the content, and :data:`REFS` which branches and tags it showed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.model.types import make_uuid
from ckanext.harvest.model import HarvestObject, HarvestObjectExtra
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from ckanext.mlops.catalog import ownership
from ckanext.mlops.catalog.datasets import Dataset
from ckanext.mlops.catalog.edges import Upstream
from ckanext.mlops.catalog.plan import Change, Known
from ckanext.mlops.core import naming
from ckanext.mlops.model.tables import Version

STATE = "mlops_state"
REFS = "mlops_refs"
CONFLICTS = "mlops_conflicts"
UNDO = "mlops_undo"
REVERTED = "mlops_reverted"
#: Of what was made of records that somebody sent; nobody but the sender says that they are the repository's.
SENT = "mlops_sent"
#: Of the content's layout: what another layout wrote is not remembered, so the dataset is harvested anew.
FORMAT = 1


@dataclass(frozen=True)
class Memory:
    """The datasets of one source: guid → :class:`Known`, and guid → id of the harvest object that says so."""

    known: dict[str, Known]
    objects: dict[str, str]


def recall(session: Session, source_id: str) -> Memory:
    """What the last harvests of a source left; two columns per dataset, no contents. Purged datasets are forgotten."""
    refs = aliased(HarvestObjectExtra)
    rows = session.execute(
        sa.select(HarvestObject.id, HarvestObject.guid, HarvestObjectExtra.value, refs.value.label("refs"))
        .join(HarvestObjectExtra, sa.and_(HarvestObjectExtra.harvest_object_id == HarvestObject.id, _is(STATE)))
        .join(model.Package, model.Package.id == HarvestObject.package_id)
        .outerjoin(refs, sa.and_(refs.harvest_object_id == HarvestObject.id, refs.key == REFS))
        .where(HarvestObject.harvest_source_id == source_id, HarvestObject.current)
    ).all()
    known, objects = {}, {}
    for row in rows:
        state = _json(row.value)
        if state.get("format") == FORMAT:
            known[row.guid] = Known(state["digest"], row.refs or "", state["retired"], state["title"])
            objects[row.guid] = row.id
    return Memory(known, objects)


def was_sent() -> sa.ColumnElement[bool]:
    """Whether a :class:`HarvestObject` was made of records that somebody sent."""
    return sa.exists().where(HarvestObjectExtra.harvest_object_id == HarvestObject.id, _is(SENT))


def note_sent(session: Session, object_ids: Iterable[str]) -> None:
    """Note that these harvest objects were made of records that somebody sent."""
    rows = [{"id": make_uuid(), "harvest_object_id": each, "key": SENT, "value": ""} for each in object_ids]
    if rows:
        session.execute(sa.insert(HarvestObjectExtra), rows)


def note_read(session: Session, source_id: str, object_ids: Iterable[str]) -> None:
    """Note that the repository says what these harvest objects of a source do: it was fetched, they are unchanged."""
    marked = session.scalars(
        sa.select(HarvestObject.id).where(
            HarvestObject.harvest_source_id == source_id, HarvestObject.current, was_sent()
        )
    ).all()
    read = set(marked) & set(object_ids) if marked else ()
    if read:
        session.execute(
            sa.delete(HarvestObjectExtra).where(HarvestObjectExtra.harvest_object_id.in_(read), _is(SENT)),
            execution_options={"synchronize_session": False},
        )


def _is(key: str) -> sa.ColumnElement[bool]:
    return HarvestObjectExtra.key == key


def reader(session: Session, memory: Memory) -> Callable[[str], Dataset]:
    """Reads the dataset of a guid as it was harvested last."""

    def before(guid: str) -> Dataset:
        content = session.scalar(sa.select(HarvestObject.content).where(HarvestObject.id == memory.objects[guid]))
        return dataset_of(content)

    return before


def dataset_of(content: str | None) -> Dataset:
    """The dataset that a harvest object's content describes.

    :raises ValueError: the content is not of this layout
    """
    try:
        after = change_of(content).after
    except (KeyError, TypeError) as error:
        raise ValueError("the harvest object was written by another version of ckanext-mlops") from error
    if after is None:
        raise ValueError("the harvest object describes no dataset")
    return after


def content_of(change: Change) -> str:
    """The content of the harvest object that is to apply ``change``."""
    return json.dumps({"format": FORMAT, **change.to_dict()}, ensure_ascii=False)


def change_of(content: str | None) -> Change:
    """The change in a harvest object's content.

    :raises ValueError: it is not of this layout
    """
    data = _json(content)
    if data.pop("format", None) != FORMAT:
        raise ValueError("the harvest object was written by another version of ckanext-mlops")
    return Change.from_dict(data)


def state_of(change: Change) -> dict[str, str]:
    """Extras of the harvest object once ``change`` is applied."""
    if change.after is None:
        raise ValueError(f"{change.guid}: nothing to remember of an unchanged dataset")
    state = {
        "format": FORMAT,
        "kind": change.kind,
        "digest": change.after.digest,
        "retired": change.kind == "retired",
        "title": change.title,
        "reason": change.reason,
    }
    return {STATE: json.dumps(state, ensure_ascii=False), REFS: change.after.refs_digest}


def _json(text: str | None) -> dict[str, Any]:
    data = json.loads(text or "{}")
    return data if isinstance(data, dict) else {}


def upstreams(session: Session, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Upstream]:
    """What the catalog has of outputs of other repositories: (repository key, path) → dataset and resource.

    One query for each repository that is imported from.
    """
    paths: dict[str, set[str]] = {}
    for key, path in wanted:
        paths.setdefault(key, set()).add(path)
    found: dict[tuple[str, str], Upstream] = {}
    extras: Any = model.Resource.extras
    for key, names in sorted(paths.items()):
        rows = session.execute(
            sa.select(HarvestObject.guid, model.Resource.id, model.Resource.package_id, extras)
            .join(model.Resource, model.Resource.package_id == HarvestObject.package_id)
            .where(
                HarvestObject.current,
                HarvestObject.guid.startswith(f"{key}#", autoescape=True),
                model.Resource.state == "active",
            )
            .order_by(HarvestObject.guid)
        ).all()
        for row in rows:
            path = str((row.extras or {}).get("dvc_path") or "")
            if path in names:
                label = f"{naming.repository_name(key)}: {path}"
                found.setdefault((key, path), Upstream(row.package_id, row.id, label))
    return found


def conflicts(session: Session, job_id: str) -> dict[str, tuple[str, ...]]:
    """Of one job: guid → the fields whose value a person owns although Git says something else."""
    rows = session.execute(
        sa.select(HarvestObject.guid, HarvestObjectExtra.value)
        .join(HarvestObjectExtra, sa.and_(HarvestObjectExtra.harvest_object_id == HarvestObject.id, _is(CONFLICTS)))
        .where(HarvestObject.harvest_job_id == job_id)
    ).all()
    return {row.guid: _labels(row.value) for row in rows}


def conflicts_of(session: Session, object_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Harvest object id → the fields whose value a person owns although Git says something else."""
    rows = session.execute(
        sa.select(HarvestObjectExtra.harvest_object_id, HarvestObjectExtra.value).where(
            HarvestObjectExtra.harvest_object_id.in_(list(object_ids)), _is(CONFLICTS)
        )
    ).all()
    return {row[0]: _labels(row[1]) for row in rows}


def _labels(text: str) -> tuple[str, ...]:
    return tuple(sorted({ownership.label(each) for each in json.loads(text)}))


def all_edges(session: Session) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The harvested edges of every dataset: its id, and the edges into it. One dataset in memory at a time.

    Those of versions that the repository no longer shows are in what earlier harvests left.
    """
    left = sa.exists().where(Version.package_id == HarvestObject.package_id, Version.refs == sa.literal([], JSONB))
    taken_back = sa.exists().where(
        HarvestObjectExtra.harvest_object_id == HarvestObject.id, HarvestObjectExtra.key == REVERTED
    )
    state = aliased(HarvestObjectExtra)
    rows = session.execute(
        sa.select(HarvestObject.package_id, HarvestObject.current, HarvestObject.content)
        .join(state, sa.and_(state.harvest_object_id == HarvestObject.id, state.key == STATE))
        .where(HarvestObject.package_id.is_not(None), ~taken_back, sa.or_(HarvestObject.current, left))
        .order_by(HarvestObject.package_id, HarvestObject.current.desc(), HarvestObject.gathered.desc()),
        execution_options={"yield_per": 50},
    )
    for package_id, objects in itertools.groupby(rows, key=lambda row: str(row.package_id)):
        seen = {
            row.id: {"first_seen": row.first_seen, "last_seen": row.last_seen}
            for row in session.execute(
                sa.select(Version.id, Version.first_seen, Version.last_seen).where(Version.package_id == package_id)
            )
        }
        edges: list[dict[str, Any]] = []
        known: set[str] = set()
        for row in objects:
            try:
                dataset = dataset_of(row.content)
            except ValueError:
                continue
            told = {version["id"] for version in dataset.versions} - known
            mine = [edge for edge in dataset.edges if edge["version_id"] in told & seen.keys()]
            edges += [edge | seen[edge["version_id"]] | ({} if row.current else {"current": False}) for edge in mine]
            known |= told
        yield package_id, edges
