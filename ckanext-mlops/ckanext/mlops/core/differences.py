"""What differs between two snapshots: stages, outputs, params and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .records import Output, Snapshot, Stage
from .tables import flatten, metrics_table, params_table

ChangeKind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    :param subject: ``stage``, ``output``, ``dependency``, ``command``, ``param`` or ``metric``
    :param name: address of the stage, path of the output, or key of the value
    :param place: the stage's address, or the values file
    :param before: hash, command or value; None when it was not there
    """

    kind: ChangeKind
    subject: Literal["stage", "output", "dependency", "command", "param", "metric"]
    name: str
    place: str = ""
    before: Any = None
    after: Any = None


def compare(before: Snapshot, after: Snapshot) -> tuple[Difference, ...]:
    """Differences from one snapshot to another, sorted by subject and name."""
    result: list[Difference] = []
    old, new = ({stage.address: stage for stage in snapshot.stages} for snapshot in (before, after))
    for address in sorted(old.keys() | new.keys()):
        first, second = old.get(address), new.get(address)
        if first is None or second is None:
            result.append(Difference("added" if first is None else "removed", "stage", address))
        result += _stage(address, first, second)
    for subject, tables in (
        ("metric", (metrics_table([before]), metrics_table([after]))),
        ("param", (params_table([before]), params_table([after]))),
    ):
        result += _values(subject, *(next(iter(table.values()), {}).get("data", {}) for table in tables))  # type: ignore[arg-type]
    return tuple(result)


def _stage(address: str, before: Stage | None, after: Stage | None) -> list[Difference]:
    result = []
    if before is not None and after is not None and before.command != after.command:
        result.append(Difference("changed", "command", address, address, before.command, after.command))
    outs = [{out.path: _state(out) for out in stage.outs} if stage else {} for stage in (before, after)]
    deps = [
        {dep.path: dep.hash or dep.rev_lock or None for dep in stage.deps} if stage else {} for stage in (before, after)
    ]
    return result + _mapping("output", address, *outs) + _mapping("dependency", address, *deps)


def _state(out: Output) -> str | None:
    return out.hash or out.blob or None


def _mapping(subject: Any, place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    result = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            result.append(Difference("added", subject, name, place, None, after[name]))
        elif name not in after:
            result.append(Difference("removed", subject, name, place, before[name], None))
        elif before[name] != after[name]:
            result.append(Difference("changed", subject, name, place, before[name], after[name]))
    return result


def _values(
    subject: Literal["metric", "param"], before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]
) -> list[Difference]:
    result: list[Difference] = []
    for file in sorted(before.keys() | after.keys()):
        pair = [dict(flatten(side.get(file, {}).get("data", {}))) for side in (before, after)]
        result += _mapping(subject, file, *pair)
    return result
