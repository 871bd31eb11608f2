"""The revisions that harvest sources showed: what is written to and read from ``mlops_revision``. Nothing commits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

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


def delete_of_source(session: Session, source_id: str) -> None:
    """Forget the revisions of a source."""
    session.execute(sa.delete(Revision).where(Revision.source_id == source_id), execution_options=_UNSYNCHRONIZED)
