"""Whether this portal itself read a version from the repository that its dataset names.

Storages and mirrors are opened for a repository. The field ``dvc_repository`` is for people to edit, and the records of
a push are whatever their sender says: neither proves that who shows a file could read it. What a fetch or registration
wrote does: only they compute the ids of versions, from repository, step and content.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from ckanext.harvest.model import HarvestObject
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.harvesting import memory
from ckanext.mlops.model import Version
from ckanext.mlops.model.lineage import texts


class Named(Protocol):
    """A version, or a row with the columns that its id is computed of."""

    id: Any
    package_id: Any
    digest: Any


@dataclass(frozen=True)
class Origin:
    """Where a version is from.

    :param repository: its URL; ``""`` where nothing proves that the version is of it
    :param sent: its records were sent: the portal never read the repository
    """

    repository: str = ""
    sent: bool = False

    @property
    def read(self) -> bool:
        """Whether this portal read it there."""
        return bool(self.repository) and not self.sent


def of(session: Session, repository: str, version: Version) -> Origin:
    """The origin of one version.

    :param repository: what its dataset says
    """
    address = str(version.facts.get("address") or "")
    return of_all(session, repository, [(version, address)])[str(version.id)]


def of_all(session: Session, repository: str, versions: Iterable[tuple[Named, str]]) -> dict[str, Origin]:
    """Version id → origin, of versions with the addresses of their steps; one statement."""
    found: dict[str, Origin] = {}
    harvested: list[tuple[str, str, str]] = []
    for version, address in versions:
        key, package, digest = str(version.id), str(version.package_id), str(version.digest)
        guid = naming.dataset_guid(repository, address)
        registered = repository and key == naming.version_id(naming.registered_guid(package, repository), digest)
        found[key] = Origin(repository) if registered else Origin()
        if repository and key == naming.version_id(guid, digest):
            found[key] = Origin(repository, sent=True)
            harvested.append((key, package, guid))
    fetched = _fetched(session, {package for _, package, _ in harvested})
    return found | {key: Origin(repository) for key, package, guid in harvested if (package, guid) in fetched}


def _fetched(session: Session, packages: Iterable[str]) -> set[tuple[str, str]]:
    """(dataset, guid) of those that are as a harvest found them which fetched their repository."""
    ids = sorted(packages)
    if not ids:
        return set()
    rows = session.execute(
        sa.select(HarvestObject.package_id, HarvestObject.guid).where(
            HarvestObject.package_id == sa.any_(texts(ids)), HarvestObject.current, ~memory.was_sent()
        )
    )
    return {(str(row.package_id), str(row.guid)) for row in rows}
