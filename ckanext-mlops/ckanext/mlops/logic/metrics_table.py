"""The table of ``dvc metrics show -a -T`` with params, deltas, filters and order. Plain data in and out; no CKAN."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ckanext.mlops.core.tables import flatten

Kind = Literal["metric", "param"]
MAX_COLUMNS = 500
_CONDITION = re.compile(r"^(?P<delta>delta\.)?(?P<column>.+?):(?P<compare>>=|<=|!=|>|<|=)(?P<value>.+)$")


class BadCondition(ValueError):
    """A filter is not of the form ``column:>0.8``, or names no column."""


ANY_FILE = "*"


@dataclass(frozen=True)
class Column:
    """A metric or param. Files that no revision has both of share a column: a renamed file continues its history.

    :param file: where it is; :data:`ANY_FILE` for several
    :param label: the shortest end of ``file:name`` that no other column has: what people type and read
    """

    id: str
    kind: Kind
    file: str
    name: str
    label: str = ""


@dataclass
class Row:
    """A revision: its facts, and column id → value. ``absent``: file → why its values are not there."""

    revision: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def take(self, kind: Kind, file: str, entry: Mapping[str, Any]) -> None:
        """Add a file's values, in the shape of :func:`core.tables.metric_entry`."""
        if "data" not in entry:
            self.absent[file] = str(entry.get("error", {}).get("msg") or entry.get("error", {}).get("type") or "")
            return
        for name, value in flatten(entry["data"]):
            self.values[f"{kind}:{file}:{name}"] = value


@dataclass(frozen=True)
class Table:
    """Rows in the order asked for. ``baseline`` is the row that deltas refer to; ``columns`` those that are shown."""

    rows: list[Row]
    columns: list[Column]
    all_columns: list[Column]
    baseline: Row | None = None
    omitted: int = 0

    def delta(self, row: Row, column: Column) -> float | None:
        """How much a number differs from the baseline's; None where either is none, or it is the baseline itself."""
        return _delta(self.baseline, row, column.id)


def columns_of(rows: Iterable[Row]) -> list[Column]:
    """All columns, metrics first; each in the order in which it was met."""
    keys = dict.fromkeys(key for row in rows for key in row.values)
    parts = [key.split(":", 2) for key in sorted(keys, key=lambda key: not key.startswith("metric:"))]
    labels = _labels([(file, name) for _, file, name in parts])
    return [
        Column(f"{kind}:{file}:{name}", "metric" if kind == "metric" else "param", file, name, label)
        for (kind, file, name), label in zip(parts, labels, strict=True)
    ]


def _continued(rows: Sequence[Row]) -> list[Row]:
    """The rows with one column for a name that no row has in two files."""
    files: dict[tuple[str, str], set[str]] = {}
    apart: set[tuple[str, str]] = set()
    for row in rows:
        here: set[tuple[str, str]] = set()
        for key in row.values:
            kind, file, name = key.split(":", 2)
            files.setdefault((kind, name), set()).add(file)
            if (kind, name) in here:
                apart.add((kind, name))
            here.add((kind, name))
    joined = {key for key, names in files.items() if len(names) > 1} - apart

    def renamed(key: str) -> str:
        kind, _, name = key.split(":", 2)
        return f"{kind}:{ANY_FILE}:{name}" if (kind, name) in joined else key

    return [Row(row.revision, {renamed(key): value for key, value in row.values.items()}, row.absent) for row in rows]


def _labels(names: Sequence[tuple[str, str]]) -> list[str]:
    """For each (file, dotted name) the shortest of its last part, its name, and both."""
    choices = [[name.rsplit(".", 1)[-1], name, f"{file}:{name}"] for file, name in names]
    counts: dict[str, int] = {}
    for each in choices:
        for choice in dict.fromkeys(each):
            counts[choice] = counts.get(choice, 0) + 1
    return [next((choice for choice in each if counts[choice] == 1), each[-1]) for each in choices]


def build(
    rows: list[Row],
    *,
    baseline: str = "",
    columns: Sequence[str] = (),
    where: Sequence[str] = (),
    sort: str = "",
    descending: bool = True,
    changed_only: bool = False,
) -> Table:
    """The table as asked for.

    :param baseline: name of the revision that deltas refer to
    :param columns: ids or labels of the columns to show; all when empty
    :param where: conditions, all of which must hold: ``accuracy:>0.8``, ``delta.accuracy:>0``, ``seed:=1``
    :param sort: id or label of a column; revisions without a value come last
    :param changed_only: leave out columns that are equal in all rows
    :raises BadCondition: naming the condition or column
    """
    rows = _continued(rows)
    everything = columns_of(rows)
    by_name = {name: column for column in reversed(everything) for name in (column.label, column.id)}
    base = next((row for row in rows if baseline and row.revision["name"] == baseline), None)
    for text in where:
        rows = [row for row in rows if _holds(text, by_name, base, row)]
    if sort:
        key = _find(by_name, sort).id
        known = [row for row in rows if row.values.get(key) is not None]
        known.sort(key=lambda row: _order(row.values[key]), reverse=descending)
        rows = known + [row for row in rows if row.values.get(key) is None]
    shown = [_find(by_name, name) for name in dict.fromkeys(columns)] or everything
    if changed_only:
        shown = [column for column in shown if len({repr(row.values.get(column.id)) for row in rows}) > 1]
    return Table(rows, shown[:MAX_COLUMNS], everything, base, max(0, len(shown) - MAX_COLUMNS))


def _find(by_name: Mapping[str, Column], name: str) -> Column:
    try:
        return by_name[name]
    except KeyError:
        raise BadCondition(f"There is no metric or param {name!r} here") from None


def _holds(text: str, by_name: Mapping[str, Column], base: Row | None, row: Row) -> bool:
    match = _CONDITION.match(text.strip())
    if match is None:
        raise BadCondition(f"{text!r} is no condition; write accuracy:>0.8, delta.accuracy:>0 or seed:=1")
    key, compare, wanted = _find(by_name, match["column"]).id, match["compare"], match["value"].strip()
    value = _delta(base, row, key) if match["delta"] else row.values.get(key)
    try:
        limit = float(wanted)
    except ValueError:
        if compare not in ("=", "!="):
            raise BadCondition(f"{text!r}: {wanted!r} is no number") from None
        return value is not None and (str(value) == wanted) == (compare == "=")
    number = number_of(value)
    if number is None:
        return False
    return {
        ">": number > limit,
        ">=": number >= limit,
        "<": number < limit,
        "<=": number <= limit,
        "=": number == limit,
        "!=": number != limit,
    }[compare]


def number_of(value: Any) -> float | None:
    """The number that a metric or param is; None for text, truth values and nothing."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _delta(base: Row | None, row: Row, key: str) -> float | None:
    if base is None or row is base:
        return None
    one, two = number_of(base.values.get(key)), number_of(row.values.get(key))
    return None if one is None or two is None else two - one


def _order(value: Any) -> tuple[bool, float, str]:
    number = number_of(value)
    return (number is None, number or 0.0, "" if number is not None else str(value))


def as_text(answer: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and body of an answer of ``mlops_repository_metrics`` as text.

    Revision, kind, commit and date, then the columns; each is followed by its delta where there is a baseline.
    """
    head = ["revision", "kind", "commit", "date"]
    for column in answer["columns"]:
        head += [column["label"]] if answer["baseline"] is None else [column["label"], f"delta {column['label']}"]
    body = []
    for row in answer["rows"]:
        cells = [str(row["revision"].get(key) or "") for key in ("name", "kind", "commit", "committed")]
        for column in answer["columns"]:
            value, delta = row["values"].get(column["id"]), row["deltas"].get(column["id"])
            cells.append("" if value is None else str(value))
            if answer["baseline"] is not None:
                cells.append("" if delta is None else f"{delta:+.6g}")
        body.append(cells)
    return head, body


def shades(answer: Mapping[str, Any], steps: int = 5) -> dict[str, dict[int, int]]:
    """Column id → row index → 1 (least) to ``steps`` (greatest) of its numbers; empty where all are equal."""
    result: dict[str, dict[int, int]] = {}
    for column in answer["columns"]:
        key = column["id"]
        numbers = {
            index: number
            for index, row in enumerate(answer["rows"])
            if (number := number_of(row["values"].get(key))) is not None and math.isfinite(number)
        }
        low, high = min(numbers.values(), default=0.0), max(numbers.values(), default=0.0)
        if high > low:
            result[key] = {
                index: 1 + min(steps - 1, int((number - low) / (high - low) * steps))
                for index, number in numbers.items()
            }
    return result
