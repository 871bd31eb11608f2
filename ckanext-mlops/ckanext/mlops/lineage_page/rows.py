"""The graph as tables: connections and nodes as rows, in any order that a reader asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ckanext.mlops.lineage_page import words

MAX_ROWS = 500


@dataclass(slots=True)
class Step:
    """All edges of one origin between two nodes."""

    distance: int
    upstream: dict[str, Any]
    downstream: dict[str, Any]
    origin: str
    total: int
    change: str = ""
    inputs: list[dict[str, Any]] = field(default_factory=list)


STEP_COLUMNS: dict[str, Callable[[Step], Any]] = {
    "step": lambda row: row.distance,
    "from": lambda row: row.upstream["title"].casefold(),
    "to": lambda row: row.downstream["title"].casefold(),
    "file": lambda row: row.inputs[0].get("path") or "",
    "known": lambda row: (row.origin, words.evidence(row.inputs[0])),
}
NODE_COLUMNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "name": lambda node: node["title"].casefold(),
    "kind": lambda node: (node["role"], node["title"].casefold()),
    "step": lambda node: node["distance"],
    "made": lambda node: node.get("command") or "",
    "content": lambda node: (node.get("size") or 0, node.get("files") or 0),
    "state": lambda node: (not node.get("stale"), not node.get("retired"), node.get("change") or ""),
}


def steps(graph: dict[str, Any], sort: str = "") -> tuple[list[Step], list[Step]]:
    """The connections: those among what the focus was made from, and all others; nearest first, or as ``sort`` says."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    begin = {node["id"] for node in graph["nodes"] if node["distance"] == 0}
    made_from: dict[tuple[str, str, str], Step] = {}
    used_for: dict[tuple[str, str, str], Step] = {}
    for edge in graph["edges"]:
        upstream, downstream = nodes[edge["upstream"]], nodes[edge["downstream"]]
        distance, rows = downstream["downstream_distance"] or downstream["distance"], used_for
        leads_here = downstream["id"] in begin or downstream["upstream_distance"] is not None
        if leads_here and (upstream["id"] in begin or upstream["upstream_distance"] is not None):
            distance, rows = upstream["upstream_distance"] or 0, made_from
        key = (edge["upstream"], edge["downstream"], edge["origin"])
        row = rows.setdefault(key, Step(distance, upstream, downstream, edge["origin"], edge.get("total", 1)))
        row.change = row.change if row.change not in ("", "same") else edge.get("change", "")
        row.inputs.append(edge)
    return ordered(made_from.values(), sort), ordered(used_for.values(), sort)


def nodes(graph: dict[str, Any], sort: str = "") -> list[dict[str, Any]]:
    """The nodes, nearest first, or as ``sort`` says."""
    column = NODE_COLUMNS.get(sort.removeprefix("-"), NODE_COLUMNS["step"])
    found = sorted(graph["nodes"], key=lambda node: (node["distance"], node["title"].casefold(), node["id"]))
    return sorted(found, key=column, reverse=sort.startswith("-"))


def ordered(rows: Iterable[Step], sort: str) -> list[Step]:
    """Rows, nearest first, or as ``sort`` says."""
    column = STEP_COLUMNS.get(sort.removeprefix("-"), STEP_COLUMNS["step"])
    found = sorted(rows, key=lambda row: (row.distance, row.upstream["title"], row.downstream["title"], row.origin))
    return sorted(found, key=column, reverse=sort.startswith("-"))
