"""Reports on lineage: what depends on a dataset, and how two hang together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ckan.plugins import toolkit as tk
from flask import Blueprint, Response, request

from ckanext.mlops.lineage_page import page, rows, words
from ckanext.mlops.lineage_page.state import State
from ckanext.mlops.views.datasets import dataset_or_abort
from ckanext.mlops.views.lineage import file_answer, refusals

MAX_ROWS = 2000
FILTERS = ("kind", "organization")
COLUMNS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "step": lambda row: row["distance"],
    "name": lambda row: row["title"].casefold(),
    "owner": lambda row: str(row.get("owner") or "").casefold(),
    "organization": lambda row: str(row.get("organization") or "").casefold(),
    "models": lambda row: len(row.get("models") or ()),
}
mlops_lineage_reports = Blueprint("mlops_lineage_reports", __name__)


@mlops_lineage_reports.route("/dataset/<id>/lineage/impact", endpoint="impact")
def impact(id: str) -> str | Response:  # noqa: A002 CKAN's routes name it so
    """Everything that depends on a dataset; with ``format=csv`` as a file."""
    package = dataset_or_abort(id)
    chosen = {name: request.args[name] for name in FILTERS if request.args.get(name)}
    asked = {"id": package["id"], "limit": MAX_ROWS, **chosen}
    with refusals():
        if request.args.get("format") == "csv":
            text = tk.get_action("mlops_lineage_impact")({}, asked | {"format": "csv"})["csv"]
            return file_answer(text, "text/csv", f"impact-{package['name']}.csv")
        found = tk.get_action("mlops_lineage_impact")({}, asked)
    sort = request.args.get("sort") or "step"
    column = COLUMNS.get(sort.removeprefix("-"), COLUMNS["step"])
    found["results"].sort(key=column, reverse=sort.startswith("-"))

    def here(query: Mapping[str, str]) -> str:
        return str(tk.url_for("mlops_lineage_reports.impact", id=package["name"], **(chosen | dict(query))))

    values = {"pkg_dict": package, "dataset_type": package["type"], "found": found, "sort": sort, "chosen": chosen}
    return str(tk.render("mlops/impact.html", values | {"here": here, "words": words}))


@mlops_lineage_reports.route("/dataset/<id>/lineage/path", endpoint="path")
def path(id: str) -> str:  # noqa: A002
    """How a dataset and ``end`` of the query hang together."""
    package = dataset_or_abort(id)
    end = request.args.get("end", "").strip()
    values: dict[str, Any] = {
        "pkg_dict": package,
        "dataset_type": package["type"],
        "end": end,
        "graph": None,
        "why": "",
    }
    if end:
        try:
            found = tk.get_action("mlops_lineage_path")({}, {"start": package["id"], "end": end})
            graph = page.dressed({"focus": package["id"], "starts": [package["id"]], **found})
            values |= {
                "graph": graph,
                "steps": rows.steps(graph),
                "state": State(),
                "words": words,
                "max_rows": MAX_ROWS,
            }
        except (tk.ObjectNotFound, tk.NotAuthorized):
            values["why"] = tk._("Nothing of that name is known here.")
        except tk.ValidationError as error:
            values["why"] = "; ".join(error.error_summary.values())
    return str(tk.render("mlops/path.html", values))
