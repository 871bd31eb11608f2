"""Lineage as a reader may see it: the nodes and edges of ``mlops_lineage_show``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ckan.types import Context

from ckanext.mlops.logic import focus as focuses
from ckanext.mlops.logic import lineage_facts as facts
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import mlflow_models
from ckanext.mlops.model.closure import Closure, closure, distances
from ckanext.mlops.model.datasetgraph import DatasetGraph
from ckanext.mlops.model.filegraph import MAX_ROWS, FileGraph, source_key
from ckanext.mlops.model.moments import Moment
from ckanext.mlops.model.nodes import STEP, Side, dataset_of, kind_of, model_key, run_key
from ckanext.mlops.model.tracking import PRODUCED

SIDES: dict[str, tuple[Side, ...]] = {
    "both": ("upstream", "downstream"),
    "upstream": ("upstream",),
    "downstream": ("downstream",),
}
MAX_EDGES = 20_000


@dataclass(frozen=True)
class Question:
    """What ``mlops_lineage_show`` is asked, besides where to begin."""

    direction: str = "both"
    depth: int = 5
    max_nodes: int = 200
    level: str = "datasets"
    brief: bool = False


def answer(context: Context, focus: focuses.Focus, question: Question, moment: Moment | None) -> dict[str, Any]:
    """The answer of ``mlops_lineage_show``; the user may see the focus."""
    reader = Reader(context)
    files = None if question.level == "datasets" else FileGraph(reader.session, moment)
    graph = files or DatasetGraph(reader.session, moment)
    reader.look(list(focus.datasets))
    around = closure(
        graph,
        focus.starts(files),
        sides=SIDES[question.direction],
        depth=question.depth,
        max_nodes=question.max_nodes,
        look=reader.look,
    )
    shown = around.nodes
    if isinstance(graph, FileGraph):
        edges, cut = _file_edges(graph, shown, steps=question.level == "steps")
    elif question.brief:
        edges, cut = _pairs(graph, shown), False
    else:
        edges, cut = _edges(graph, shown), False
    edges += _tracked(graph, shown)
    places = places_of(around)
    if question.level == "steps":
        _place_steps(places, edges)
    nodes = facts.nodes(reader, places, edges, moment, brief=question.brief)
    return {
        "focus": around.starts[0] if focus.single and around.starts else "",
        "starts": list(around.starts),
        "direction": question.direction,
        "depth": question.depth,
        "max_nodes": question.max_nodes,
        "level": question.level,
        "at": None if moment is None else moment.to_dict(),
        "nodes": nodes,
        "edges": edges,
        "hidden": len(around.hidden),
        "absent": len(around.absent),
        "truncated": around.truncated,
        "edges_cut": cut,
    }


def graph_of(reader: Reader, graph: DatasetGraph, around: Closure) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Nodes and edges of what was found, with all that is known of them."""
    shown = around.nodes
    edges = _edges(graph, shown) + _tracked(graph, shown)
    return facts.nodes(reader, places_of(around), edges, graph.moment, brief=False), edges


def places_of(around: Closure) -> dict[str, dict[str, Any]]:
    """Where each node is, seen from the starts."""
    return {
        key: {
            "distance": distance,
            "upstream_distance": around.upstream.get(key),
            "downstream_distance": around.downstream.get(key),
            "more": {side: key in around.more[side] for side in SIDES["both"]},
        }
        for key, distance in distances(around)
    }


def _place_steps(places: dict[str, dict[str, Any]], edges: list[dict[str, Any]]) -> None:
    """Steps are where what they wrote is."""
    for edge in edges:
        step = edge["upstream"]
        if kind_of(step) == "step" and step not in places and edge["downstream"] in places:
            places[step] = places[edge["downstream"]] | {"more": dict.fromkeys(SIDES["both"], False)}
    for edge in edges:
        step, place = edge["upstream"], places.get(edge["downstream"])
        if kind_of(step) == "step" and place is not None and place["distance"] < places[step]["distance"]:
            places[step] = place | {"more": places[step]["more"]}


def _edges(graph: DatasetGraph, shown: set[str]) -> list[dict[str, Any]]:
    rows = graph.edges_between(shown)
    named = graph.tracking.uris(key for key in shown if kind_of(key) == "model")
    return [
        _edge(row, named.get(row.upstream_uri or "", row.upstream), row.downstream_dataset, total=row.total)
        for row in rows
    ]


def _edge(row: Any, upstream: str, downstream: str, *, total: int = 1, step: str = "") -> dict[str, Any]:
    return {
        "upstream": upstream,
        "downstream": downstream,
        "kind": "data",
        "origin": row.origin,
        "relation": "",
        "path": row.path,
        "hash": row.hash,
        "resource": row.upstream_resource,
        "label": row.upstream_label,
        "evidence": row.evidence,
        "version": row.version_id,
        "step": step,
        "total": total,
        "first_seen": row.first_seen.isoformat(),
        "last_seen": row.last_seen.isoformat(),
    }


def _pairs(graph: DatasetGraph, shown: set[str]) -> list[dict[str, Any]]:
    return [
        {"upstream": upstream, "downstream": downstream, "kind": "data", "origin": origin}
        for upstream, downstream, origin in graph.pairs_between(shown)
    ]


def _file_edges(graph: FileGraph, shown: set[str], *, steps: bool) -> tuple[list[dict[str, Any]], bool]:
    """Edges between files, or from files to steps and from steps to files."""
    rows = graph.rows_between(shown)
    outs: dict[str, list[str]] = {}
    for node in sorted(shown):
        dataset = dataset_of(node)
        if dataset:
            outs.setdefault(dataset, []).append(node)
    commands = facts.commands(graph.session, graph.moment, outs) if steps else set()
    found: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    cut = len(rows) >= MAX_ROWS
    for row in rows:
        sources = _read(row, outs, shown)
        step = STEP + row.downstream_dataset
        ends = [step] if row.downstream_dataset in commands else outs.get(row.downstream_dataset, ())
        for source in sources:
            for end in ends:
                if len(found) >= MAX_EDGES:
                    cut = True
                    break
                key = (source, end, row.origin, row.path)
                found.setdefault(key, _edge(row, source, end, step="" if steps else step))
    for dataset in sorted(commands):
        for end in outs[dataset]:
            if end != STEP + dataset:
                found[STEP + dataset, end, "", ""] = _written(STEP + dataset, end)
    return list(found.values()), cut


def _read(row: Any, outs: dict[str, list[str]], shown: set[str]) -> list[str]:
    """The nodes that an edge reads: the file, or what stands for its dataset."""
    key = source_key(row)
    if key in shown:
        return [key]
    if row.output is None:
        return outs.get(row.source, [])
    return [each for each in (row.source, STEP + row.source) if each in shown]


def _written(step: str, end: str) -> dict[str, Any]:
    return {
        "upstream": step,
        "downstream": end,
        "kind": "data",
        "origin": "harvested",
        "relation": PRODUCED,
        "path": end.split(":", 2)[-1] if kind_of(end) == "file" else "",
        "hash": None,
        "resource": None,
        "label": "",
        "evidence": {"kind": "written"},
        "version": None,
        "step": "",
        "total": 1,
        "first_seen": None,
        "last_seen": None,
    }


def _tracked(graph: DatasetGraph | FileGraph, shown: set[str]) -> list[dict[str, Any]]:
    """Edges by way of MLflow: between datasets (or their files) and runs, and from runs to model versions."""
    runs = {key for key in shown if kind_of(key) == "run"}
    if not runs:
        return []
    ends: dict[str, list[str]] = {}
    for node in sorted(shown):
        dataset = dataset_of(node)
        if dataset:
            ends.setdefault(dataset, []).append(node)
    found = []
    for link in graph.tracking.links(ends, runs):
        run = run_key(link.server, link.target)
        for end in ends[link.package_id]:
            upstream, downstream = (run, end) if link.relation == PRODUCED else (end, run)
            edge = _plain(upstream, downstream, "run", link.relation, link.origin, link.evidence)
            seen = link.created.isoformat()
            found.append(edge | {"version": link.version_id, "first_seen": seen, "last_seen": seen})
    made = mlflow_models.versions_of_runs(graph.session, facts.run_pairs(runs))
    for pair, versions in made.items():
        for row in versions:
            made_model = model_key(row.server, row.name, row.version)
            if made_model in shown:
                found.append(_plain(run_key(*pair), made_model, "model", PRODUCED, "harvested", {"kind": "registry"}))
    return found


def _plain(
    upstream: str, downstream: str, kind: str, relation: str, origin: str, evidence: dict[str, Any]
) -> dict[str, Any]:
    return _written(upstream, downstream) | {
        "kind": kind,
        "relation": relation,
        "origin": origin,
        "evidence": evidence,
        "path": "",
    }


def resolve(context: Context, text: str, at: str = "") -> tuple[focuses.Focus, Moment | None]:
    """The focus and moment of a question, as far as the reader may see them."""
    reader = Reader(context)
    focus = focuses.find(context, text)
    focus = focuses.visible(focus, reader)
    return focus, focuses.moment_of(reader.session, focus, at)
