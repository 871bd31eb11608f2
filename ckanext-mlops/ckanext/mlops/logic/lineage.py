"""Lineage as a reader may see it: the nodes and edges of ``mlops_lineage_show``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ckan.types import Context

from ckanext.mlops.logic import focus as focuses
from ckanext.mlops.logic import lineage_facts as facts
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import model_names
from ckanext.mlops.model.closure import Closure, closure, distances
from ckanext.mlops.model.datasetgraph import DatasetGraph, named_models
from ckanext.mlops.model.filegraph import MAX_ROWS, FileGraph, source_key
from ckanext.mlops.model.moments import Moment
from ckanext.mlops.model.nodes import MODELS, STEP, Side, dataset_of, kind_of
from ckanext.mlops.model.tracking import PRODUCED, RUNS_PER_DATASET

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
    focus = focuses.as_of(context, focus, moment)
    # Whoever asks for the neighbours only, as of what is opened in the graph, gets all runs.
    max_runs = RUNS_PER_DATASET if question.depth > 1 else None
    files = None if question.level == "datasets" else FileGraph(reader.session, moment, max_runs)
    graph = files or DatasetGraph(reader.session, moment, max_runs)
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
    _count_runs(places, graph)
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
    before, after = around.more["upstream"], around.more["downstream"]
    return {
        key: {
            "distance": distance,
            "upstream_distance": around.upstream.get(key),
            "downstream_distance": around.downstream.get(key),
            "more": {"upstream": key in before, "downstream": key in after},
        }
        for key, distance in distances(around)
    }


def _count_runs(places: dict[str, dict[str, Any]], graph: DatasetGraph | FileGraph) -> None:
    """How many runs of each dataset are not shown."""
    if not any(graph.left_out.values()):
        return
    for key, place in places.items():
        dataset = dataset_of(key)
        left_out = sum(each.get(dataset, 0) for each in graph.left_out.values()) if dataset else 0
        if left_out:
            place["runs_cut"] = left_out


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
    named = model_names.uris(graph.session, shown)
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
    models = named_models(graph.session, (row.source for row in rows))
    found: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    cut = len(rows) >= MAX_ROWS
    for row in rows:
        sources = _read(row, models.get(row.source) or source_key(row), outs, shown)
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


def _read(row: Any, key: str, outs: dict[str, list[str]], shown: set[str]) -> list[str]:
    """The nodes that an edge reads: ``key``, the file, or what stands for its dataset."""
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


_REGISTRY = {
    ("run", "model"): "registry",
    ("run", "logged_model"): "logged",
    ("logged_model", "model"): "registered",
    ("registered_model", "model"): "version",
}


def _tracked(graph: DatasetGraph | FileGraph, shown: set[str]) -> list[dict[str, Any]]:
    """Edges by way of MLflow: between datasets (or their files) and runs or models, and from these to models."""
    targets = {key for key in shown if kind_of(key) in ("run", *MODELS)}
    if not targets:
        return []
    ends: dict[str, list[str]] = {}
    for node in sorted(shown):
        dataset = dataset_of(node)
        if dataset:
            ends.setdefault(dataset, []).append(node)
    found = []
    for tie in graph.tracking.ties(ends, targets):
        if tie.link is None:
            why = _REGISTRY[kind_of(tie.upstream), kind_of(tie.downstream)]
            found.append(_plain(tie.upstream, tie.downstream, "model", PRODUCED, "harvested", {"kind": why}))
            continue
        kind = "run" if tie.link.kind == "run" else "model"
        seen = tie.link.created.isoformat()
        for upstream in ends.get(tie.upstream, [tie.upstream]):
            for downstream in ends.get(tie.downstream, [tie.downstream]):
                edge = _plain(upstream, downstream, kind, tie.link.relation, tie.link.origin, tie.link.evidence)
                found.append(edge | {"version": tie.link.version_id, "first_seen": seen, "last_seen": seen})
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
