"""The revisions that harvest sources showed: what is written to and read from ``mlops_revision``. Nothing commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from ckanext.harvest.model import HarvestObject
from sqlalchemy.orm import Session

from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Revision
from ckanext.mlops.model.versions import naive_utc

_BATCH = 500
_UNSYNCHRONIZED = {"synchronize_session": False}


def store(session: Session, source_id: str, repository: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make the revisions of a source equal to ``rows`` (:func:`catalog.history.revisions`).

    :param repository: :func:`naming.repository_slug`
    """
    delete_of_source(session, source_id)
    for start in range(0, len(rows), _BATCH):
        session.execute(
            sa.insert(Revision),
            [
                {**row, "committed": naive_utc(row["committed"]), "source_id": source_id, "repository": repository}
                for row in rows[start : start + _BATCH]
            ],
        )


def of_repository(session: Session, repository: str, sources: Collection[str]) -> list[Revision]:
    """All revisions that sources saw of a repository: branches, tags, experiments, commits; each newest first."""
    order = sa.case({"branch": 0, "tag": 1, "experiment": 2}, value=Revision.kind, else_=3)
    return list(
        session.scalars(
            sa.select(Revision)
            .where(Revision.repository == repository, Revision.source_id.in_(sources))
            .order_by(order, Revision.position.desc())
        )
    )


def heads(session: Session, start: str, limit: int) -> list[tuple[str, str]]:
    """(repository, name) of the branches and tags that are at a commit which begins so."""
    query = sa.select(Revision.repository, Revision.name).where(
        Revision.kind.in_(("branch", "tag")), Revision.commit.startswith(start, autoescape=True)
    )
    return list(session.execute(query.distinct().order_by(Revision.repository, Revision.name).limit(limit)).tuples())


def branches(session: Session, package_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """Dataset id → branch → the commit that it was at when the dataset's source was harvested last."""
    own = (
        sa.select(HarvestObject.package_id, HarvestObject.harvest_source_id)
        .where(HarvestObject.package_id == sa.any_(texts(package_ids)), HarvestObject.current)
        .order_by(HarvestObject.gathered)
    )
    source_of = {str(row.package_id): str(row.harvest_source_id) for row in session.execute(own)}
    found: dict[str, dict[str, str]] = {source_id: {} for source_id in source_of.values()}
    rows = sa.select(Revision.source_id, Revision.name, Revision.commit).where(
        Revision.source_id.in_(found), Revision.kind == "branch"
    )
    for row in session.execute(rows) if found else ():
        found[row.source_id][row.name] = row.commit
    return {package_id: found[source_id] for package_id, source_id in source_of.items()}


def moved_branches(session: Session, source_id: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What :func:`put_back` needs after :func:`store` of these rows.

    ``before``: rows, as JSON values, of the branches that moved or went. ``now``: name and commit of those that moved
    or came. Tags and commits are not among it: what they show is so whoever read it.
    """
    now = {row["name"]: row["commit"] for row in rows if row["kind"] == "branch"}
    before = _branches_of(session, source_id)
    moved = [name for name, commit in before.items() if now.get(name) != commit]
    kept = session.execute(sa.select(Revision.__table__).where(_are_branches(source_id, moved))).mappings()
    return {
        "before": [{**row, "committed": row["committed"] and row["committed"].isoformat()} for row in kept],
        "now": [[name, commit] for name, commit in now.items() if before.get(name) != commit],
    }


def put_back(session: Session, source_id: str, moved: Mapping[str, Sequence[Any]]) -> None:
    """Let branches be where they were, but for those that moved on since."""
    there = _branches_of(session, source_id)
    mine = [name for name, commit in moved["now"] if there.get(name) == commit]
    session.execute(sa.delete(Revision).where(_are_branches(source_id, mine)), execution_options=_UNSYNCHRONIZED)
    taken = there.keys() - set(mine)
    rows = [{**row, "committed": naive_utc(row["committed"])} for row in moved["before"] if row["name"] not in taken]
    if rows:
        session.execute(sa.insert(Revision), rows)


def _branches_of(session: Session, source_id: str) -> dict[str, str]:
    """Branch → the commit that it was at."""
    mine = sa.and_(Revision.source_id == source_id, Revision.kind == "branch")
    return dict(session.execute(sa.select(Revision.name, Revision.commit).where(mine)).tuples().all())


def _are_branches(source_id: str, names: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.and_(Revision.source_id == source_id, Revision.kind == "branch", Revision.name == sa.any_(texts(names)))


def delete_of_source(session: Session, source_id: str) -> None:
    """Forget the revisions of a source."""
    session.execute(sa.delete(Revision).where(Revision.source_id == source_id), execution_options=_UNSYNCHRONIZED)
