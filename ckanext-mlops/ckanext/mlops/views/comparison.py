"""The page that sets versions and runs side by side, reached by ticks on a dataset's Versions and Experiments tabs."""

from __future__ import annotations

import json
from typing import Any

from ckan.plugins import toolkit as tk
from flask import Blueprint, Response, request

from ckanext.mlops.core.sheets import csv_text
from ckanext.mlops.logic import charts, versions
from ckanext.mlops.logic.comparison import GROUPS
from ckanext.mlops.logic.schema.compare import MAX_COMPARED
from ckanext.mlops.views.datasets import dataset_or_abort
from ckanext.mlops.views.experiments import relation_text

MAX_AXES = 8
OFFERED = 50
mlops_comparison = Blueprint("mlops_comparison", __name__)


@mlops_comparison.route("/dataset/<id>/compare", endpoint="index")
def index(id: str) -> str | Response:  # noqa: A002 CKAN's routes name it so
    """``version`` (ids) and ``run`` (``SERVER:RUN_ID``) of the query, two to ten; ``format`` csv or json for a file."""
    package = dataset_or_abort(id)
    wanted = list(dict.fromkeys([*request.args.getlist("version"), *request.args.getlist("run")]))
    wanted = [each for each in wanted if each]
    found: dict[str, Any] = {"things": [], "rows": [], "missing": []}
    if wanted:
        try:
            found = tk.get_action("mlops_compare")({}, {"things": wanted[:MAX_COMPARED]})
        except tk.ObjectNotFound:
            found["missing"] = wanted[:MAX_COMPARED]
        except tk.ValidationError as error:
            return tk.abort(400, "; ".join(error.error_summary.values()))
    form = request.args.get("format", "")
    if form in ("csv", "json"):
        return _file(package["name"], form, found)
    labels = [each["label"] for each in found["things"]]
    series = _series(found["rows"])
    y = _axis("y", series, "metrics", None)
    x = _axis("x", series, "params", y)
    drawn = []
    if x and y and x != y:
        chart = charts.scatter(labels, series[x], series[y], x[1], y[1])
        drawn.append((chart, tk._("One against the other, a point for each")))
    lines = [(name, values) for (_, name), values in series.items()]
    drawn.append((charts.parallel(labels, lines[:MAX_AXES]), tk._("Each line is a version or run")))
    return str(
        tk.render(
            "mlops/comparison.html",
            {
                "pkg_dict": package,
                "dataset_type": package["type"],
                "things": found["things"],
                "missing": found["missing"],
                "differing": [row for row in found["rows"] if row["state"] != "equal"],
                "equal": [row for row in found["rows"] if row["state"] == "equal"],
                "groups": _group_names(),
                "numeric": list(series),
                "axes": {"x": x, "y": y},
                "charts": [(chart, title) for chart, title in drawn if chart is not None],
                "left_out": max(0, len(wanted) - MAX_COMPARED),
                "most": MAX_COMPARED,
                "relation_text": relation_text(),
                "shown_value": versions.shown,
                "more": _more(package["id"], {each["id"] for each in found["things"]}),
                "link": lambda things, **more: _link(package["name"], things, more),
            },
        )
    )


def _more(dataset_id: str, there: set[str]) -> dict[str, list[tuple[str, str]]]:
    """The newest versions and runs of the dataset that could be added: (id, label)."""
    known = tk.get_action("mlops_version_list")({}, {"id": dataset_id, "limit": OFFERED})["results"]
    runs = tk.get_action("mlops_run_list")({}, {"id": dataset_id, "limit": OFFERED, "columns": False})["results"]
    found = {
        "version": [
            (each["id"], " · ".join([(each["committed"] or "")[:10], *(ref["name"] for ref in each["refs"][:3])]))
            for each in known
        ],
        "run": [(f"{each['server']}:{each['run_id']}", each["name"] or each["run_id"][:8]) for each in runs],
    }
    return {kind: [each for each in each_kind if each[0] not in there] for kind, each_kind in found.items()}


def _group_names() -> dict[str, str]:
    words = [tk._("Command"), tk._("Parameters"), tk._("Inputs"), tk._("Metrics"), tk._("Outputs"), tk._("Environment")]
    return dict(zip(GROUPS, words, strict=True))


def _link(dataset: str, things: list[dict[str, Any]], more: dict[str, Any]) -> str:
    """The page for some of the things."""
    query: dict[str, Any] = {"version": [], "run": []}
    for each in things:
        query[each["kind"]].append(each["id"])
    return str(tk.url_for("mlops_comparison.index", id=dataset, **query, **more))


def _series(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[float | None]]:
    """(group, name) of metrics and params that are different numbers in two things or more, and these."""
    found = {}
    for row in rows:
        values = [_float(value) for value in row["values"]]
        if row["group"] in ("metrics", "params") and len({*values} - {None}) > 1:
            found[row["group"], row["name"]] = values
    return found


def _axis(
    name: str, series: dict[tuple[str, str], Any], kind: str, other: tuple[str, str] | None
) -> tuple[str, str] | None:
    """The column that the query names, else the first of a kind, else any but the ``other`` axis's."""
    asked = tuple(request.args.get(name, "").split(".", 1))
    if len(asked) == 2 and asked in series:
        return asked[0], asked[1]
    left = sorted((each for each in series if each != other), key=lambda each: each[0] != kind)
    return left[0] if left else None


def _float(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _file(dataset: str, form: str, found: dict[str, Any]) -> Response:
    if form == "json":
        text = json.dumps(found, ensure_ascii=False)
    else:
        head = ["group", "name", "state", *(each["label"] for each in found["things"])]
        rows = [
            [row["group"], row["name"], row["state"]]
            + ["" if value is None else versions.shown(value) for value in row["values"]]
            for row in found["rows"]
        ]
        text = csv_text(head, rows)
    return Response(
        text,
        mimetype="application/json" if form == "json" else "text/csv",
        headers={"Content-Disposition": f'attachment; filename="{dataset}-compared.{form}"'},
    )
