"""Who owns what in a dataset: three-way merge of what was harvested last, what Git says now, and the portal.

A field that nobody edited follows Git. A field that a person edited stays theirs, and so do tags, groups, upstream
datasets and resources that a person added or removed. When both changed, the person's value stays and the difference
is reported as a :class:`Conflict`. Of tags and groups both sides live together; only what a person took away differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Set once, at creation: a renamed address would break links; ``type`` and ``id`` never change.
_FIXED = ("id", "name", "type", "resources")
# Without a memory of the last harvest, words and placement are taken for a person's, facts for Git's.
_WORDS = ("title", "notes", "url", "private", "owner_org", "name", "description", "mlflow_server", "mlflow_experiment")
_LISTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "tags": lambda item: str(item.get("name") or ""),
    "groups": lambda item: str(item.get("name") or item.get("id") or ""),
    "derived_from": lambda item: str(item.get("dataset") or item.get("url") or ""),
}
#: Lists of which people take items away; their values are names.
NAMED = ("tags", "groups")
#: Stands for a resource as a whole in place of a field's name; its values are the resource, None where there is none.
RESOURCE = "resource"


@dataclass(frozen=True)
class Conflict:
    """A person's value that stays although Git says something new. ``resource`` is an id, ``""`` = the dataset."""

    field: str
    harvested: Any
    git: Any
    portal: Any
    resource: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def label(conflict: Mapping[str, Any]) -> str:
    """How people name the field of a conflict, as :meth:`Conflict.to_dict` gives it."""
    if conflict["field"] != RESOURCE:
        return str(conflict["field"])
    resource = conflict["portal"] or conflict["git"] or {}
    return str(resource.get("dvc_path") or resource.get("name") or RESOURCE)


def names(package: Mapping[str, Any], field: str) -> list[str]:
    """The names in one of the lists of a dataset, sorted."""
    return sorted(_LISTS[field](item) for item in package.get(field) or ())


def same(one: Any, two: Any) -> bool:
    """Whether two field values mean the same to CKAN, which strips texts and stores some numbers as text."""
    return _normal(one) == _normal(two)


def _normal(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        text = value.replace("\r\n", "\n").strip()
        return text.lower() if text in ("True", "False") else text
    if isinstance(value, Mapping):
        return {key: _normal(item) for key, item in value.items() if _normal(item) not in ("", [], {})}
    if isinstance(value, (list, tuple)):
        return [_normal(item) for item in value]
    return value


def merge(
    harvested: Mapping[str, Any] | None, git: Mapping[str, Any], portal: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Conflict]]:
    """The package dict to write, and the conflicts.

    :param harvested: the package dict of the last harvest; None when it is not remembered
    :param git: what Git says now
    :param portal: ``package_show`` of the dataset
    """
    merged, conflicts = _fields(harvested, git, portal, skip=(*_FIXED, *_LISTS), resource="")
    for name, key in _LISTS.items():
        if name in git:
            before = harvested.get(name) if harvested is not None else None
            merged[name] = _list(before, git[name], portal.get(name) or [], key)
    before = harvested.get("resources", []) if harvested is not None else None
    resources, more = _resources(before, git.get("resources", []), portal.get("resources") or [])
    merged["resources"] = resources
    return merged, conflicts + more


@dataclass(frozen=True)
class Difference:
    """A field of which Git and the portal say different things. ``resource`` is an id, ``""`` = the dataset."""

    field: str
    git: Any
    portal: Any
    resource: str = ""
    path: str = ""


def differing(git: Mapping[str, Any], portal: Mapping[str, Any]) -> list[Difference]:
    """The fields that a person owns, for the portal does not say what Git says."""
    found = [
        Difference(name, value, portal.get(name))
        for name, value in git.items()
        if name not in (*_FIXED, *_LISTS) and not same(value, portal.get(name))
    ]
    for name in NAMED:
        said, here = names(git, name), names(portal, name)
        if not set(said) <= set(here):
            found.append(Difference(name, said, here))
    shown = {item["id"]: item for item in portal.get("resources") or ()}
    for resource in git.get("resources") or ():
        key, there = resource["id"], shown.pop(resource["id"], None)
        path = str(resource.get("dvc_path") or "")
        if there is None:
            found.append(Difference(RESOURCE, dict(resource), None, key, path))
            continue
        found += [
            Difference(name, value, there.get(name), key, path)
            for name, value in resource.items()
            if name != "id" and not same(value, there.get(name))
        ]
    found += [
        Difference(RESOURCE, None, dict(item), key, str(item["dvc_path"]))
        for key, item in shown.items()
        if item.get("dvc_path")
    ]
    return found


def still(
    before: Iterable[Conflict], now: Iterable[Conflict], git: Mapping[str, Any], portal: Mapping[str, Any]
) -> list[Conflict]:
    """The conflicts of an earlier harvest that nobody decided, without those that are conflicts ``now``."""
    known = {(each.resource, each.field) for each in now}
    there = {(each.resource, each.field): each for each in differing(git, portal)}
    return [
        each
        for each in before
        if (each.resource, each.field) not in known
        and (each.resource, each.field) in there
        and _nothing_new(there[each.resource, each.field].git, each.git)
    ]


def changed(merged: Mapping[str, Any], portal: Mapping[str, Any]) -> bool:
    """Whether writing ``merged`` would change the dataset."""
    keys = merged.keys() | portal.keys()
    return any(not _equal(key, merged.get(key), portal.get(key)) for key in keys)


def _equal(key: str, one: Any, two: Any) -> bool:
    if key in _LISTS:
        of = _LISTS[key]
        if key != "derived_from":
            return {of(item) for item in one or ()} == {of(item) for item in two or ()}
    return same(one, two)


def _fields(
    harvested: Mapping[str, Any] | None,
    git: Mapping[str, Any],
    portal: Mapping[str, Any],
    *,
    skip: Iterable[str],
    resource: str,
) -> tuple[dict[str, Any], list[Conflict]]:
    merged = dict(portal)
    conflicts = []
    for name, new in git.items():
        if name in skip:
            continue
        here = portal.get(name)
        if same(here, new):
            continue
        if harvested is None:
            if not (name in _WORDS and not same(here, "")):
                merged[name] = new
            continue
        base = harvested.get(name)
        if same(here, base):
            merged[name] = new
        elif not same(new, base):
            conflicts.append(Conflict(name, base, new, here, resource))
    return merged, conflicts


def _list(
    harvested: Iterable[Mapping[str, Any]] | None,
    git: Iterable[Mapping[str, Any]],
    portal: Iterable[Mapping[str, Any]],
    key: Callable[[Mapping[str, Any]], str],
) -> list[dict[str, Any]]:
    """Portal's items, plus what Git added, minus what Git removed; items that only a person knows stay."""
    new = {key(item): item for item in git}
    base = {key(item): item for item in harvested or ()}
    result = []
    for item in portal:
        name = key(item)
        if name in base and name not in new and _harvested_item(item, base[name]):
            continue
        result.append(dict(new[name]) if name in new and name in base and same(item, base[name]) else dict(item))
    present = {key(item) for item in result}
    result += [dict(item) for name, item in new.items() if name not in present and name not in base]
    return result


def _harvested_item(item: Mapping[str, Any], base: Mapping[str, Any]) -> bool:
    return "origin" not in base or item.get("origin") == base.get("origin")


def _resources(
    harvested: Iterable[Mapping[str, Any]] | None,
    git: Iterable[Mapping[str, Any]],
    portal: Iterable[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], list[Conflict]]:
    new = {item["id"]: item for item in git}
    base = {item["id"]: item for item in harvested or ()}
    result: list[dict[str, Any]] = []
    conflicts: list[Conflict] = []
    for item in portal:
        name = item["id"]
        if name in new:
            before = base.get(name) if harvested is not None else None
            merged, more = _fields(before, new[name], item, skip=("id",), resource=name)
            result.append(merged)
            conflicts += more
        elif name not in base:
            result.append(dict(item))
        elif any(not same(item.get(word), base[name].get(word)) for word in _WORDS if word in base[name]):
            # Git has it no more, but a person wrote about it.
            result.append(dict(item))
            conflicts.append(Conflict(RESOURCE, dict(base[name]), None, dict(item), name))
    present = {item["id"] for item in result}
    result += [dict(item) for name, item in new.items() if name not in present and name not in base]
    conflicts += [
        Conflict(RESOURCE, dict(base[name]), dict(item), None, name)
        for name, item in new.items()
        if name in base and name not in present and not _nothing_new(item, base[name])
    ]
    return result, conflicts


def _nothing_new(git: Any, before: Any) -> bool:
    """Whether Git says what it said before; the address of a resource names the commit, which moves."""
    if not isinstance(git, Mapping) or not isinstance(before, Mapping):
        return same(git, before)
    return all(same(value, before.get(key)) for key, value in git.items() if key != "url")
