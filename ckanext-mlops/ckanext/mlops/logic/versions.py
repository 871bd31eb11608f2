"""Versions as API and pages give them, and what tells two of them apart. All of it is plain JSON values."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context

from ckanext.mlops.core.records import KNOWN_METRICS
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import Version
from ckanext.mlops.model.lineage import texts

NOT_IN_GIT = "not-in-git"
MAX_VALUES = 1000
MAX_CHAIN = 20


@dataclass(frozen=True)
class Chain:
    """A dataset and those that it goes on from, newest first, as far as the reader may see them."""

    packages: list[model.Package]

    @property
    def ids(self) -> list[str]:
        """Ids of the datasets."""
        return [str(package.id) for package in self.packages]

    def name(self, package_id: str) -> str:
        """Name of one of them."""
        return next((str(package.name) for package in self.packages if package.id == package_id), package_id)

    def links(self) -> list[dict[str, Any]]:
        """What the newest goes on from, the nearest first, and why that is believed."""
        return [
            {
                "id": before.id,
                "name": before.name,
                "title": before.title or before.name,
                "stage": (before.extras or {}).get("dvc_stage", ""),
                "why": (after.extras or {}).get("dvc_moved_why", ""),
            }
            for after, before in itertools.pairwise(self.packages)
        ]


def chain(context: Context, package: model.Package) -> Chain:
    """The chain that ends at ``package``, which the reader may see."""
    goes_on = str((package.extras or {}).get("dvc_moved_from") or "")
    return Chain([package, *before(context, {str(package.id): goes_on})[str(package.id)]])


def before(context: Context, goes_on_from: Mapping[str, str]) -> dict[str, list[model.Package]]:
    """The other datasets of many chains, newest first, as far as the reader may see them; a statement or two a step.

    :param goes_on_from: id of the newest of a chain → id or name of what it goes on from, ``""`` for nothing
    """
    found: dict[str, list[model.Package]] = {key: [] for key in goes_on_from}
    waiting = {key: name for key, name in goes_on_from.items() if name}
    reader = Reader(context) if waiting else None
    while reader is not None and waiting:
        named = sa.any_(texts(waiting.values()))
        query = sa.select(model.Package).where(sa.or_(model.Package.id == named, model.Package.name == named))
        packages = reader.session.scalars(query).all()
        known = {str(each.name): each for each in packages} | {str(each.id): each for each in packages}
        visible = reader.look([str(each.id) for each in packages]).visible
        further = {}
        for key, name in waiting.items():
            package = known.get(name)
            if package is None or package.id not in visible or package.id == key or package in found[key]:
                continue
            found[key].append(package)
            if len(found[key]) < MAX_CHAIN - 1:
                further[key] = str((package.extras or {}).get("dvc_moved_from") or "")
        waiting = {key: name for key, name in further.items() if name}
    return found


def newest(reader: Reader, package_ids: Iterable[str]) -> dict[str, str]:
    """Dataset → the newest one that it goes on as, as far as the reader may see them; a statement or two a step."""
    found: dict[str, str] = {}
    at = {each: each for each in package_ids}
    to = model.Package.extras["dvc_moved_to"].astext
    for _ in range(MAX_CHAIN):
        steps = sa.select(model.Package.id, to).where(model.Package.id == sa.any_(texts(at.values())), to != "")
        next_of = dict(reader.session.execute(steps).tuples().all()) if at else {}
        visible = reader.look(sorted(set(next_of.values()))).visible if next_of else frozenset()
        at = {key: next_of[here] for key, here in at.items() if next_of.get(here) in visible - {key}}
        found |= at
    return found


def version_dict(version: Version, branches: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A row of the version table; dates are ISO 8601 in UTC.

    :param branches: where the branches are (:func:`.model.revisions.branches`)
    """
    heads = branches.get(version.package_id, {})
    return {
        "id": version.id,
        "package_id": version.package_id,
        "url": tk.url_for("mlops_versions.show", id=version.package_id, version=version.id, qualified=True),
        "digest": version.digest,
        "commit": version.commit,
        "committed": iso(version.committed),
        "author": version.author,
        "message": version.message,
        "refs": [{"commit": heads.get(each["name"], ""), **each} for each in version.refs],
        "current": version.current,
        "position": version.position,
        "first_seen": iso(version.first_seen),
        "last_seen": iso(version.last_seen),
        "facts": version.facts,
    }


def changes(newer: Mapping[str, Any], older: Mapping[str, Any]) -> dict[str, Any]:
    """What is different between the facts of two versions of a dataset.

    ``command`` and ``address`` (of the stage) are ``{"before", "after"}`` or None. ``outputs``, ``inputs``, ``params``
    and ``metrics`` list ``{"name", "before", "after"}`` for what is not equal; a side that does not have the thing is
    None. The values are hashes (of outputs and inputs) or the values themselves; metrics that are numbers on both
    sides have a ``delta``.
    """
    return {
        "address": _pair(older.get("address", ""), newer.get("address", "")),
        "command": _pair(older.get("command", ""), newer.get("command", "")),
        "outputs": _differences(hashes(newer.get("outs")), hashes(older.get("outs"))),
        "inputs": _differences(hashes(newer.get("deps")), hashes(older.get("deps"))),
        "params": _differences(params(newer), params(older)),
        "metrics": _differences(metric_values(newer), metric_values(older)),
    }


def _pair(before: Any, after: Any) -> dict[str, Any] | None:
    return None if before == after else {"before": before, "after": after}


def params(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by name; those of another file than ``params.yaml`` are ``file:name``."""
    found: dict[str, Any] = {}
    for param in _rows(facts.get("params")):
        file, key = str(param.get("file", "")), str(param.get("key", ""))
        for name, value in _leaves(key, param.get("value")):
            found[name if file in ("", "params.yaml") else f"{file}:{name}"] = value
    return found


def metric_values(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the metrics files, as far as they are known, by name; of several files by ``file:name``."""
    files = [metric for metric in _rows(facts.get("metrics")) if metric.get("state") in KNOWN_METRICS]
    found: dict[str, Any] = {}
    for metric in files:
        for name, value in _leaves("", metric.get("values")):
            found[name if len(files) == 1 else f"{metric.get('file', '')}:{name}"] = value
    return dict(sorted(found.items()))


def metric_notes(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """The metrics files whose values are not known, and why."""
    return [
        {
            "file": str(metric.get("file", "")),
            "note": tk._("not in Git, remote unreachable")
            if metric.get("state") == NOT_IN_GIT
            else str(metric.get("detail") or tk._("the file cannot be read")),
        }
        for metric in _rows(facts.get("metrics"))
        if metric.get("state") not in KNOWN_METRICS
    ]


def shown(value: Any) -> str:
    """A parameter or metric value, for people."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def hashes(records: Any) -> dict[str, str]:
    """What outputs or inputs hold, by path."""
    return {
        str(each.get("path", "")): str(each.get("hash") or each.get("blob") or each.get("rev_lock") or "")
        for each in _rows(records)
    }


def _differences(newer: Mapping[str, Any], older: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name in [*newer, *(name for name in older if name not in newer)]:
        before, after = older.get(name), newer.get(name)
        if before == after and (name in newer) == (name in older):
            continue
        change = {"name": name, "before": before, "after": after}
        if _is_number(before) and _is_number(after):
            change["delta"] = cast(float, after) - cast(float, before)
        found.append(change)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _leaves(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    """The innermost values with dotted names, at most :data:`MAX_VALUES`."""
    waiting, given = [(name, value)], 0
    while waiting and given < MAX_VALUES:
        name, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting += [(f"{name}.{key}" if name else str(key), item) for key, item in reversed(list(value.items()))]
        else:
            given += 1
            yield name, value


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []


def iso(moment: Any) -> str | None:
    """A moment as answers have it."""
    return None if moment is None else moment.replace(microsecond=0).isoformat() + "Z"
