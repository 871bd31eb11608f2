"""Two points in time of one lineage: what was added, removed and changed, and why the metrics moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.logic import lineage
from ckanext.mlops.logic.focus import Focus
from ckanext.mlops.logic.lineage_facts import States
from ckanext.mlops.logic.versions import changes
from ckanext.mlops.model.moments import Moment, seen_by
from ckanext.mlops.model.nodes import dataset_of, kind_of, parts
from ckanext.mlops.model.tables import Revision

MAX_METRICS = 50
MAX_CAUSES = 100
MAX_DIFFERENCES = 100
#: What can move a metric, nearest things first when they are equally far.
CAUSES = ("command", "code", "param", "input")


def answer(
    context: Context, focus: Focus, question: lineage.Question, before: Moment | None, after: Moment | None
) -> dict[str, Any]:
    """The answer of ``mlops_lineage_diff``; the user may see the focus."""
    older, newer = (lineage.answer(context, focus, question, moment) for moment in (before, after))
    broad = replace(question, level="datasets")
    pair = (older, newer)
    if question.level != "datasets":
        pair = tuple(lineage.answer(context, focus, broad, moment) for moment in (before, after))  # type: ignore[assignment]
    session: Session = context["session"]()
    compared = _Compared(session, pair, before, after)
    return {
        **{key: newer[key] for key in ("focus", "starts", "direction", "depth", "max_nodes", "level")},
        "before": older["at"],
        "after": newer["at"],
        "nodes": _nodes(older["nodes"], newer["nodes"], compared),
        "edges": _edges(older["edges"], newer["edges"]),
        "why": compared.why(),
        "hidden": max(older["hidden"], newer["hidden"]),
        "absent": max(older["absent"], newer["absent"]),
        "truncated": older["truncated"] or newer["truncated"],
        "edges_cut": older["edges_cut"] or newer["edges_cut"],
    }


class _Compared:
    """The datasets of two graphs, with what differs between the states of each."""

    def __init__(
        self, session: Session, graphs: Iterable[dict[str, Any]], before: Moment | None, after: Moment | None
    ) -> None:
        self.titles: dict[str, str] = {}
        self.upstream: dict[str, set[str]] = {}
        self.inputs: dict[str, set[str]] = {}
        for graph in graphs:
            for node in graph["nodes"]:
                if node["kind"] == "dataset":
                    self.titles[node["id"]] = node["title"]
            for edge in graph["edges"]:
                if edge["kind"] == "data":
                    self.upstream.setdefault(edge["downstream"], set()).add(edge["upstream"])
                    self.inputs.setdefault(edge["downstream"], set()).add(edge["path"])
        self.older, self.newer = (_facts(session, self.titles, moment) for moment in (before, after))
        self.differences = {key: self._differences(key) for key in self.titles}

    def why(self) -> list[dict[str, Any]]:
        """The metrics that moved, each with what may have moved it, the nearest first."""
        moved: list[dict[str, Any]] = []
        for key in sorted(self.titles, key=lambda each: (self.titles[each].casefold(), each)):
            causes: list[dict[str, Any]] | None = None
            for change in self.differences[key]:
                if change["what"] != "metric" or len(moved) == MAX_METRICS:
                    continue
                if causes is None:
                    causes = self._causes(key)
                file, _, name = change["name"].rpartition(":")
                moved.append(
                    {
                        "metric": name,
                        "file": file,
                        "node": key,
                        "title": self.titles[key],
                        **{each: change[each] for each in ("before", "after", "delta") if each in change},
                        "causes": causes,
                    }
                )
        return moved

    def _causes(self, metric: str) -> list[dict[str, Any]]:
        distances: dict[str, int] = {metric: 0}
        frontier = [metric]
        while frontier:
            ahead = sorted({up for key in frontier for up in self.upstream.get(key, ()) if up not in distances})
            distances |= dict.fromkeys(ahead, distances[frontier[0]] + 1)
            frontier = ahead
        found = []
        for key, distance in distances.items():
            made = bool(self.older.get(key, {}).get("command") or self.newer.get(key, {}).get("command"))
            for change in self.differences.get(key, ()):
                # Of raw data, what it is now is itself the input that changed.
                what = "input" if change["what"] == "output" and not made else change["what"]
                if what in CAUSES:
                    found.append({"distance": distance, "node": key, "title": self.titles[key], **change, "what": what})
        found.sort(key=lambda each: (each["distance"], CAUSES.index(each["what"]), each["title"], each["name"]))
        return found[:MAX_CAUSES]

    def _differences(self, key: str) -> list[dict[str, Any]]:
        if key not in self.older or key not in self.newer:
            return []
        found = changes(self.newer[key], self.older[key])
        listed: list[dict[str, Any]] = []
        if found["command"]:
            listed.append({"what": "command", "name": "", **found["command"]})
        for group, what in (("inputs", "input"), ("params", "param"), ("outputs", "output"), ("metrics", "metric")):
            for change in found[group]:
                code = what == "input" and change["name"] not in self.inputs.get(key, ())
                listed.append({"what": "code" if code else what, **change})
        return listed[:MAX_DIFFERENCES]


def _facts(session: Session, datasets: Iterable[str], moment: Moment | None) -> dict[str, dict[str, Any]]:
    """The stage records at a moment, with the metrics that ``dvc.yaml`` names at its top given to who writes them."""
    states = States(session, datasets, moment)
    found = {key: dict(row.facts) for key, row in states.rows.items()}
    top = _top_metrics(session, datasets, moment)
    for facts in found.values():
        known = {metric.get("file") for metric in facts.get("metrics") or ()}
        outs = [str(out.get("path") or "").rstrip("/") for out in facts.get("outs") or ()]
        more = [
            {"file": file, "state": "in-git", "values": entry["data"]}
            for file, entry in top.items()
            if file not in known and "data" in entry and any(file == out or file.startswith(f"{out}/") for out in outs)
        ]
        if more:
            facts["metrics"] = [*(facts.get("metrics") or ()), *more]
    return found


def _top_metrics(session: Session, datasets: Iterable[str], moment: Moment | None) -> Mapping[str, dict[str, Any]]:
    if moment is None or not moment.repository or not moment.commit:
        return {}
    row = session.scalar(
        sa.select(Revision.metrics)
        .where(
            Revision.repository == naming.repository_slug(moment.repository),
            Revision.commit == moment.commit,
            seen_by(list(datasets)),
        )
        .limit(1)
    )
    return row if isinstance(row, dict) else {}


def _nodes(older: list[dict[str, Any]], newer: list[dict[str, Any]], compared: _Compared) -> list[dict[str, Any]]:
    before = {node["id"]: node for node in older}
    after = {node["id"]: node for node in newer}
    merged = []
    for key in [*after, *(key for key in before if key not in after)]:
        one, two = before.get(key), after.get(key)
        there = [_there(node) for node in (one, two)]
        if not there[0] or not there[1]:
            change = "added" if there[1] else "removed" if there[0] else "same"
            differences: list[dict[str, Any]] = []
        else:
            differences = _of_node(key, one or {}, two or {}, compared)
            change = "changed" if differences else "same"
        merged.append((two or one or {}) | {"change": change, "differences": differences})
    return merged


def _there(node: Mapping[str, Any] | None) -> bool:
    """Whether the node was there; a harvested dataset that was not at that time has no version."""
    return node is not None and not (node.get("stage") and node.get("version") is None)


def _of_node(key: str, one: Mapping[str, Any], two: Mapping[str, Any], compared: _Compared) -> list[dict[str, Any]]:
    dataset = dataset_of(key)
    if dataset is None:
        return []
    found = compared.differences.get(dataset, [])
    if kind_of(key) == "file":
        own = parts(key)[1]
        if one.get("hash") == two.get("hash"):
            return []
        return [each for each in found if each["what"] == "output" and each["name"] == own]
    if kind_of(key) == "step":
        return [each for each in found if each["what"] in CAUSES or each["what"] == "metric"]
    return found


def _edges(older: list[dict[str, Any]], newer: list[dict[str, Any]]) -> list[dict[str, Any]]:
    before = {_key(edge): edge for edge in older}
    after = {_key(edge): edge for edge in newer}
    merged = []
    for key in [*after, *(key for key in before if key not in after)]:
        one, two = before.get(key), after.get(key)
        if one is None or two is None:
            change = "added" if two is not None else "removed"
        else:
            change = "same" if one.get("hash") == two.get("hash") else "changed"
        merged.append((two or one or {}) | {"change": change, "hash_before": (one or {}).get("hash")})
    return merged


def _key(edge: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(edge.get(name) for name in ("upstream", "downstream", "origin", "kind", "relation", "path"))
