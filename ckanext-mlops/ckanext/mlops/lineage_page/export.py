"""A shown graph as text: Mermaid (for Markdown pages), Graphviz DOT, and CSV. All labels are hostile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckanext.mlops.core import sheets
from ckanext.mlops.lineage_page import rows, words

Graph = dict[str, Any]
MAX_LABEL = 120
_COLOURS = {
    "source": "#1f7a4d",
    "raw": "#5a6472",
    "data": "#2b6cb0",
    "file": "#2b6cb0",
    "step": "#44546a",
    "model": "#7b3fb3",
    "metrics": "#b45309",
    "plots": "#b45309",
    "run": "#0e7490",
    "logged_model": "#7b3fb3",
    "registered_model": "#7b3fb3",
    "model_version": "#7b3fb3",
}
_CHANGES = {"added": "#1a7f37", "removed": "#cf222e", "changed": "#9a6700"}
_MERMAID_LINES = {"harvested": "-->", "inferred": "-.->", "asserted": "-..->"}
_DOT_LINES = {"harvested": "solid", "inferred": "dashed", "asserted": "dotted"}


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart."""
    names = _names(graph)
    lines = ["flowchart LR"]
    for node in graph["nodes"]:
        opening, closing = ("([", "])") if node["kind"] == "external" else ("[", "]")
        lines.append(f'  {names[node["id"]]}{opening}"{_mermaid_text(_label(node))}"{closing}:::{_style(node)}')
    for upstream, downstream, origin, change in _pairs(graph):
        arrow = "==>" if change in _CHANGES else _MERMAID_LINES.get(origin, "-->")
        label = f"|{words.changes()[change]}|" if change in _CHANGES else ""
        lines.append(f"  {names[upstream]} {arrow}{label} {names[downstream]}")
    used = sorted({_style(node) for node in graph["nodes"]})
    lines += [f"  classDef {each} stroke:{(_COLOURS | _CHANGES)[each]},stroke-width:2px" for each in used]
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """A graph for Graphviz."""
    names = _names(graph)
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    for node in graph["nodes"]:
        shape = ', shape=oval, style=""' if node["kind"] == "external" else ""
        colour = (_COLOURS | _CHANGES)[_style(node)]
        lines.append(f'  {names[node["id"]]} [label="{_dot_text(_label(node))}", color="{colour}"{shape}];')
    for upstream, downstream, origin, change in _pairs(graph):
        colour = f', color="{_CHANGES[change]}"' if change in _CHANGES else ""
        lines.append(f"  {names[upstream]} -> {names[downstream]} [style={_DOT_LINES.get(origin, 'solid')}{colour}];")
    return "\n".join([*lines, "}"]) + "\n"


def csv(graph: Graph) -> str:
    """One row per connection and file."""
    head = ["from", "from_id", "to", "to_id", "file", "hash", "origin", "evidence", "version", "change", "last_seen"]
    found = [row for table in rows.steps(graph) for row in table]
    return sheets.csv_text(
        head,
        [
            [
                row.upstream["title"],
                row.upstream["id"],
                row.downstream["title"],
                row.downstream["id"],
                edge.get("path") or "",
                edge.get("hash") or "",
                row.origin,
                words.evidence(edge),
                edge.get("version") or "",
                edge.get("change") or "",
                edge.get("last_seen") or "",
            ]
            for row in found
            for edge in row.inputs
        ],
    )


#: Format → (writer, media type, suffix of the file).
FORMATS: dict[str, tuple[Callable[[Graph], str], str, str]] = {
    "mermaid": (mermaid, "text/plain", "mmd"),
    "dot": (dot, "text/vnd.graphviz", "dot"),
    "csv": (csv, "text/csv", "csv"),
}


def _names(graph: Graph) -> dict[str, str]:
    return {node["id"]: f"n{number}" for number, node in enumerate(graph["nodes"])}


def _pairs(graph: Graph) -> list[tuple[str, str, str, str]]:
    """Each pair of nodes once: upstream, downstream, its first origin, its change."""
    return [
        (row.upstream["id"], row.downstream["id"], row.origin, row.change)
        for table in rows.steps(graph)
        for row in {(each.upstream["id"], each.downstream["id"]): each for each in reversed(table)}.values()
    ]


def _style(node: dict[str, Any]) -> str:
    change = node.get("change") or ""
    return change if change in _CHANGES else node["role"] if node["role"] in _COLOURS else "data"


def _label(node: dict[str, Any]) -> str:
    detail = words.roles().get(node["role"], node["role"])
    return "\n".join([node["title"][:MAX_LABEL], detail])


def _mermaid_text(text: str) -> str:
    """Everything that is a character of Mermaid or HTML becomes its entity."""
    safe = "".join(c if c.isalnum() or c in " \n.,:_/-" else f"#{ord(c)};" for c in _printable(text))
    return safe.replace("\n", "<br/>")


def _dot_text(text: str) -> str:
    return _printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
