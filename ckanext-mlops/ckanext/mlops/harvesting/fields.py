"""What Git and the portal say of a dataset's fields where they differ, and the one click that takes the other.

A field that a person edited stays theirs (:mod:`.catalog.ownership`). Taking what Git says gives the field back to the
repository; what the person had is kept, to go back to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from ckanext.harvest.model import HarvestObject, HarvestObjectExtra
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import ownership
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.harvesting import apply, memory
from ckanext.mlops.logic import shown
from ckanext.mlops.model import choices
from ckanext.mlops.search import together


class NoDifference(MlopsError):
    """Git and the portal say the same of the field by now, or there is nothing to go back to."""


@dataclass(frozen=True)
class Field:
    """A field for which somebody has to decide, or decided.

    :param resource: id of the resource, ``""`` = the dataset; ``path`` names it
    :param conflict: Git says something new since the person edited the field
    :param kept: what the person had, when ``taken``: the portal has Git's value now
    """

    field: str
    git: Any
    portal: Any
    resource: str = ""
    path: str = ""
    conflict: bool = False
    taken: bool = False
    kept: Any = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def of_dataset(session: Session, package_id: str) -> list[Field]:
    """The fields of a harvested dataset that are not as Git says, and those for which Git's value was taken."""
    current = _current(session, package_id)
    if current is None:
        return []
    git, conflicts = current
    portal = shown.page(package_id)
    found = [
        Field(each.field, each.git, each.portal, each.resource, each.path, (each.resource, each.field) in conflicts)
        for each in ownership.differing(git, portal)
    ]
    for (resource, field), choice in choices.of_dataset(session, package_id).items():
        target = _target(portal, resource)
        if target is not None and ownership.same(target.get(field), choice.git):
            path = str(target.get("dvc_path") or "") if resource else ""
            found.append(Field(field, choice.git, target.get(field), resource, path, taken=True, kept=choice.kept))
    return found


def take(session: Session, package_id: str, field: str, resource: str, user: str, user_id: str | None) -> Field:
    """Give a field back to Git. The caller commits and then calls :func:`index`.

    :raises NoDifference: there is nothing to take
    """
    found = _find(session, package_id, field, resource, taken=False)
    kept = {"kept": found.portal, "git": found.git, "user_id": user_id}
    choices.store(session, package_id, resource, field, **kept)
    _set(session, package_id, field, resource, found.git, user)
    return found


def restore(session: Session, package_id: str, field: str, resource: str, user: str) -> Field:
    """Put back what a person had before Git's value was taken. The caller commits and then calls :func:`index`.

    :raises NoDifference: nobody took anything, or it was changed since
    """
    found = _find(session, package_id, field, resource, taken=True)
    choices.delete(session, choices.of_dataset(session, package_id)[resource, field])
    _set(session, package_id, field, resource, found.kept, user)
    return found


def index(package_id: str) -> None:
    """Let the search know."""
    together.index_together([package_id])


def _find(session: Session, package_id: str, field: str, resource: str, *, taken: bool) -> Field:
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(package_id, 0))))
    for each in of_dataset(session, package_id):
        if (each.field, each.resource, each.taken) == (field, resource, taken):
            return each
    if taken:
        raise NoDifference(f"{field}: there is nothing to go back to; the field was changed since, or never taken.")
    raise NoDifference(f"{field}: Git and this portal say the same; there is nothing to take.")


def _current(session: Session, package_id: str) -> tuple[dict[str, Any], set[tuple[str, str]]] | None:
    """What Git said last, and (resource, field) of the conflicts."""
    row = session.execute(
        sa.select(HarvestObject.id, HarvestObject.content).where(
            HarvestObject.package_id == package_id, HarvestObject.current
        )
    ).first()
    if row is None:
        return None
    try:
        git = apply.for_portal(memory.dataset_of(row.content)).package
    except ValueError:
        return None
    extra = HarvestObjectExtra
    text = session.scalar(
        sa.select(extra.value).where(extra.harvest_object_id == row.id, extra.key == memory.CONFLICTS)
    )
    return git, {(str(each["resource"]), str(each["field"])) for each in json.loads(text or "[]")}


def _target(package: Mapping[str, Any], resource: str) -> Any:
    if not resource:
        return package
    return next((each for each in package["resources"] if each["id"] == resource), None)


def _set(session: Session, package_id: str, field: str, resource: str, value: Any, user: str) -> None:
    portal = shown.page(package_id)
    package = portal | {"resources": [dict(each) for each in portal["resources"]]}
    target = _target(package, resource)
    if target is None:
        raise NoDifference(f"{field}: its resource is not there any more.")
    target[field] = value
    apply.update(session, package, portal, user)
