"""The data of a lineage page, of whatever it is about: a dataset, a file, a version, a repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ckan.plugins import toolkit as tk

from ckanext.mlops.lineage_page import rows, words
from ckanext.mlops.lineage_page.shown import Graph, keyed, shown
from ckanext.mlops.lineage_page.state import State
from ckanext.mlops.logic.schema.lineage import MAX_DEPTH

MAX_NODES = 300
Address = Callable[[Mapping[str, str]], str]


def graph(state: State, focus: str) -> Graph:
    """What ``state`` shows around ``focus``, with the addresses of its nodes.

    :raises ckan.logic.ActionError: as the actions do
    """
    return dressed(shown(state, focus, lambda start, **changes: _ask(state, start, **changes)))


def dressed(found: Graph) -> Graph:
    """A graph of the actions, its nodes with keys and addresses."""
    keyed(found)
    resources = {edge["upstream"]: edge["resource"] for edge in found["edges"] if edge.get("resource")}
    for node in found["nodes"]:
        _address(node, node.get("resource") or resources.get(node["id"]))
    return found


def template_data(state: State, focus: str, here: Address) -> dict[str, Any]:
    """What the template ``mlops/snippets/lineage.html`` takes; ``here`` gives the page's own address for a query."""
    found = graph(state, focus)
    made_from, used_for = rows.steps(found, state.sort)
    if not found["focus"]:  # of many starts, what is before one is behind another
        made_from, used_for = rows.ordered([*made_from, *used_for], state.sort), []
    return {
        "graph": found,
        "state": state,
        "focus": focus,
        "here": here,
        "summary": words.summary(found),
        "made_from": made_from,
        "used_for": used_for,
        "node_rows": rows.nodes(found, state.nodes),
        "max_rows": rows.MAX_ROWS,
        "words": words,
        "depths": range(1, MAX_DEPTH + 1),
    }


def _ask(state: State, start: str, **changes: Any) -> Graph:
    asked: dict[str, Any] = {
        "id": start,
        "direction": state.direction,
        "depth": state.depth,
        "level": state.level,
        "max_nodes": MAX_NODES,
        **changes,
    }
    if state.against:
        compared = {"before": state.against, "after": state.at}
        return dict(tk.get_action("mlops_lineage_diff")({}, asked | compared))
    return dict(tk.get_action("mlops_lineage_show")({}, asked | ({"at": state.at} if state.at else {})))


def _address(node: dict[str, Any], resource: str | None) -> None:
    """``url`` (of the thing itself) and ``lineage_url`` of what is in this portal."""
    if node["kind"] == "model":
        node["role"] = "model_version"
    if node["kind"] in ("model", "registered_model") and node.get("known"):
        node["model_url"] = tk.url_for("mlops_mlflow.model", server=node["server"], name=node["model"])
    name = node["name"] if node["kind"] == "dataset" else node.get("dataset") or ""
    if not name:
        return
    node["url"] = tk.url_for("dataset.read", id=name)
    node["lineage_url"] = tk.url_for("mlops_lineage.index", id=name)
    if node["kind"] == "file" and resource:
        node["resource"] = resource
        node["url"] = tk.url_for("resource.read", id=name, resource_id=resource)
        node["lineage_url"] = tk.url_for("mlops_lineage.resource", id=name, resource_id=resource)
    if node.get("version"):
        node["version_url"] = tk.url_for("mlops_versions.show", id=name, version=node["version"])
