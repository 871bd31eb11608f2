"""A repository's plots page: the plots of DVC, overlaid for the revisions that are chosen."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context
from flask import Blueprint, Response, request

from ckanext.mlops.core.plot_charts import filled
from ckanext.mlops.core.sheets import csv_text
from ckanext.mlops.logic import plots
from ckanext.mlops.logic.reader import context_of_request
from ckanext.mlops.logic.schema.compare import MAX_COMPARED

PER_PAGE = 6
CHOSEN = 3
ROWS_SHOWN = 500
OFFERED = 200
MAX_PAGE = 1000
FORMATS = {"csv": "text/csv", "json": "application/json"}
_SCRIPT = Path(__file__).parents[1] / "assets" / "plots_frame.js"
mlops_plots = Blueprint("mlops_plots", __name__)


@mlops_plots.route("/repository/<id>/plots", endpoint="index")
def index(id: str) -> str | Response:  # noqa: A002 CKAN's routes name it so
    """The page: all plots, or ``plot`` of the query, at the revisions ``rev``; ``format`` csv or json for files."""
    context: Context = {}  # one for all: what the repository has is looked up once
    try:
        found = tk.get_action("mlops_plot_list")(context, {"id": id})
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Repository not found"))
    known = {each["name"]: each for each in found["revisions"]}
    asked = list(dict.fromkeys(request.args.getlist("rev")))
    chosen = [name for name in asked if name in known][:MAX_COMPARED] or _newest(found["revisions"])
    name = request.args.get("plot", "")
    names = [each["name"] for each in found["plots"] if not name or each["name"] == name]
    if name and not names:
        return tk.abort(404, tk._("Plot not found"))
    page = min(max(1, request.args.get("page", 1, int)), MAX_PAGE)
    form = request.args.get("format", "")
    here = names[(page - 1) * PER_PAGE : page * PER_PAGE]
    shown = [_show(context, id, each, chosen) for each in here]
    if form in FORMATS:
        return _file(found["repository"]["id"], form, shown)
    return str(
        tk.render(
            "mlops/plots.html",
            {
                "repository": found["repository"],
                "plots": found["plots"],
                "hidden": found["hidden"],
                "revisions": len(found["revisions"]),
                "offered": [
                    each for number, each in enumerate(found["revisions"]) if number < OFFERED or each["name"] in chosen
                ],
                "named": known,
                "unknown": [each for each in asked if each not in known],
                "left_out": max(0, len([each for each in asked if each in known]) - MAX_COMPARED),
                "chosen": chosen,
                "most": MAX_COMPARED,
                "plot": name,
                "shown": shown,
                "waiting": sum(each["waiting"] for each in shown),
                "charts": _frame(chart for each in shown for chart in each["charts"]),
                "columns": columns,
                "rows_shown": ROWS_SHOWN,
                "page_number": page,
                "pages": -(-len(names) // PER_PAGE),
                "nonce": secrets.token_urlsafe(16),
                "script": tk.url_for("mlops_plots.script", digest=_script()[1], locale="default"),
            },
        )
    )


@mlops_plots.route("/repository/<id>/plots/image", endpoint="image")
def image(id: str) -> Response:  # noqa: A002
    """A picture that a plot shows: ``path`` at the revision ``rev`` of the query."""
    context = context_of_request()
    try:
        tk.check_access("mlops_plot_show", context, {"id": id})
        content, kind = plots.of_repository(context, id).image(
            request.args.get("rev", ""), request.args.get("path", "")
        )
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return tk.abort(404, tk._("Plot not found"))
    response = Response(content, mimetype=kind)
    # A stranger's SVG is shown as a picture only; opened by itself, nothing in it runs.
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(hashlib.sha256(content).hexdigest())
    response.make_conditional(request)
    return response


@mlops_plots.route("/mlops/plots-<digest>.js", endpoint="script")
def script(digest: str) -> Response:
    """Vega and what draws with it, sent compressed: it is 720 KiB of text, 248 KiB on the wire."""
    packed, current = _script()
    if digest != current:
        return tk.abort(404, tk._("Page not found"))
    if "gzip" in request.accept_encodings:
        response = Response(packed, mimetype="text/javascript")
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = Response(gzip.decompress(packed), mimetype="text/javascript")
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


@cache
def _script() -> tuple[bytes, str]:
    data = _SCRIPT.read_bytes()
    return gzip.compress(data, 9, mtime=0), hashlib.sha256(data).hexdigest()[:12]


def _newest(revisions: list[dict[str, Any]]) -> list[str]:
    """The first few that are not of one commit."""
    commits: dict[str, str] = {}
    for each in revisions:
        commits.setdefault(each["commit"], each["name"])
    return list(commits.values())[:CHOSEN]


def _show(context: Context, repository: str, name: str, chosen: list[str]) -> dict[str, Any]:
    asked = {"id": repository, "plot": name, "revisions": chosen}
    found: dict[str, Any] = tk.get_action("mlops_plot_show")(context, asked)
    return found


def _frame(charts: Any) -> str:
    """The charts as JSON that is safe inside of a script element."""
    text = json.dumps([{key: each[key] for key in ("title", "spec", "rows")} for each in charts], ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def columns(chart: dict[str, Any]) -> list[str]:
    """Columns of a chart's table: the revision and the file, then x and y, then what else the files say."""
    there = dict.fromkeys(key for row in chart["rows"][:100] for key in row)
    first = [key for key in ("rev", "filename", "field", "filename::field", chart["x"], chart["y"]) if key in there]
    return [*dict.fromkeys(first), *(key for key in there if key not in first)][:20]


def _file(repository: str, form: str, shown: list[dict[str, Any]]) -> Response:
    if form == "json":
        charts = [chart for each in shown for chart in each["charts"]]
        text = json.dumps([each | {"spec": filled(each["spec"], each["rows"])} for each in charts], ensure_ascii=False)
    else:
        parts = []
        for chart in (chart for each in shown for chart in each["charts"]):
            head = columns(chart)
            parts.append(csv_text(head, [[str(row.get(key, "")) for key in head] for row in chart["rows"]]))
        text = "\n".join(parts)
    name = f"{repository}-plots.{form}"
    return Response(text, mimetype=FORMATS[form], headers={"Content-Disposition": f'attachment; filename="{name}"'})
