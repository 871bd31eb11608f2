"""Metrics and params of many revisions as tables: in the shape of ``dvc metrics show --json``, and as pandas frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .records import Metric, Revision, Snapshot

if TYPE_CHECKING:
    import pandas

_ORDER = {"branch": 0, "tag": 1, "experiment": 2, "commit": 3}
Table = dict[str, dict[str, dict[str, dict[str, Any]]]]


def metrics_table(snapshots: Iterable[Snapshot]) -> Table:
    """``{revisions: {"data": {file: {"data": values}}}}``, names of revisions of one commit joined by ``,``.

    A file whose values Git does not hold has ``{"error": {"type": "not-in-git" or "invalid", "msg": why}}``.
    """
    return _table((snapshot, _metrics(snapshot)) for snapshot in snapshots)


def params_table(snapshots: Iterable[Snapshot]) -> Table:
    """The same for params: what the params files say, all that ``dvc params show`` shows."""
    return _table((snapshot, _params(snapshot)) for snapshot in snapshots)


def _table(parts: Iterable[tuple[Snapshot, dict[str, dict[str, Any]]]]) -> Table:
    rows: dict[str, tuple[list[Revision], dict[str, dict[str, Any]]]] = {}
    for snapshot, data in parts:
        for revision in snapshot.revisions:
            rows.setdefault(revision.commit, ([], data))[0].append(revision)
    named = []
    for revisions, data in rows.values():
        revisions.sort(key=lambda revision: (_ORDER[revision.kind], revision.name))
        named.append((revisions, data))
    named.sort(key=lambda row: (_ORDER[row[0][0].kind], row[0][0].name if row[0][0].kind != "commit" else ""))
    return {
        ",".join(revision.name for revision in revisions if revision.kind != "commit" or len(revisions) == 1): {
            "data": data
        }
        for revisions, data in named
    }


def _metrics(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    found = [metric for stage in snapshot.stages for metric in stage.metrics]
    for metric in [*found, *snapshot.metrics]:
        result[metric.file] = metric_entry(metric)
    return result


def metric_entry(metric: Metric) -> dict[str, Any]:
    """A metrics file as in :func:`metrics_table`: its values, or why there are none."""
    if metric.known:
        return {"data": metric.values}
    return {"error": {"type": metric.state, "msg": metric.detail}}


def _params(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for param in snapshot.params:
        result.setdefault(param.file, {"data": {}})["data"][param.key] = param.value
    return result


def flatten(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``(dotted key, value)`` of nested mappings; a list is a value."""
    if isinstance(values, dict) and (values or not prefix):
        for key, value in values.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, values


def value_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """What differs between the ``data`` of two entries of a table, as ``dvc params diff --json`` shows it.

    >>> value_changes({"p.yaml": {"data": {"lr": 1, "k": "a"}}}, {"p.yaml": {"data": {"lr": 3, "k": "a"}}})
    {'p.yaml': {'lr': {'old': 1, 'new': 3, 'diff': 2}}}
    """
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for file in sorted(before.keys() | after.keys()):
        old, new = (_comparable(side.get(file, {}).get("data", {})) for side in (before, after))
        changes = {
            key: _change(old.get(key), new.get(key))
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        }
        if changes:
            result[file] = changes
    return result


def _comparable(values: Any) -> dict[str, Any]:
    """Dotted keys as DVC compares them: lists as text, no empty mappings."""
    return {key: str(value) if isinstance(value, list) else value for key, value in flatten(values) if value != {}}


def _change(old: Any, new: Any) -> dict[str, Any]:
    numbers = isinstance(old, (int, float)) and isinstance(new, (int, float))
    return {"old": old, "new": new, "diff": new - old} if numbers else {"old": old, "new": new}


def metrics_frame(snapshots: Iterable[Snapshot]) -> pandas.DataFrame:
    """One row per revision, metrics file and metric: ``revision, kind, commit, date, file, metric, value``."""
    return _frame(snapshots, _metrics, "metric")


def params_frame(snapshots: Iterable[Snapshot]) -> pandas.DataFrame:
    """One row per revision, params file and key: ``revision, kind, commit, date, file, param, value``."""
    return _frame(snapshots, _params, "param")


def _frame(snapshots: Iterable[Snapshot], facts: Any, name: str) -> pandas.DataFrame:
    import pandas

    rows: list[tuple[Any, ...]] = []
    for snapshot in snapshots:
        values = [
            (file, key, value)
            for file, entry in facts(snapshot).items()
            if "data" in entry
            for key, value in flatten(entry["data"])
        ]
        rows.extend(
            (revision.name, revision.kind, revision.commit, revision.date, *value)
            for revision in snapshot.revisions
            for value in values
        )
    return pandas.DataFrame(rows, columns=["revision", "kind", "commit", "date", "file", name, "value"])


def outputs_frame(snapshots: Iterable[Snapshot]) -> pandas.DataFrame:
    """One row per revision and output, with its stage, hash, size, kind and storage URL."""
    import pandas

    columns = ["revision", "kind", "commit", "date", "stage", "path", "hash", "size", "output_kind", "storage"]
    rows = [
        (
            revision.name, revision.kind, revision.commit, revision.date, stage.address,
            out.path, out.hash, out.size, out.kind, out.storage,
        )
        for snapshot in snapshots
        for revision in snapshot.revisions
        for stage in snapshot.stages
        for out in stage.outs
    ]  # fmt: skip
    return pandas.DataFrame(rows, columns=columns)
