"""The words of lineage: what nodes, connections and changes are called, in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from ckan.plugins import toolkit as tk

from ckanext.mlops.lineage_page.shown import starts

T = TypeVar("T", bound=Mapping[str, Any])
Words = Mapping[str, str]


def kept(words: Callable[[], T]) -> Callable[[], T]:
    """Look the words up once in a language: a page asks for them in every row. Nobody may change them."""
    known: dict[str, T] = {}

    @wraps(words)
    def in_language() -> T:
        language = str(tk.h.lang())
        if language not in known:
            known[language] = words()
        return known[language]

    return in_language


@kept
def roles() -> Words:
    """What a node is, in the order of the legend."""
    return {
        "source": tk._("Outside source"),
        "raw": tk._("Tracked data"),
        "data": tk._("Dataset"),
        "file": tk._("File"),
        "step": tk._("Step"),
        "model": tk._("Model"),
        "metrics": tk._("Metrics"),
        "plots": tk._("Plots"),
        "run": tk._("MLflow run"),
        "logged_model": tk._("Logged model"),
        "registered_model": tk._("Registered model"),
        "model_version": tk._("Model version"),
    }


@kept
def levels() -> Words:
    """What the nodes of a graph are."""
    return {"datasets": tk._("Datasets"), "steps": tk._("Steps"), "files": tk._("Files")}


@kept
def directions() -> Words:
    """Which side of the focus is shown."""
    return {
        "both": tk._("both sides"),
        "upstream": tk._("what it was made from"),
        "downstream": tk._("what it is used for"),
    }


@kept
def origins() -> Words:
    """How a connection came to be known."""
    return {"harvested": tk._("harvested"), "inferred": tk._("inferred"), "asserted": tk._("asserted")}


@kept
def origin_hints() -> Words:
    """The same in a sentence."""
    return {
        "harvested": tk._("The repository says so"),
        "inferred": tk._("Concluded from equal content"),
        "asserted": tk._("A person says so"),
    }


@kept
def relations() -> Words:
    """What a run did with data."""
    return {
        "trained_on": tk._("trained on it"),
        "evaluated_on": tk._("evaluated on it"),
        "used": tk._("used it"),
        "produced": tk._("made it"),
    }


@kept
def changes() -> Words:
    """What happened to a node or connection between two revisions."""
    return {
        "added": tk._("added"),
        "removed": tk._("removed"),
        "changed": tk._("changed"),
        "same": tk._("unchanged"),
    }


@kept
def kinds_of_change() -> Words:
    """What of a node changed between two revisions."""
    return {
        "command": tk._("Command"),
        "code": tk._("Code"),
        "param": tk._("Parameter"),
        "input": tk._("Input"),
        "output": tk._("Output"),
        "metric": tk._("Metric"),
    }


@kept
def ref_kinds() -> Words:
    """Kinds of refs, as groups of a list."""
    return {
        "tag": tk._("Tags"),
        "branch": tk._("Branches"),
        "experiment": tk._("DVC experiments"),
        "commit": tk._("Commits"),
    }


@kept
def evidences() -> Words:
    """Why a connection is believed, by the kind of its evidence."""
    return {
        "locked": tk._("Recorded in the repository, same content"),
        "declared": tk._("Named as an input in the repository"),
        "import": tk._("Imported from another repository"),
        "hint": tk._("Named in the command"),
        "content": tk._("Same content under another name"),
        "written": tk._("Made by this step"),
        "registry": tk._("Registered from this run"),
        "logged": tk._("Logged by this run"),
        "registered": tk._("Registered from this logged model"),
        "version": tk._("A version of it that is in use"),
        "hash": tk._("The run names the content"),
        "commit": tk._("The run was started at this commit"),
    }


@kept
def recorded() -> Words:
    """The same where only its origin is known."""
    return {
        "harvested": tk._("Recorded in the repository"),
        "inferred": tk._("Concluded from equal content"),
        "asserted": tk._("Recorded by a person"),
    }


def evidence(edge: Mapping[str, Any]) -> str:
    """Why a connection is believed."""
    kind = str((edge.get("evidence") or {}).get("kind"))
    return str(evidences().get(kind) or recorded().get(edge["origin"], edge["origin"]))


def plain(value: Any) -> str:
    """A parameter or metric as text; numbers as they were written."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def summary(graph: Mapping[str, Any]) -> str:
    """What the graph says, in a sentence or two."""
    others = [node for node in graph["nodes"] if node["id"] not in starts(graph)]
    upstream = [node for node in others if node["upstream_distance"] is not None]
    downstream = [node for node in others if node["downstream_distance"] is not None]
    if not graph["focus"]:
        return tk._("{what} in all.").format(what=_counted(graph["nodes"])) if graph["nodes"] else ""
    parts = []
    if graph["direction"] != "downstream":
        parts.append(
            tk._("Made from {what}.").format(what=_counted(upstream))
            if upstream
            else tk._("Nothing is known about what it was made from.")
        )
    if graph["direction"] != "upstream":
        parts.append(
            tk._("Used for {what}.").format(what=_counted(downstream))
            if downstream
            else tk._("Nothing in this portal is known to use it.")
        )
    return " ".join(parts)


def _counted(nodes: list[dict[str, Any]]) -> str:
    """ "2 datasets, 1 step and 1 outside source"."""
    numbers: dict[str, int] = {}
    for node in nodes:
        numbers[node["kind"]] = numbers.get(node["kind"], 0) + 1
    said = [_number(kind, numbers[kind]) for kind in _COUNTED if kind in numbers]
    return tk._(" and ").join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


_COUNTED = ("dataset", "file", "step", "run", "logged_model", "registered_model", "model", "external")


def _number(kind: str, n: int) -> str:
    forms = {
        "dataset": tk.ungettext("{n} dataset", "{n} datasets", n),
        "file": tk.ungettext("{n} file", "{n} files", n),
        "step": tk.ungettext("{n} step", "{n} steps", n),
        "run": tk.ungettext("{n} MLflow run", "{n} MLflow runs", n),
        "logged_model": tk.ungettext("{n} logged model", "{n} logged models", n),
        "registered_model": tk.ungettext("{n} registered model", "{n} registered models", n),
        "model": tk.ungettext("{n} model version", "{n} model versions", n),
        "external": tk.ungettext("{n} outside source", "{n} outside sources", n),
    }
    return str(forms[kind].format(n=n))


@kept
def for_script() -> Mapping[str, Any]:
    """What the drawn graph says."""
    return {
        "roles": roles(),
        "origins": origins(),
        "origin_hints": origin_hints(),
        "relations": relations(),
        "changes": changes(),
        "kinds_of_change": kinds_of_change(),
        "graph": tk._("Lineage graph. The tables below have the same content."),
        "zoom_in": tk._("Zoom in"),
        "zoom_out": tk._("Zoom out"),
        "fit": tk._("Fit"),
        "tidy": tk._("Tidy up"),
        "search": tk._("Find in the graph"),
        "found": tk._("{n} of {all}"),
        "picture": tk._("Save the picture as"),
        "legend": tk._("Legend"),
        "this": tk._("This one"),
        "retired": tk._("Retired"),
        "private": tk._("Private"),
        "stale": tk._("Older than its inputs"),
        "open": tk._("Open dataset"),
        "open_file": tk._("Open file"),
        "open_version": tk._("Open version"),
        "open_lineage": tk._("Show its lineage"),
        "open_source": tk._("Open source"),
        "open_run": tk._("Open in MLflow"),
        "open_model": tk._("Open model"),
        "close": tk._("Close"),
        "stage": tk._("Stage"),
        "command": tk._("Command"),
        "params": tk._("Parameters"),
        "metrics": tk._("Metrics"),
        "revision": tk._("Revision"),
        "commit": tk._("Commit"),
        "files": tk._("Files"),
        "path": tk._("Path"),
        "hash": tk._("Hash"),
        "size": tk._("Size"),
        "address": tk._("Address"),
        "experiment": tk._("Experiment"),
        "status": tk._("Status"),
        "aliases": tk._("Aliases"),
        "dataset": tk._("Dataset"),
        "changed": tk._("What changed"),
        "inputs": tk._("Made from"),
        "outputs": tk._("Used for"),
        "more": tk._("and {n} more"),
        "show_upstream": tk._("Show what it was made from"),
        "show_downstream": tk._("Show what it is used for"),
        "hide_upstream": tk._("Hide what it was made from"),
        "hide_downstream": tk._("Hide what it is used for"),
        "seen": tk._("seen"),
        "loading": tk._("Loading…"),
        "failed": tk._("This could not be loaded. Reload the page to try again."),
        "full": tk._("So many are open that the address cannot hold more: it restores the first {n}."),
    }
