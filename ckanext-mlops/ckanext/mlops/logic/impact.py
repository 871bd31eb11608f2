"""What depends on something: everything that was made from it, with whom to ask and which models are in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.types import Context

from ckanext.mlops.core.sheets import csv_text
from ckanext.mlops.logic import lineage_facts as facts
from ckanext.mlops.logic.focus import Focus
from ckanext.mlops.logic.lineage import places_of
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model.closure import Closure, closure
from ckanext.mlops.model.datasetgraph import DatasetGraph
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.nodes import MODELS, dataset_of, kind_of, parts

MAX_NODES = 20_000
MAX_DEPTH = 100
_KINDS = {"dataset": "dataset", "run": "run", **dict.fromkeys(MODELS, "model")}
_HEAD = ("degree", "kind", "name", "title", "type", "owner", "organization", "models", "aliases", "url")


def answer(
    context: Context,
    focus: Focus,
    *,
    depth: int,
    kind: str,
    organization: str,
    limit: int,
    offset: int,
    as_csv: bool,
) -> dict[str, Any]:
    """The answer of ``mlops_lineage_impact``; the user may see the focus."""
    reader = Reader(context)
    graph = DatasetGraph(reader.session)
    around = walk(reader, graph, focus, depth=depth)
    reached = [
        (distance, key)
        for key, distance in around.downstream.items()
        if key not in around.starts and (not kind or _KINDS[kind_of(key)] == kind)
    ]
    rows = [row for row in reached if not organization or _organization(reader, row[1]) == organization]
    rows.sort(key=lambda row: (row[0], kind_of(row[1]), _title(reader, row[1]).casefold(), row[1]))
    page = [key for _, key in rows[offset : offset + limit]]
    results = _results(reader, graph, around, page)
    degrees: dict[int, int] = {}
    for distance, _ in rows:
        degrees[distance] = degrees.get(distance, 0) + 1
    found = {
        "count": len(rows),
        "degrees": degrees,
        "organizations": _organizations(reader, (key for _, key in reached)),
        "results": results,
        "hidden": len(around.hidden),
        "absent": len(around.absent),
        "truncated": around.truncated or any(around.more["downstream"]),
    }
    if as_csv:
        lines = [[str(_cell(row, column)) for column in _HEAD] for row in results]
        found["csv"] = csv_text(_HEAD, lines)
        found["results"] = []
    return found


def walk(reader: Reader, graph: DatasetGraph, focus: Focus, *, depth: int = MAX_DEPTH) -> Closure:
    """Everything downstream."""
    reader.look(list(focus.datasets))
    return closure(graph, focus.starts(None), sides=("downstream",), depth=depth, max_nodes=MAX_NODES, look=reader.look)


def _organization(reader: Reader, key: str) -> str:
    package = reader.packages.get(dataset_of(key) or "")
    return str(package.owner_org or "") if package is not None else ""


def _organizations(reader: Reader, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Whose the datasets are, with how many, by title."""
    counts = Counter(_organization(reader, key) for key in keys)
    group = model.Group
    found = reader.session.execute(
        sa.select(group.id, group.name, group.title).where(group.id == sa.any_(texts(counts)))
    )
    rows = [{"name": row.name, "title": row.title or row.name, "count": counts[row.id]} for row in found]
    return sorted(rows, key=lambda row: (row["title"].casefold(), row["name"]))


def _title(reader: Reader, key: str) -> str:
    package = reader.packages.get(dataset_of(key) or "")
    return str(package.title or package.name) if package is not None else key


def _results(reader: Reader, graph: DatasetGraph, around: Closure, page: list[str]) -> list[dict[str, Any]]:
    places = {key: place for key, place in places_of(around).items() if key in set(page)}
    nodes = {node["id"]: node for node in facts.nodes(reader, places, [], None, brief=False)}
    owners = _owners(reader, page)
    models = _models(reader, graph, around, page)
    results = []
    for key in page:
        node = nodes[key]
        own = models.get(key, [])
        aliases = node["aliases"] if node["kind"] in MODELS else [alias for each in own for alias in each["aliases"]]
        results.append(
            {
                **{name: node[name] for name in ("id", "kind", "name", "title", "distance", "role", "url")},
                "owner": owners.get(key, ""),
                "organization": node.get("organization", ""),
                "server": node.get("server", ""),
                "model": _registered(node),
                "models": own,
                "aliases": sorted(set(aliases)),
            }
        )
    return results


def _owners(reader: Reader, keys: Iterable[str]) -> dict[str, str]:
    package = model.Package
    rows = reader.session.execute(
        sa.select(package.id, package.maintainer, package.author).where(
            package.id == sa.any_(texts(key for key in keys if kind_of(key) == "dataset"))
        )
    )
    return {row.id: row.maintainer or row.author or "" for row in rows}


def _models(reader: Reader, graph: DatasetGraph, around: Closure, page: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Dataset → the models that it was used for: what it is linked to, and what the runs made which used it."""
    reached = [key for key in around.downstream if kind_of(key) in ("run", *MODELS)]
    datasets = [key for key in page if kind_of(key) == "dataset"]
    if not reached or not datasets:
        return {}
    ahead: dict[str, list[str]] = {}
    for tie in graph.tracking.ties(datasets, reached):
        ahead.setdefault(tie.upstream, []).append(tie.downstream)
    found: dict[str, list[str]] = {}
    for dataset in datasets:
        waiting, seen = [*ahead.get(dataset, ())], set()
        while waiting:
            key = waiting.pop()
            if key not in seen and kind_of(key) != "dataset":
                seen.add(key)
                waiting += ahead.get(key, ())
        models = sorted(key for key in seen if kind_of(key) in MODELS)
        # A model as a whole, or as it was logged, is named by its versions where it has any.
        found[dataset] = [key for key in models if kind_of(key) == "model" or not ahead.get(key)]
    told = facts.Tracked(reader, {*reached, *(key for each in found.values() for key in each)})
    return {dataset: [_model(told, key) for key in keys] for dataset, keys in found.items()}


def _model(told: facts.Tracked, key: str) -> dict[str, Any]:
    node = told.node(key, kind_of(key))
    return {
        "server": parts(key)[0],
        "name": node.get("model") or node["title"],
        "version": node.get("model_version", ""),
        "model": _registered(node),
        "aliases": node["aliases"],
    }


def _registered(node: dict[str, Any]) -> str:
    """The registered model that a node is, or is a version of, as far as the reader is told of it."""
    return str(node.get("model") or "") if node.get("known") else ""


def _cell(row: dict[str, Any], column: str) -> Any:
    if column == "degree":
        return row["distance"]
    if column == "type":
        return row["role"]
    if column == "models":
        return ", ".join(f"{each['name']} {each['version']}".strip() for each in row["models"])
    return ", ".join(row["aliases"]) if column == "aliases" else row[column]
