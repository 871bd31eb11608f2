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

_ABSENT = object()


class NoDifference(MlopsError):
    """Git and the portal say the same of the field by now, or there is nothing to go back to."""


@dataclass(frozen=True)
class Field:
    """A field for which somebody has to decide, or decided.

    :param field: its name; ``tags`` and ``groups`` have lists of names, ``resource`` the resource or None
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
        value = _value(portal, resource, field)
        if value is not _ABSENT and _as_taken(value, choice.git):
            found.append(
                Field(
                    field,
                    choice.git,
                    value,
                    resource,
                    _path(portal, resource, choice.kept),
                    taken=True,
                    kept=choice.kept,
                )
            )
    return found


def take(session: Session, package_id: str, field: str, resource: str, user: str, user_id: str | None) -> Field:
    """Give a field back to Git. The caller commits and then calls :func:`index`.

    :raises NoDifference: there is nothing to take
    """
    found = _find(session, package_id, field, resource, taken=False)
    value = sorted({*found.git, *found.portal}) if field in ownership.NAMED else found.git
    kept = {"kept": found.portal, "git": value, "user_id": user_id}
    choices.store(session, package_id, resource, field, **kept)
    _set(session, package_id, field, resource, value, user)
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


def _value(package: Mapping[str, Any], resource: str, field: str) -> Any:
    """What the portal has; :data:`_ABSENT` for a field of a resource that is not there."""
    if not resource and field in ownership.NAMED:
        return ownership.names(package, field)
    target = _target(package, resource)
    if field == ownership.RESOURCE:
        return target
    return _ABSENT if target is None else target.get(field)


def _as_taken(value: Any, git: Any) -> bool:
    if isinstance(value, Mapping) and isinstance(git, Mapping):
        return all(ownership.same(value.get(key), said) for key, said in git.items())
    return ownership.same(value, git)


def _path(package: Mapping[str, Any], resource: str, kept: Any) -> str:
    target = _target(package, resource) if resource else None
    shown = target or (kept if isinstance(kept, Mapping) else {})
    return str(shown.get("dvc_path") or "")


def _set(session: Session, package_id: str, field: str, resource: str, value: Any, user: str) -> None:
    portal = shown.page(package_id)
    package = portal | {"resources": [dict(each) for each in portal["resources"]]}
    if not resource and field in ownership.NAMED:
        package[field] = [{"name": name} for name in value]
    elif field == ownership.RESOURCE:
        package["resources"] = _with_resource(session, package_id, package["resources"], resource, value)
    else:
        target = _target(package, resource)
        if target is None:
            raise NoDifference(f"{field}: its resource is not there any more.")
        target[field] = value
    apply.update(session, package, portal, user)


def _with_resource(
    session: Session, package_id: str, resources: list[dict[str, Any]], resource: str, value: Any
) -> list[dict[str, Any]]:
    """The resources with ``value`` for one of them, or without it; a new one stands where Git has it."""
    others = [each for each in resources if each["id"] != resource]
    if value is None:
        return others
    current = _current(session, package_id)
    order = [each["id"] for each in current[0]["resources"]] if current else []
    before = set(order[: order.index(resource)]) if resource in order else {each["id"] for each in others}
    place = max((number for number, each in enumerate(others, start=1) if each["id"] in before), default=0)
    return [*others[:place], dict(value), *others[place:]]
