"""The Experiments tab of a dataset: its links to MLflow and a table of the runs behind them, from copied facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Response
from flask import Blueprint, request

from ckanext.mlops import mlflow_servers
from ckanext.mlops.logic.schema import LINK_KINDS, RELATIONS

RUNS_PER_PAGE = 25
LINKS_SHOWN = 100
MAX_COLUMNS = 12
VERSIONS_OFFERED = 50
_LOWER_IS_BETTER = re.compile(
    r"loss|error|rmse|mse|mae|mape|perplexity|logloss|deviance|wer\b|cer\b|time|latency", re.I
)
mlops_experiments = Blueprint("mlops_experiments", __name__)


@dataclass(frozen=True)
class Table:
    """What the reader asked to see of the runs; unknown values of the query fall back to the default."""

    sort: str
    order: str
    columns: tuple[tuple[str, str], ...]
    metric: str
    goal: str
    page: int

    def query(self, **changes: Any) -> dict[str, Any]:
        """The query of this table, with some of it changed; back to the first page unless ``page`` is given."""
        found = {
            "sort": self.sort,
            "order": self.order,
            "column": [f"{kind}.{name}" for kind, name in self.columns],
            "metric": self.metric,
            "goal": self.goal,
            **changes,
        }
        return {key: value for key, value in found.items() if value not in ("", None, [])}

    def sorted_by(self, column: str) -> dict[str, Any]:
        """The query that sorts by a column; by the same column again: the other way round."""
        turned = column == self.sort and self.order == "desc"
        return self.query(sort=column, order="asc" if turned else "desc")


@mlops_experiments.route("/dataset/<id>/experiments", endpoint="index")
def index(id: str) -> str:  # noqa: A002 CKAN's routes name it so
    """The tab, for ``sort``, ``order``, ``column``, ``metric``, ``goal`` and ``page`` of the query."""
    return _show(_dataset(id), {}, {})


@mlops_experiments.route("/dataset/<id>/experiments", methods=["POST"], endpoint="link")
def link(id: str) -> Response | str | tuple[str, int]:  # noqa: A002
    """Make a link; the form again, with what is wrong, where it cannot be made."""
    package = _dataset(id)
    fields = ("server", "kind", "target", "relation", "version", "note")
    data = {key: request.form.get(key, "").strip() for key in fields}
    try:
        made = tk.get_action("mlops_link_create")({}, {"id": package["id"], **data})
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to edit this dataset"))
    except tk.ValidationError as error:
        return _show(package, data, error.error_dict), 409
    named = made["run"] if made["kind"] == "run" else made["experiment"]
    tk.h.flash_success(tk._("Linked to {name}.").format(name=(named or {}).get("name") or made["target"]))
    return tk.redirect_to("mlops_experiments.index", id=package["name"])


@mlops_experiments.route("/dataset/<id>/experiments/<link_id>/remove", methods=["POST"], endpoint="unlink")
def unlink(id: str, link_id: str) -> Response:  # noqa: A002
    """Remove a link."""
    package = _dataset(id)
    try:
        tk.get_action("mlops_link_delete")({}, {"id": link_id})
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to edit this dataset"))
    except tk.ObjectNotFound:
        tk.h.flash_notice(tk._("This link was already removed."))
    else:
        tk.h.flash_success(tk._("The link was removed. Nothing changed in MLflow."))
    return tk.redirect_to("mlops_experiments.index", id=package["name"])


def number(value: Any) -> str:
    """A metric for a table cell: four significant digits, and ∞ for what JSON cannot hold."""
    if isinstance(value, str):
        return {"Infinity": "∞", "-Infinity": "-∞"}.get(value, value)
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """Seconds for a table cell: ``3 s``, ``2 min 5 s``, ``1 h 4 min``."""
    if seconds is None or seconds < 0:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _dataset(id_or_name: str) -> dict[str, Any]:
    try:
        return tk.get_action("package_show")({}, {"id": id_or_name})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return tk.abort(404, tk._("Dataset not found or you have no permission to view it"))


def _show(package: dict[str, Any], form: dict[str, str], errors: dict[str, Any]) -> str:
    links = tk.get_action("mlops_link_list")({}, {"id": package["id"], "limit": LINKS_SHOWN})
    table, runs = _runs(package["id"])
    can_edit = tk.h.check_access("mlops_link_create", {"id": package["id"]})
    versions = []
    if can_edit:
        versions = tk.get_action("mlops_version_list")({}, {"id": package["id"], "limit": VERSIONS_OFFERED})["results"]
    return tk.render(
        "mlops/experiments.html",
        {
            "pkg_dict": package,
            "dataset_type": package["type"],
            "links": links,
            "links_shown": LINKS_SHOWN,
            "notices": _notices(links["results"]),
            "runs": runs,
            "table": table,
            "pages": max(1, -(-runs["count"] // RUNS_PER_PAGE)),
            "per_page": RUNS_PER_PAGE,
            "max_columns": MAX_COLUMNS,
            "several_experiments": len({(run["server"], run["experiment_id"]) for run in runs["results"]}) > 1,
            "servers": mlflow_servers.names(),
            "kinds": LINK_KINDS,
            "relations": RELATIONS,
            "relation_text": _relation_text(),
            "versions": versions,
            "can_edit": can_edit,
            "form": form,
            "errors": errors,
            "number": number,
            "duration": duration,
        },
    )


def _runs(dataset_id: str) -> tuple[Table, dict[str, Any]]:
    asked = request.args
    page = max(1, asked.get("page", 1, int))
    sort, order = asked.get("sort", "started"), asked.get("order", "desc")
    order = order if order in ("asc", "desc") else "desc"
    metric, goal = asked.get("metric", "")[:1000], asked.get("goal", "")
    action = tk.get_action("mlops_run_list")
    try:
        found = action(
            {},
            {
                "id": dataset_id,
                "limit": RUNS_PER_PAGE,
                "offset": (page - 1) * RUNS_PER_PAGE,
                "sort": sort,
                "order": order,
                "metric": metric,
                "goal": _goal(metric, goal),
            },
        )
    except tk.ValidationError:
        sort, order, page, metric = "started", "desc", 1, ""
        found = action({}, {"id": dataset_id, "limit": RUNS_PER_PAGE})
    names = [item["name"] for item in found["columns"] if item["kind"] == "metrics"]
    if not metric and names:
        metric = sort.removeprefix("metrics.") if sort.startswith("metrics.") else names[0]
        found["best"] = action(
            {}, {"id": dataset_id, "limit": 1, "columns": False, "metric": metric, "goal": _goal(metric, goal)}
        )["best"]
    chosen = _columns(asked.getlist("column"), found["columns"])
    return Table(sort, order, chosen, metric, _goal(metric, goal), page), found


def _goal(metric: str, asked: str) -> str:
    return asked if asked in ("max", "min") else "min" if _LOWER_IS_BETTER.search(metric) else "max"


def _columns(asked: list[str], known: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """The columns that were asked for and exist; else metrics and those params that differ between runs."""
    names = [(item["kind"], item["name"]) for item in known]
    chosen = [column for column in names if ".".join(column) in set(asked)]
    if not chosen:
        metrics = [column for column in names if column[0] == "metrics"]
        telling = [(item["kind"], item["name"]) for item in known if item["kind"] == "params" and item["values"] > 1]
        alike = [column for column in names if column[0] == "params" and column not in telling]
        half = MAX_COLUMNS // 2
        room = max(half, MAX_COLUMNS - len(telling or alike))
        chosen = metrics[:room]
        chosen += (telling or alike)[: MAX_COLUMNS - len(chosen)]
    return tuple(chosen[:MAX_COLUMNS])


def _notices(links: list[dict[str, Any]]) -> list[str]:
    """What a reader must know about the facts below, once per server."""
    texts = {
        "away": tk._(
            "The MLflow server {server} did not answer when it was last asked. Below is what was copied before."
        ),
        "not configured": tk._(
            "The MLflow server {server} is not (or not correctly) named in this portal's configuration: "
            "its facts are not renewed."
        ),
        "old": tk._(
            "What was copied from the MLflow server {server} is old: the portal's operator should run the sync."
        ),
    }
    found = dict.fromkeys((link["server"], link["stale"]) for link in links if link["stale"] in texts)
    return [texts[reason].format(server=server) for server, reason in found]


def _relation_text() -> dict[str, str]:
    return {
        "produced": tk._("produced this data"),
        "trained_on": tk._("trained on this data"),
        "evaluated_on": tk._("evaluated on this data"),
        "used": tk._("used this data"),
    }
