"""A repository's metrics page: every branch and tag against every metric and param."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ckan.plugins import toolkit as tk
from flask import Blueprint, Response, request

from ckanext.mlops.core.sheets import csv_text, markdown_text
from ckanext.mlops.logic import charts
from ckanext.mlops.logic.metrics_table import ANY_FILE, as_text, number_of, shades

FORMATS = {"csv": "text/csv", "md": "text/markdown", "json": "application/json"}
MAX_AXES = 8
MAX_SHOWN = 60
ROWS = 200
mlops_metrics = Blueprint("mlops_metrics", __name__)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as the page shows it, None for none: then ``why``. ``shade`` is 1 to 5, or 0 for no colour."""

    text: str | None = None
    delta: str = ""
    shade: int = 0
    why: str = ""


@mlops_metrics.route("/repository/<id>/metrics", endpoint="index")
def index(id: str) -> str | Response:  # noqa: A002 CKAN's routes name it so
    """The page; with ``format`` csv, md or json the same table as a file. The query is the action's arguments."""
    options: dict[str, Any] = {
        "id": id,
        "baseline": request.args.get("baseline", ""),
        "columns": request.args.getlist("column"),
        "where": request.args.get("where", "").split(),
        "sort": request.args.get("sort", ""),
        "order": request.args.get("order", "desc"),
        "changed_only": request.args.get("changed_only", "") not in ("", "0", "false"),
    }
    error = ""
    show = tk.get_action("mlops_repository_metrics")
    try:
        found = show({}, dict(options))
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Repository not found"))
    except tk.ValidationError as problem:
        error = "; ".join(problem.error_summary.values())
        found = show({}, {"id": id})
    form = request.args.get("format", "")
    if form in FORMATS and not error:
        return _file(found, form)
    pages = max(1, -(-len(found["rows"]) // ROWS))
    page = min(max(1, request.args.get("page", 1, int)), pages)
    names = {row["revision"]["name"]: _label(row["revision"]) for row in found["rows"]}
    if options["baseline"]:
        names.setdefault(options["baseline"], options["baseline"])
    drawn = _charts(found, request.args.get("y", ""), request.args.get("x", ""), request.args.get("over", ""))
    return tk.render(
        "mlops/metrics.html",
        drawn
        | {
            "repository": found["repository"],
            "revisions": list(names.items()),
            "first": (page - 1) * ROWS,
            "last": page * ROWS,
            "page_number": page,
            "pages": pages,
            "kept": [pair for pair in request.args.items(multi=True) if pair[0] not in ("x", "y", "over")],
            "table": found,
            "cells": _cells(found, (page - 1) * ROWS, page * ROWS),
            "options": options,
            "choices": found["choices"],
            "error": error,
            "link": _linker(id),
        },
    )


def _charts(found: dict[str, Any], y: str, x: str, over: str) -> dict[str, Any]:
    """The trend of a metric, it against another number, and all numbers side by side; what may be chosen.

    :param over: kind of the revisions that are drawn (``tag``, ``commit``, ...); all when there are none
    """
    kinds = list(dict.fromkeys(row["revision"]["kind"] for row in found["rows"]))
    over = over if over in kinds else ""
    drawn_rows: dict[str, tuple[dict[str, Any], list[str]]] = {}  # revisions of one commit are one point
    for row in sorted(found["rows"], key=lambda row: row["revision"].get("committed") or ""):
        if over in ("", row["revision"]["kind"]):
            revision = row["revision"]
            drawn_rows.setdefault(revision["commit"] or revision["name"], (row, []))[1].append(_label(revision))
    rows = [row for row, _ in drawn_rows.values()]
    names = [", ".join(labels) for _, labels in drawn_rows.values()]
    columns = {
        column["label"]: [number_of(row["values"].get(column["id"])) for row in rows] for column in found["columns"]
    }
    numeric = [label for label, values in columns.items() if len({value for value in values if value is not None}) > 1]
    if not numeric:
        return {"charts": [], "numeric": [], "axes": {}, "kinds": kinds, "over": over}
    y = y if y in columns else numeric[0]
    x = x if x in columns else next((label for label in reversed(numeric) if label != y), y)
    drawn = [
        (charts.trend(names, columns[y], y), tk._("{y} over the revisions, oldest first").format(y=y)),
        (charts.scatter(names, columns[x], columns[y], x, y), tk._("{y} against {x}").format(y=y, x=x)),
        (
            charts.parallel(names, [(label, columns[label]) for label in numeric[:MAX_AXES]]),
            tk._("Each line is a revision: its params and metrics side by side"),
        ),
    ]
    return {
        "charts": [(chart, title) for chart, title in drawn if chart is not None],
        "numeric": numeric,
        "axes": {"x": x, "y": y},
        "kinds": kinds,
        "over": over,
    }


def _cells(found: dict[str, Any], first: int, last: int) -> list[list[Cell]]:
    """The cells of the rows of a page, in the order of the columns: there may be thousands."""
    shaded = shades(found)
    columns = [(column["id"], column["file"], column["kind"] == "metric") for column in found["columns"]]
    rows = []
    for index, row in enumerate(found["rows"][first:last], first):
        values, deltas, absent = row["values"], row["deltas"], row["absent"]
        anywhere = next(iter(absent.values()), "")
        cells = []
        for key, file, is_metric in columns:
            value = values.get(key)
            if value is None:
                cells.append(Cell(why=absent.get(file) or (anywhere if file == ANY_FILE and is_metric else "")))
                continue
            delta = deltas.get(key)
            shade = shaded[key].get(index, 0) if key in shaded else 0
            cells.append(Cell(_text(value), f"{delta:+.4g}" if delta else "", shade))
        rows.append(cells)
    return rows


def _text(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _linker(repository: str) -> Callable[..., str]:
    """What gives this page's address with parts of its query changed; an empty value takes a part away."""
    page = str(tk.url_for("mlops_metrics.index", id=repository))
    query = request.args.to_dict(flat=False)

    def link(**changes: str) -> str:
        changed = {key: value for key, value in {**query, **changes}.items() if value}
        return f"{page}?{urlencode(changed, doseq=True)}" if changed else page

    return link


def _label(revision: dict[str, Any]) -> str:
    """What people call a revision: a commit by its first digits and what was said of it."""
    if revision["kind"] != "commit":
        return str(revision["name"])
    said = str(revision.get("message") or "").strip().splitlines()
    return " ".join([str(tk.h.mlops_short_hash(revision["name"])), *said[:1]])[:60]


def _file(found: dict[str, Any], form: str) -> Response:
    if form == "json":
        text = json.dumps(found, ensure_ascii=False)
    else:
        text = csv_text(*as_text(found)) if form == "csv" else markdown_text(*as_text(found)) + "\n"
    name = f"{found['repository']['id']}-metrics.{form}"
    return Response(text, mimetype=FORMATS[form], headers={"Content-Disposition": f'attachment; filename="{name}"'})
