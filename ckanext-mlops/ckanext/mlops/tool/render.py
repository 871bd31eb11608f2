"""Text of the ``ckan-mlops`` tool: tables, graphs, summaries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ckanext.mlops.core import Reading
from ckanext.mlops.core.differences import Difference
from ckanext.mlops.core.lineage import relate
from ckanext.mlops.core.mlflow_files import FileStore
from ckanext.mlops.core.plot_data import PlotFile
from ckanext.mlops.core.records import Snapshot, to_dict
from ckanext.mlops.core.sheets import csv_text, markdown_text
from ckanext.mlops.core.stored import Presence, StoredFile
from ckanext.mlops.core.tables import Table, flatten

SCHEMA = "ckan-mlops/read/1"


def table_text(table: Table, form: str) -> str:
    """Metrics or params as ``json``, ``csv``, ``markdown`` or ``text``: one row per revision and file."""
    if form == "json":
        return json.dumps(table, indent=1, ensure_ascii=False)
    rows: list[tuple[str, str, dict[str, Any]]] = []
    for revision, entry in table.items():
        for file, found in entry["data"].items():
            values = dict(flatten(found["data"])) if "data" in found else {"": f"({found['error']['msg']})"}
            rows.append((revision, file, {key or "value": value for key, value in values.items()}))
    keys = sorted({key for _, _, values in rows for key in values})
    cells = [[revision, file, *(_cell(values.get(key)) for key in keys)] for revision, file, values in rows]
    return rows_text(["Revision", "Path", *keys], cells, form)


def rows_text(head: Sequence[str], cells: Sequence[Sequence[str]], form: str) -> str:
    """A table as ``csv``, ``markdown`` or ``text``."""
    if form == "csv":
        return csv_text(head, cells).rstrip("\n")
    return markdown_text(head, cells) if form == "markdown" else aligned(head, cells)


def changes_text(changes: Mapping[str, Any], pair: tuple[str, str], form: str) -> str:
    """Changed values as ``json`` in the shape of ``dvc params diff``, ``csv``, ``markdown`` or ``text``."""
    if form == "json":
        return json.dumps(changes, indent=1, ensure_ascii=False)
    cells = [
        [file, key, _cell(change["old"]), _cell(change["new"]), _cell(change.get("diff"))]
        for file, found in changes.items()
        for key, change in found.items()
    ]
    return rows_text(["Path", "Name", *pair, "Change"], cells, form)


def plots_text(plots: Iterable[tuple[str, Iterable[PlotFile]]], form: str) -> str:
    """Files of plots: all data points as ``json`` or ``csv``, or what there is as ``text``."""
    found = [(name, file) for name, files in plots for file in files]
    if form == "json":
        table: dict[str, dict[str, Any]] = {}
        for name, file in found:
            table.setdefault(name, {})[file.path] = to_dict(file)
        return json.dumps(table, indent=1, ensure_ascii=False)
    if form == "csv":
        fields = list(dict.fromkeys(field for _, file in found for row in file.rows for field in row))
        rows = [
            [name, file.path, *(_cell(row.get(field)) for field in fields)] for name, file in found for row in file.rows
        ]
        return rows_text(["Plot", "Path", *fields], rows, form)
    cells = [
        [name, file.path, file.state, str(len(file.rows) or "-"), ", ".join(file.rows[0] if file.rows else ())]
        for name, file in found
    ]
    return rows_text(["Plot", "Path", "State", "Points", "Fields"], cells, form)


def stored_text(found: Sequence[Presence] | Sequence[StoredFile]) -> str:
    """What remotes hold, as a table."""
    rows = [
        [item.state, item.path, item.detail or (f"{item.missing} of {item.asked} files" if item.missing else "")]
        if isinstance(item, Presence)
        else [item.hash, item.path, "missing" if item.size is None else str(item.size)]
        for item in found
    ]
    return aligned(
        ["State", "Path", "Why"] if not found or isinstance(found[0], Presence) else ["Hash", "Path", "Size"], rows
    )


def runs_text(stores: Iterable[tuple[str, FileStore]], form: str) -> str:
    """Runs of MLflow file stores as ``json`` or ``text``."""
    found: dict[str, Any] = {}
    cells: list[list[str]] = []
    for folder, store in stores:
        experiments = {item.experiment_id: item for item in store.experiments()}
        runs = list(store.runs(list(experiments)))
        found[folder] = {
            "experiments": [to_dict(item) for item in experiments.values()],
            "runs": [to_dict(run) for run in runs],
            "problems": store.problems,
        }
        names = {item.experiment_id: item.name for item in experiments.values()}
        cells += [
            [
                run.run_id,
                names.get(run.experiment_id, run.experiment_id),
                run.status,
                run.start,
                " ".join(f"{key}={_cell(value)}" for key, value in sorted(run.metrics.items())) or "-",
            ]
            for run in runs
        ]
    if form == "json":
        return json.dumps(found, indent=1, ensure_ascii=False)
    return rows_text(["Run", "Experiment", "Status", "Start", "Metrics"], cells, form)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns for a terminal."""
    table = [[cell.replace("\n", " ")[:200] for cell in row] for row in (head, *rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def dag_text(snapshot: Snapshot, *, outs: bool, form: str) -> str:
    """The graph as ``dot``, ``mermaid`` or ``text`` (``a -> b`` lines); nodes and edges sorted."""
    nodes, edges = _graph(snapshot, outs)
    if form == "dot":
        lines = ["strict digraph {", *(f"{_quote(node)};" for node in nodes)]
        return "\n".join([*lines, *(f"{_quote(a)} -> {_quote(b)};" for a, b in edges), "}"]) + "\n"
    if form == "mermaid":
        ids = {node: f"node{number}" for number, node in enumerate(nodes, 1)}
        labels = [f'\t{ids[node]}["{_mermaid(node)}"]' for node in nodes]
        return "\n".join(["flowchart TD", *labels, *(f"\t{ids[a]}-->{ids[b]}" for a, b in edges)]) + "\n"
    joined = {node for edge in edges for node in edge}
    return "".join([*(f"{a} -> {b}\n" for a, b in edges), *(f"{node}\n" for node in nodes if node not in joined)])


def _graph(snapshot: Snapshot, outs: bool) -> tuple[list[str], list[tuple[str, str]]]:
    pairs = [edge for edge in relate(snapshot) if edge.upstream is not None]
    if not outs:
        nodes = [stage.address for stage in snapshot.stages]
        return sorted(nodes), sorted({(edge.upstream or "", edge.downstream) for edge in pairs})
    written: dict[str, list[str]] = {}
    for stage in snapshot.stages:
        written.setdefault(stage.address, []).extend(out.path for out in stage.outs)
    found = {
        (source, target)
        for edge in pairs
        for source in ([edge.output_path] if edge.output_path else written[edge.upstream or ""])
        for target in written[edge.downstream]
    }
    return sorted({path for paths in written.values() for path in paths}), sorted(found)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _mermaid(text: str) -> str:
    return (
        text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;").replace("\n", " ")
    )


def differences_text(differences: Sequence[Difference]) -> str:
    """Differences as a table."""
    if not differences:
        return "no difference"
    rows = [
        [item.kind, item.subject, item.name, item.place, _cell(item.before), _cell(item.after)] for item in differences
    ]
    return aligned(["Change", "What", "Name", "Where", "Before", "After"], rows)


def summary_text(reading: Reading) -> Iterator[str]:
    """What a repository holds, revision by revision, for people."""
    repository = reading.repository
    yield f"{repository.name}  {repository.url}  default branch: {repository.default_branch or '(none)'}"
    for problem in reading.problems:
        yield f"  {problem.severity}: {problem.message}"
    stages = outputs = problems = 0
    for snapshot in reading:
        names = ", ".join(revision.name for revision in snapshot.revisions[:8])
        more = f" and {len(snapshot.revisions) - 8} more" if len(snapshot.revisions) > 8 else ""
        yield ""
        yield f"{names}{more}  ({snapshot.revisions[0].commit[:10]}, {snapshot.revisions[0].date or 'no date'})"
        for stage in snapshot.stages:
            outs = ", ".join(f"{out.path} {(out.hash or out.blob or 'no hash')[:10]}" for out in stage.outs[:4])
            rest = f" and {len(stage.outs) - 4} more" if len(stage.outs) > 4 else ""
            yield f"  {stage.kind:<10} {stage.address}: {outs}{rest}"
        for problem in snapshot.problems:
            place = f"{problem.path}:{problem.line}" if problem.line else problem.path
            yield f"  {problem.severity}: {place} {problem.stage} {problem.message}" + (
                f" ({problem.remedy})" if problem.remedy else ""
            )
        stages += len(snapshot.stages)
        outputs += sum(len(stage.outs) for stage in snapshot.stages)
        problems += len(snapshot.problems)
    yield ""
    yield (
        f"{len(reading.revisions)} revisions, {len(reading)} distinct trees, {stages} stages, {outputs} outputs, "
        f"{problems} problems"
    )


def read_json(reading: Reading) -> Iterator[str]:
    """The document of ``read --json`` in parts, snapshot by snapshot."""
    head = {
        "schema": SCHEMA,
        "repository": to_dict(reading.repository),
        "problems": [to_dict(problem) for problem in reading.problems],
        "artifacts": [to_dict(artifact) for artifact in reading.artifacts],
    }
    yield json.dumps(head, indent=1)[:-2] + ',\n "snapshots": ['
    for number, snapshot in enumerate(reading):
        record = {**to_dict(snapshot), "edges": [to_dict(edge) for edge in relate(snapshot)]}
        text = json.dumps(record, indent=1, ensure_ascii=False).replace("\n", "\n  ")
        yield (",\n  " if number else "\n  ") + text
    yield "\n ]\n}\n"
