"""Branches and tags that moved over datasets which a harvest leaves alone, and the revisions that a source shows.

They are written with the plan, without a change of the datasets; where the plan waits for approval, with its approval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from ckanext.harvest.model import HarvestObjectExtra
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from ckanext.mlops.harvesting import memory
from ckanext.mlops.model import plans
from ckanext.mlops.model import revisions as revision_store
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Version
from ckanext.mlops.search import overdue

#: guid → (version id → refs, digest of all of the dataset's refs)
Moved = Mapping[str, tuple[dict[str, Any], str]]
_UNSYNCHRONIZED = {"synchronize_session": False}


def write(
    session: Session,
    job_id: str,
    source_id: str,
    remembered: memory.Memory,
    moved: Moved,
    repository: str,
    revisions: list[dict[str, Any]],
) -> None:
    """Note what the source shows now, and with the plan what it showed before. The caller commits and indexes.

    :param repository, revisions: as :func:`revision_store.store` takes them
    """
    known = {guid: each for guid, each in moved.items() if guid in remembered.objects}
    if known:
        before = _shown(session, (version for refs, _ in known.values() for version in refs))
        kept = {
            guid: [
                remembered.objects[guid],
                {version: before.get(version, []) for version in refs},
                remembered.known[guid].refs_digest,
                digest,
            ]
            for guid, (refs, digest) in known.items()
        }
        plans.write(session, job_id, source_id, facts={"moved": kept})
        refresh(session, remembered.objects, known, before)
    branches = revision_store.moved_branches(session, source_id, revisions)
    if any(branches.values()):
        plans.write(session, job_id, source_id, facts={"branches": branches})
    revision_store.store(session, source_id, repository, revisions)


def keep(
    session: Session, job_id: str, source_id: str, moved: Moved, repository: str, revisions: list[dict[str, Any]]
) -> None:
    """Keep what :func:`write` would write until the plan is approved. The caller commits."""
    rows = [{**row, "committed": row["committed"] and str(row["committed"])} for row in revisions]
    waiting = {"moved": {guid: list(each) for guid, each in moved.items()}, "revisions": rows, "repository": repository}
    plans.write(session, job_id, source_id, facts={"waiting": waiting})


def release(session: Session, job_id: str) -> None:
    """Write what was kept for the approved plan. The caller commits and indexes."""
    row = plans.get(session, job_id)
    waiting = row.facts.get("waiting") if row is not None else None
    if row is None or not waiting:
        return
    moved = {guid: (refs, digest) for guid, (refs, digest) in waiting["moved"].items()}
    remembered = memory.recall(session, row.source_id)
    write(session, job_id, row.source_id, remembered, moved, waiting["repository"], waiting["revisions"])
    plans.write(session, job_id, row.source_id, facts={"waiting": None})


def digest_of(session: Session, object_id: str) -> str:
    """What a harvest object remembers of the branches and tags that its dataset's versions show."""
    extra = HarvestObjectExtra
    return (
        session.scalar(sa.select(extra.value).where(extra.harvest_object_id == object_id, extra.key == memory.REFS))
        or ""
    )


def refresh(
    session: Session, objects: Mapping[str, str], moved: Moved, before: Mapping[str, list[dict[str, Any]]] | None = None
) -> None:
    """Let versions show other branches and tags. The caller commits, and begins to index (:mod:`.search.overdue`).

    :param objects: guid → harvest object id
    :param before: version id → what it shows so far, where that was read already
    """
    rows = [{"id": key, "refs": shown} for each, _ in moved.values() for key, shown in each.items()]
    marks = [{"id": objects[guid], "refs": digest} for guid, (_, digest) in moved.items()]
    if not marks:
        return
    if before is None:
        before = _shown(session, (row["id"] for row in rows))
    # One statement for all of them: a commit moves the branch of every dataset that it leaves alone.
    new = _table(rows, sa.column("refs", JSONB))
    session.execute(
        sa.update(Version).where(Version.id == new.c.id).values(refs=new.c.refs), execution_options=_UNSYNCHRONIZED
    )
    new = _table(marks, sa.column("refs", sa.UnicodeText))
    session.execute(
        sa.update(HarvestObjectExtra)
        .where(HarvestObjectExtra.harvest_object_id == new.c.id, HarvestObjectExtra.key == memory.REFS)
        .values(value=new.c.refs),
        execution_options=_UNSYNCHRONIZED,
    )
    _note(session, [row["id"] for row in rows if _names(row["refs"]) != _names(before.get(row["id"], ()))])


def _note(session: Session, version_ids: list[str]) -> None:
    """Let datasets be found by the names that they are shown by now, once that is committed.

    A branch that moves on keeps its name: what it leaves alone is not indexed again at each commit; its head is looked
    up when it is searched for (:mod:`ckanext.mlops.search.query`).
    """
    wanted = sa.select(Version.package_id).where(Version.id == sa.any_(texts(version_ids))).distinct()
    if version_ids:
        overdue.note(session, session.scalars(wanted))


def _names(shown: Iterable[Mapping[str, Any]]) -> set[tuple[Any, Any]]:
    return {(each.get("kind"), each["name"]) for each in shown}


def _shown(session: Session, version_ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    rows = sa.select(Version.id, Version.refs).where(Version.id == sa.any_(texts(version_ids)))
    return dict(session.execute(rows).tuples().all())


def _table(rows: list[dict[str, Any]], column: sa.ColumnClause[Any]) -> Any:
    """Rows with an ``id`` and one more column, as a table of a statement."""
    function = sa.func.jsonb_to_recordset(sa.literal(rows, JSONB))
    return function.table_valued(sa.column("id", sa.UnicodeText), column).render_derived(with_types=True)
