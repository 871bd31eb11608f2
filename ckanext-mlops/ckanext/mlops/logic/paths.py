"""How two things hang together: the ways that lead from one to the other."""

from __future__ import annotations

from typing import Any

from ckan.types import Context

from ckanext.mlops.logic.focus import Focus
from ckanext.mlops.logic.lineage import graph_of
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model.closure import Closure, closure
from ckanext.mlops.model.datasetgraph import DatasetGraph
from ckanext.mlops.model.nodes import Side

MAX_EXPLORED = 20_000
MAX_DEPTH = 100
MAX_NODES = 2000


def answer(context: Context, start: Focus, end: Focus, *, every: bool) -> dict[str, Any]:
    """The answer of ``mlops_lineage_path``: the user may see both ends."""
    reader = Reader(context)
    graph = DatasetGraph(reader.session)
    reader.look([*start.datasets, *end.datasets])
    one, two = start.starts(None)[0], end.starts(None)[0]
    forward = _walk(reader, graph, one, "downstream")
    direction: Side = "downstream"
    if one != two and two not in forward.downstream:
        direction = "upstream"
        one, two = two, one
        forward = _walk(reader, graph, one, "downstream")
    truncated = forward.truncated
    on_the_way: dict[str, int] = {}
    length: int | None = None
    if one == two:
        on_the_way, length = {one: 0}, 0
    elif two in forward.downstream:
        back = _walk(reader, graph, two, "upstream")
        truncated = truncated or back.truncated
        length = forward.downstream[two]
        ahead = forward.downstream | {one: 0}
        behind = back.upstream | {two: 0}
        on_the_way = {
            key: ahead[key] for key in ahead if key in behind and (every or ahead[key] + behind[key] == length)
        }
    ordered = sorted(on_the_way, key=lambda key: (on_the_way[key], key))
    cut = len(ordered) > MAX_NODES
    shown = Closure((one,), downstream={key: on_the_way[key] for key in ordered[:MAX_NODES] if key != one})
    nodes, edges = graph_of(reader, graph, shown) if on_the_way else ([], [])
    return {
        "start": start.starts(None)[0],
        "end": end.starts(None)[0],
        "found": length is not None,
        "direction": direction if length is not None else None,
        "length": length,
        "nodes": nodes,
        "edges": edges,
        # Only what was met on a way that leads on: a hidden dataset may or may not be on one.
        "hidden": len(forward.hidden),
        "truncated": truncated or cut,
    }


def _walk(reader: Reader, graph: DatasetGraph, start: str, side: Side) -> Closure:
    return closure(
        graph, [start], sides=(side,), depth=MAX_DEPTH, max_nodes=MAX_EXPLORED, look=reader.look, beyond=False
    )
