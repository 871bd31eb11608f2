"""Text of the ``ckan-mlops`` tool: tables, graphs, summaries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ckanext.mlops.core import Reading
from ckanext.mlops.core.differences import Difference
from ckanext.mlops.core.lineage import relate
from ckanext.mlops.core.records import Snapshot, to_dict
from ckanext.mlops.core.sheets import csv_text, markdown_text
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
    head = ["Revision", "Path", *keys]
    if form == "csv":
        return csv_text(head, cells).rstrip("\n")
    return markdown_text(head, cells) if form == "markdown" else aligned(head, cells)


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
    written = {stage.address: [out.path for out in stage.outs] for stage in snapshot.stages}
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
    }
    yield json.dumps(head, indent=1)[:-2] + ',\n "snapshots": ['
    for number, snapshot in enumerate(reading):
        record = {**to_dict(snapshot), "edges": [to_dict(edge) for edge in relate(snapshot)]}
        text = json.dumps(record, indent=1, ensure_ascii=False).replace("\n", "\n  ")
        yield (",\n  " if number else "\n  ") + text
    yield "\n ]\n}\n"
