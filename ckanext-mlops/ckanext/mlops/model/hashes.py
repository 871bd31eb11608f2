"""Which files hold which content: the table ``mlops_file_hash``, and the edges that follow from equal content.

A row is a file of a dataset with one hash of it: an output (``out``), or an input that no stage of its repository
wrote (``dep``), with the versions that have it. Where a content is known at several places, they are joined to one:
the place that *made* it (a stage's output), else the oldest that has it. Edges lead from there to each other file that
is tracked or uploaded, and to each stage that reads it, with origin ``inferred``. Empty and trivial files are left out,
and so are files whose sizes differ. Nothing here commits.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.model.tables import FileHash


def holders(session: Session, content: str, limit: int) -> list[Any]:
    """The files that have the hash now or had it once, those that have it now first."""
    query = sa.select(FileHash).where(FileHash.hash == content, FileHash.side == "out")
    return list(
        session.scalars(query.order_by(FileHash.current.desc(), FileHash.package_id, FileHash.path).limit(limit))
    )
