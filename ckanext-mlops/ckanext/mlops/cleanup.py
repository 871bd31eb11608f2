"""Rows of ours that go when CKAN purges a dataset, in the same transaction, whoever purges it."""

from __future__ import annotations

from typing import Any

from ckan import model
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapper, object_session

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


def register() -> None:
    """Listen to purges; doing it twice is doing it once."""
    if not event.contains(model.Package, "after_delete", _purged):
        event.listen(model.Package, "after_delete", _purged)


def _purged(_mapper: Mapper[Any], _connection: Connection, package: model.Package) -> None:
    session = object_session(package)
    if session is None:
        return
    if package.type == "harvest":
        revisions.delete_of_source(session, package.id)
        plans.delete_of_source(session, package.id)
    versions.delete_dataset(session, package.id)
    choices.delete_dataset(session, package.id)
    lineage.delete_dataset(session, package.id)
    hashes.delete_dataset(session, package.id)
    transfers.delete_dataset(session, package.id)
    searches.delete_dataset(session, package.id)
    links.delete_of_packages(session, [package.id])
    link_hints.delete_of_packages(session, [package.id])
