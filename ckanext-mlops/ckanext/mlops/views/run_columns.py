"""The state of a table of runs as its address holds it, and how its cells are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

MAX_COLUMNS = 12
#: Facts of a run that a file of it begins with.
FIELDS = (
    "server",
    "experiment_id",
    "experiment_name",
    "run_id",
    "name",
    "status",
    "started",
    "ended",
    "duration",
    "user",
)


@dataclass(frozen=True)
class Table:
    """What the reader asked to see of the runs; unknown values of the query fall back to the default.

    :param here: address of the tab, without a query
    """

    sort: str
    order: str
    columns: tuple[tuple[str, str], ...]
    metric: str
    goal: str
    page: int
    version: str = ""
    here: str = ""

    def address(self, **changes: Any) -> str:
        """The page of this table, with some of its query changed; the first page unless ``page`` is given."""
        found = {
            "sort": self.sort,
            "order": self.order,
            "column": [f"{kind}.{name}" for kind, name in self.columns],
            "metric": self.metric,
            "goal": self.goal,
            "version": self.version,
            **changes,
        }
        query = {key: value for key, value in found.items() if value not in ("", None, [])}
        return f"{self.here}?{urlencode(query, doseq=True)}#mlops-runs"

    def sorted_by(self, column: str) -> str:
        """The page that is sorted by a column; by the same column again: the other way round."""
        turned = column == self.sort and self.order == "desc"
        return self.address(sort=column, order="asc" if turned else "desc")


def number(value: Any) -> str:
    """A metric for a table cell: four significant digits, and ∞ for what JSON cannot hold."""
    if isinstance(value, str):
        return {"Infinity": "∞", "-Infinity": "-∞"}.get(value, value)
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """Seconds for a table cell: ``3 s``, ``2 min 5 s``, ``1 h 4 min``."""
    if seconds is None or seconds < 0:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def columns(asked: list[str], known: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """The columns that were asked for and exist; else metrics and those params that differ between runs."""
    names = [(item["kind"], item["name"]) for item in known]
    chosen = [column for column in names if ".".join(column) in set(asked)]
    if not chosen:
        metrics = [column for column in names if column[0] == "metrics"]
        telling = [(item["kind"], item["name"]) for item in known if item["kind"] == "params" and item["values"] > 1]
        alike = [column for column in names if column[0] == "params" and column not in telling]
        half = MAX_COLUMNS // 2
        room = max(half, MAX_COLUMNS - len(telling or alike))
        chosen = metrics[:room]
        chosen += (telling or alike)[: MAX_COLUMNS - len(chosen)]
    return tuple(chosen[:MAX_COLUMNS])


def sheet(runs: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of a file of runs: all metrics and params that any of them has, and what ties each to its data."""
    names = {kind: list(dict.fromkeys(name for run in runs for name in run[kind])) for kind in ("metrics", "params")}
    head = [*FIELDS, "git_commit", "relation", "version", "evidence"]
    head += [f"{kind}.{name}" for kind, found in names.items() for name in found]
    rows = []
    for run in runs:
        ties = run.get("ties") or []
        row = [run.get(field) for field in (*FIELDS, "git_commit")]
        row.append(" ".join(dict.fromkeys(tie["relation"] for tie in ties)))
        row.append(" ".join(dict.fromkeys(tie["version_label"] for tie in ties if tie["version_label"])))
        row.append(" ".join(dict.fromkeys(tie["evidence"].get("rung") or tie["origin"] for tie in ties)))
        row += [run[kind].get(name) for kind, found in names.items() for name in found]
        rows.append(["" if value is None else value for value in row])
    return head, rows
