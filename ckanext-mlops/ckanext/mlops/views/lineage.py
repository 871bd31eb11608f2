"""The Lineage tab of a dataset: a graph, and the same content as a table that needs no JavaScript."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ckan.plugins import toolkit as tk
from flask import Blueprint, request

from ckanext.mlops.logic.schema import DIRECTIONS, MAX_DEPTH

MAX_NODES = 300
DEFAULT_DEPTH = 5
mlops_lineage = Blueprint("mlops_lineage", __name__)


@dataclass(slots=True)
class Step:
    """One row of the table: all edges of one origin between two nodes."""

    distance: int
    upstream: dict[str, Any]
    downstream: dict[str, Any]
    origin: str
    total: int
    inputs: list[dict[str, Any]] = field(default_factory=list)


@mlops_lineage.route("/dataset/<id>/lineage", endpoint="index")
def index(id: str) -> str:  # noqa: A002 CKAN's routes name it so
    """The tab, for ``direction`` and ``depth`` of the query."""
    direction = request.args.get("direction", "both")
    depth = request.args.get("depth", str(DEFAULT_DEPTH))
    try:
        package = tk.get_action("package_show")({}, {"id": id})
        graph = tk.get_action("mlops_lineage_show")(
            {}, {"id": package["id"], "direction": direction, "depth": depth, "max_nodes": MAX_NODES}
        )
    except tk.ObjectNotFound:
        tk.abort(404, tk._("Dataset not found"))
    except tk.NotAuthorized:
        tk.abort(403, tk._("Not authorized to see this dataset"))
    except tk.ValidationError as error:
        tk.abort(400, "; ".join(f"{key}: {value}" for key, value in sorted(error.error_summary.items())))
    for node in graph["nodes"]:
        if node["kind"] == "dataset":
            node["url"] = tk.url_for("dataset.read", id=node["name"])
            node["lineage_url"] = tk.url_for("mlops_lineage.index", id=node["name"])
    made_from, used_for = steps(graph)
    return tk.render(
        "mlops/lineage.html",
        {
            "pkg_dict": package,
            "dataset_type": package["type"],
            "graph": graph,
            "summary": summary(graph),
            "made_from": made_from,
            "used_for": used_for,
            "evidence": evidence,
            "directions": DIRECTIONS,
            "depths": range(1, MAX_DEPTH + 1),
        },
    )


def steps(graph: dict[str, Any]) -> tuple[list[Step], list[Step]]:
    """The edges as rows, nearest first: those among what the dataset was made from, and all others."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    made_from: dict[tuple[str, str, str], Step] = {}
    used_for: dict[tuple[str, str, str], Step] = {}
    for edge in graph["edges"]:
        upstream, downstream = nodes[edge["upstream"]], nodes[edge["downstream"]]
        distance, rows = downstream["downstream_distance"] or downstream["distance"], used_for
        leads_here = downstream["id"] == graph["focus"] or downstream["upstream_distance"] is not None
        if leads_here and upstream["upstream_distance"] is not None:
            distance, rows = upstream["upstream_distance"], made_from
        key = (edge["upstream"], edge["downstream"], edge["origin"])
        step = rows.setdefault(key, Step(distance, upstream, downstream, edge["origin"], edge["total"]))
        step.inputs.append(edge)
    return _ordered(made_from.values()), _ordered(used_for.values())


def evidence(edge: dict[str, Any]) -> str:
    """Why the edge is believed, in words."""
    words = {
        "locked": tk._("Recorded in the repository, same content"),
        "declared": tk._("Named as an input in the repository"),
        "import": tk._("Imported from another repository"),
        "hint": tk._("Named in the command"),
    }
    origins = {
        "harvested": tk._("Recorded in the repository"),
        "inferred": tk._("Concluded from equal content"),
        "asserted": tk._("Recorded by a person"),
    }
    return str(words.get(edge["evidence"].get("kind")) or origins.get(edge["origin"], edge["origin"]))


def summary(graph: dict[str, Any]) -> str:
    """What the graph says, in a sentence or two."""
    others = [node for node in graph["nodes"] if node["id"] != graph["focus"]]
    upstream = [node for node in others if node["upstream_distance"] is not None]
    downstream = [node for node in others if node["downstream_distance"] is not None]
    sources = sum(node["kind"] == "external" for node in upstream)
    parts = []
    if graph["direction"] != "downstream":
        made = [_datasets(len(upstream) - sources)] if len(upstream) > sources else []
        made += (
            [tk.ungettext("{n} outside source", "{n} outside sources", sources).format(n=sources)] if sources else []
        )
        parts.append(
            tk._("Made from {what}.").format(what=tk._(" and ").join(made))
            if made
            else tk._("Nothing is known about what it was made from.")
        )
    if graph["direction"] != "upstream":
        parts.append(
            tk._("Used for {what}.").format(what=_datasets(len(downstream)))
            if downstream
            else tk._("Nothing in this portal is known to use it.")
        )
    return " ".join(parts)


def _datasets(count: int) -> str:
    return str(tk.ungettext("{n} dataset", "{n} datasets", count).format(n=count))


def _ordered(rows: Iterable[Step]) -> list[Step]:
    return sorted(rows, key=lambda row: (row.distance, row.upstream["title"], row.downstream["title"], row.origin))
