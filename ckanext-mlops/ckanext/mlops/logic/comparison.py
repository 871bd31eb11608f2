"""The table that sets versions and runs side by side, differences first. Plain data in and out; no CKAN."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["version", "run"]
State = Literal["differs", "partly", "equal"]
#: In the order in which people ask: what ran, with what, on what, and what came of it.
GROUPS = ("command", "params", "inputs", "metrics", "outputs", "environment")
#: DVC and MLflow name the same thing by more or less of a path: ``train.max_depth`` and ``max_depth``.
_ALIGNED = ("params", "metrics")
_ORDER: dict[State, int] = {"differs": 0, "partly": 1, "equal": 2}
MAX_ROWS = 2000


@dataclass
class Side:
    """One version or run: what it is called, and group → name → value."""

    id: str
    kind: Kind
    label: str
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A fact of all sides.

    :param values: one for each side, None where it has no such fact
    :param state: ``partly``: equal where it is known, and not known of all
    """

    group: str
    name: str
    values: list[Any]
    state: State


def table(sides: Sequence[Side]) -> list[Row]:
    """The rows by state, then group: what differs comes first."""
    rows = []
    for group in GROUPS:
        named = _aligned(sides, group) if group in _ALIGNED else [side.values.get(group, {}) for side in sides]
        for name in dict.fromkeys(name for each in named for name in each):
            values = [each.get(name) for each in named]
            rows.append(Row(group, name, values, _state(values)))
    return sorted(rows, key=lambda row: _ORDER[row.state])[:MAX_ROWS]


def _state(values: Sequence[Any]) -> State:
    known = [value for value in values if value is not None]
    if any(not same(known[0], value) for value in known[1:]):
        return "differs"
    return "equal" if len(known) == len(values) else "partly"


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal; MLflow keeps params as text, DVC as what they are.

    >>> same("0.10", 0.1), same("True", True), same("5", "05x")
    (True, True, False)
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() == str(other).lower()
    pair = [_number(one), _number(other)]
    return pair[0] == pair[1] if None not in pair else bool(one == other)


def _number(value: Any) -> float | None:
    if not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _aligned(sides: Sequence[Side], group: str) -> list[Mapping[str, Any]]:
    """The values with a run's names as DVC has them, where exactly one of each ends the same."""
    names = {kind: _names(sides, kind, group) for kind in ("version", "run")}
    tails = {kind: _tails(found) for kind, found in names.items()}
    renamed = {}
    for name in names["run"] - names["version"]:
        theirs, ours = tails["version"].get(_tail(name), []), tails["run"][_tail(name)]
        if len(theirs) == len(ours) == 1 and theirs[0] not in names["run"]:
            renamed[name] = theirs[0]
    return [
        {renamed.get(name, name) if side.kind == "run" else name: value for name, value in side.values[group].items()}
        if group in side.values
        else {}
        for side in sides
    ]


def _names(sides: Sequence[Side], kind: str, group: str) -> set[str]:
    return {name for side in sides if side.kind == kind for name in side.values.get(group, {})}


def _tails(names: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_tail(name), []).append(name)
    return found


def _tail(name: str) -> str:
    return re.split(r"[.:/]", name)[-1].lower()
