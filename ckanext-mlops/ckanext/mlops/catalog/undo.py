"""Undo: what a write changed in a dataset, kept so that it can be taken back, and only what it changed.

What people or later harvests changed since is never overwritten: :func:`back` names it instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .ownership import same

#: CKAN sets these itself at each write.
_OF_CKAN = (
    "metadata_modified",
    "metadata_created",
    "creator_user_id",
    "num_resources",
    "num_tags",
    "state",
    "resources",
)
_OF_RESOURCES = ("created", "last_modified", "metadata_modified", "package_id", "position", "state", "revision_id")
Values = Mapping[str, Any]


def difference(before: Values, after: Values) -> dict[str, Any]:
    """What a write from ``before`` (``package_show``) to ``after`` (the dict to write) changes, as JSON values.

    ``fields``: name → [before, after]; ``resources``: id → the same of it, with ``gone`` or ``new`` holding a whole
    one; ``order``: ids before.
    """
    ones = {each["id"]: each for each in before.get("resources") or ()}
    twos = {each["id"]: each for each in after.get("resources") or ()}
    resources: dict[str, Any] = {}
    for key in [*ones, *(key for key in twos if key not in ones)]:
        one, two = ones.get(key), twos.get(key)
        if one is None or two is None:
            resources[key] = {"gone" if two is None else "new": one or two}
        elif fields := _fields(one, two, _OF_RESOURCES):
            resources[key] = {"fields": fields}
    return {"fields": _fields(before, after, _OF_CKAN), "resources": resources, "order": list(ones)}


def back(portal: Values, changed: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The dict to write to take ``changed`` back from ``portal`` (``package_show``), and what is in the way.

    What is in the way are the names of fields, and paths of resources, that are not any more as they were written.
    """
    result, in_the_way = dict(portal), []
    in_the_way += _restore(result, changed["fields"], "")
    now = {each["id"]: dict(each) for each in portal.get("resources") or ()}
    for key, each in changed["resources"].items():
        there = now.get(key)
        if "new" in each:
            if there is not None:
                in_the_way += _differs(there, each["new"])
                del now[key]
        elif "gone" in each:
            if there is None:
                now[key] = dict(each["gone"])
        elif there is None:
            in_the_way.append(f"resource {key} (removed)")
        else:
            in_the_way += _restore(there, each["fields"], f"{_name(there)}: ")
    order = {key: place for place, key in enumerate(changed["order"])}
    result["resources"] = sorted(now.values(), key=lambda each: order.get(each["id"], len(order)))
    return result, in_the_way


def unlike(portal: Values, written: Values) -> list[str]:
    """What is not as it was written: names of fields, and of resources."""
    found = [
        name for name, value in written.items() if name not in _OF_CKAN and not _equal(name, portal.get(name), value)
    ]
    ones = {each["id"]: each for each in written.get("resources") or ()}
    twos = {each["id"]: each for each in portal.get("resources") or ()}
    found += [f"resource {_name(each)}" for key, each in (ones | twos).items() if (key in ones) != (key in twos)]
    for key in ones.keys() & twos.keys():
        found += _differs(twos[key], ones[key])
    return found


def _fields(one: Values, two: Values, skip: tuple[str, ...]) -> dict[str, list[Any]]:
    return {
        name: [one.get(name), two.get(name)]
        for name in dict.fromkeys([*one, *two])
        if name not in skip and not _equal(name, one.get(name), two.get(name))
    }


def _restore(target: dict[str, Any], fields: Mapping[str, list[Any]], prefix: str) -> list[str]:
    in_the_way = []
    for name, (before, after) in fields.items():
        if _equal(name, target.get(name), after):
            target[name] = before
        elif not _equal(name, target.get(name), before):
            in_the_way.append(f"{prefix}{name}")
    return in_the_way


def _differs(there: Values, written: Values) -> list[str]:
    return [
        f"{_name(there)}: {name}"
        for name, value in written.items()
        if name not in _OF_RESOURCES and not _equal(name, there.get(name), value)
    ]


def _equal(name: str, one: Any, two: Any) -> bool:
    if name in ("tags", "groups"):
        return {str(each.get("name")) for each in one or ()} == {str(each.get("name")) for each in two or ()}
    if name == "organization":
        return True
    return same(one or None, two or None) if not isinstance(one, bool) and not isinstance(two, bool) else same(one, two)


def _name(resource: Values) -> str:
    return str(resource.get("dvc_path") or resource.get("name") or resource.get("id"))
