"""Rows of ours that go when CKAN purges a dataset, in the same transaction, whoever purges it.

ckanext-harvest clears a source by SQL of its own, which nobody hears: :mod:`.harvester` forgets its datasets then.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapper, Session, object_session

from ckanext.mlops.model import (
    choices,
    hashes,
    lineage,
    link_hints,
    links,
    plans,
    revisions,
    searches,
    transfers,
    versions,
)
from ckanext.mlops.model.tables import Asked, Pushed, Settled


def register() -> None:
    """Listen to purges; doing it twice is doing it once."""
    if not event.contains(model.Package, "after_delete", _purged):
        event.listen(model.Package, "after_delete", _purged)


def _purged(_mapper: Mapper[Any], _connection: Connection, package: model.Package) -> None:
    session = object_session(package)
    if session is None:
        return
    if package.type == "harvest":
        forget_source(session, str(package.id))
        for table in (Pushed, Asked):
            session.execute(sa.delete(table).where(table.source_id == package.id))
    forget_datasets(session, [str(package.id)])


def forget_source(session: Session, source_id: str) -> None:
    """Delete what is known of a harvest source beside its datasets. The caller commits."""
    revisions.delete_of_source(session, source_id)
    plans.delete_of_source(session, source_id)
    session.execute(sa.delete(Settled).where(Settled.source_id == source_id))


def forget_datasets(session: Session, package_ids: Collection[str]) -> None:
    """Delete what is known of datasets that go. The caller commits."""
    for each in (versions, choices, lineage, hashes, transfers, searches, links, link_hints):
        each.delete_of_packages(session, package_ids)
