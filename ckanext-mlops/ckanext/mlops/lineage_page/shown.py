"""The part of the graph that a state shows: the action's answer, with what was opened and without what was closed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ckanext.mlops.lineage_page.state import Opened, Side, State, node_key

Graph = dict[str, Any]
#: Asks for a graph: by node id, and the arguments of ``mlops_lineage_show`` that differ from the state's.
Ask = Callable[..., Graph]
MAX_SHOWN = 5000
_EDGE_KEY = ("upstream", "downstream", "origin", "path", "resource", "version")


def shown(state: State, focus: str, ask: Ask) -> Graph:
    """The graph of a page.

    A node gets a ``key`` (:func:`node_key`), ``folded`` (the sides that the reader closed) and ``away`` (by side, how
    many neighbours are not shown because of that).
    """
    graph = keyed(ask(focus))
    for opened in state.expand:
        node = next((each for each in graph["nodes"] if each["key"] == opened.key), None)
        if node is not None and len(graph["nodes"]) < MAX_SHOWN:
            merge(graph, node, opened.side, ask(node["id"], direction=opened.side, depth=1))
    return fold(graph, state.fold)


def keyed(graph: Graph) -> Graph:
    """``graph``, its nodes with their keys."""
    for node in graph["nodes"]:
        node["key"] = node_key(node["id"])
        node.setdefault("folded", [])
    return graph


def merge(graph: Graph, node: dict[str, Any], side: Side, found: Graph) -> None:
    """Add to ``graph`` what ``node`` has on ``side``, and what is found there."""
    known = {each["id"]: each for each in graph["nodes"]}
    for each in keyed(found)["nodes"]:
        if each["id"] not in known:
            _place(each, node, side)
            graph["nodes"].append(each)
        elif not each["more"][side]:
            known[each["id"]]["more"][side] = False
    edges = {_key(each) for each in graph["edges"]}
    graph["edges"] += [each for each in found["edges"] if _key(each) not in edges]
    for count in ("hidden", "absent"):
        graph[count] = max(graph[count], found[count])
    graph["truncated"] = graph["truncated"] or found["truncated"]


def fold(graph: Graph, closed: Iterable[Opened]) -> Graph:
    """Leave out what is reached only through a closed side of a node."""
    ids = {each["key"]: each["id"] for each in graph["nodes"]}
    gone = {(ids[each.key], each.side) for each in closed if each.key in ids}
    if not gone:
        return graph
    beside: dict[Side, dict[str, list[str]]] = {"upstream": defaultdict(list), "downstream": defaultdict(list)}
    for edge in graph["edges"]:
        beside["upstream"][edge["downstream"]].append(edge["upstream"])
        beside["downstream"][edge["upstream"]].append(edge["downstream"])
    waiting = list(starts(graph))
    kept = set(waiting)
    while waiting:
        here = waiting.pop()
        for side, neighbours in beside.items():
            for there in () if (here, side) in gone else neighbours[here]:
                if there not in kept:
                    kept.add(there)
                    waiting.append(there)
    nodes = [each for each in graph["nodes"] if each["id"] in kept]
    for node in nodes:
        node["folded"] = sorted(side for key, side in gone if key == node["id"])
    edges = [
        each
        for each in graph["edges"]
        if {each["upstream"], each["downstream"]} <= kept
        and (each["downstream"], "upstream") not in gone
        and (each["upstream"], "downstream") not in gone
    ]
    return {**graph, "nodes": nodes, "edges": edges}


def starts(graph: Mapping[str, Any]) -> list[str]:
    """Where the graph begins: one dataset, its files, or all datasets of a repository."""
    known = {each["id"] for each in graph["nodes"]}
    return [each for each in graph.get("starts") or [graph["focus"]] if each in known]


def _place(node: dict[str, Any], beside: dict[str, Any], side: Side) -> None:
    """Distances of a node that was found from another one than the page's."""
    steps = node["distance"]
    node["distance"] = beside["distance"] + steps
    for each in ("upstream_distance", "downstream_distance"):
        near = 0 if beside["distance"] == 0 else beside[each]
        node[each] = near + steps if each == f"{side}_distance" and near is not None else None


def _key(edge: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(edge.get(name) for name in _EDGE_KEY)
