"""The Experiments tab of a dataset: which runs used or produced it, how well they did, and why that is believed."""

from __future__ import annotations

import json
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Response as Answer
from flask import Blueprint, Response, request

from ckanext.mlops.core.sheets import csv_text
from ckanext.mlops.logic.schema.compare import MAX_COMPARED
from ckanext.mlops.logic.schema.links import LINK_KINDS, RELATIONS
from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.views import datasets, evidence
from ckanext.mlops.views.run_columns import MAX_COLUMNS, Table, columns, duration, number, sheet

RUNS_PER_PAGE = 25
LINKS_SHOWN = 10
MODELS_SHOWN = 20
HINTS_SHOWN = 20
VERSIONS_OFFERED = 50
EXPORTED = 10_000
_PAGE = 1000
ALL = "all"
mlops_experiments = Blueprint("mlops_experiments", __name__)


@mlops_experiments.route("/dataset/<id>/experiments", endpoint="index")
def index(id: str) -> str | Response:  # noqa: A002 CKAN's routes name it so
    """The tab, for ``version``, ``sort``, ``order``, ``column``, ``metric``, ``goal`` and ``page`` of the query; with
    ``format`` csv or json all its runs as a file."""
    package = _dataset(id)
    form = request.args.get("format", "")
    if form in ("csv", "json"):
        version = request.args.get("version", ALL)
        return _file(f"{package['name']}-runs", form, *_all_runs(package["id"], "" if version == ALL else version))
    return _show(package, {}, {})


@mlops_experiments.route("/dataset/<id>/experiments", methods=["POST"], endpoint="link")
def link(id: str) -> Answer | str | tuple[str, int]:  # noqa: A002
    """Make a link; the form again, with what is wrong, where it cannot be made."""
    package = _dataset(id)
    fields = ("server", "kind", "target", "relation", "version", "resource", "note")
    data = {key: request.form.get(key, "").strip() for key in fields}
    try:
        made = tk.get_action("mlops_link_create")({}, {"id": package["id"], **data})
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to edit this dataset"))
    except tk.ValidationError as error:
        return str(_show(package, data, error.error_dict)), 409
    named = made.get("run") or made.get("model") or made.get("experiment") or {}
    tk.h.flash_success(tk._("Linked to {name}.").format(name=named.get("name") or made["target"]))
    return tk.redirect_to("mlops_experiments.index", id=package["name"], version=ALL)


@mlops_experiments.route("/dataset/<id>/experiments/<link_id>/remove", methods=["POST"], endpoint="unlink")
def unlink(id: str, link_id: str) -> Answer:  # noqa: A002
    """Remove a link."""
    return _settle(id, "mlops_link_delete", link_id, tk._("The link was removed. Nothing changed in MLflow."))


@mlops_experiments.route("/dataset/<id>/experiments/hints/<hint_id>", methods=["POST"], endpoint="hint")
def hint(id: str, hint_id: str) -> Answer:  # noqa: A002
    """Accept or dismiss a candidate or suggestion."""
    if request.form.get("answer") == "accept":
        return _settle(id, "mlops_link_hint_accept", hint_id, tk._("It is a link now."))
    return _settle(id, "mlops_link_hint_dismiss", hint_id, tk._("It will not be suggested again."))


@mlops_experiments.route("/dataset/<id>/leaderboard", endpoint="leaderboard")
def leaderboard(id: str) -> str | Response:  # noqa: A002
    """The best runs of one version, for each metric."""
    package = _dataset(id)
    asked = request.args.get("version", "")
    show = tk.get_action("mlops_leaderboard")
    try:
        found = show({}, {"id": package["id"], "version": asked, "limit": 5})
    except tk.ValidationError:
        found = show({}, {"id": package["id"], "limit": 5})
    form = request.args.get("format", "")
    if form in ("csv", "json"):
        rows = [
            [
                board["relation"],
                board["metric"],
                board["goal"],
                place,
                run["value"],
                run["name"],
                run["server"],
                run["run_id"],
            ]
            for board in found["boards"]
            for place, run in enumerate(board["runs"], start=1)
        ]
        head = ["relation", "metric", "goal", "place", "value", "run", "server", "run_id"]
        return _text(f"{package['name']}-leaderboard", form, found, head, rows)
    return tk.render("mlops/leaderboard.html", {**_page(package), "found": found, "versions": _versions(package["id"])})


def _settle(id_or_name: str, action: str, object_id: str, message: str) -> Answer:
    package = _dataset(id_or_name)
    try:
        tk.get_action(action)({}, {"id": object_id})
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Not authorized to edit this dataset"))
    except tk.ObjectNotFound:
        tk.h.flash_notice(tk._("Somebody has already removed or settled this."))
    else:
        tk.h.flash_success(message)
    return tk.redirect_to("mlops_experiments.index", id=package["name"])


def _dataset(id_or_name: str) -> dict[str, Any]:
    try:
        return datasets.show(id_or_name)
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return tk.abort(404, tk._("Dataset not found or you have no permission to view it"))


def _page(package: dict[str, Any]) -> dict[str, Any]:
    return {
        "pkg_dict": package,
        "dataset_type": package["type"],
        "relation_text": relation_text(),
        "kind_text": kind_text(),
        "number": number,
        "duration": duration,
        "badge": evidence.badge,
        "reasons": evidence.reasons,
        "here": request.url,
    }


def _show(package: dict[str, Any], form: dict[str, str], errors: dict[str, Any]) -> str:
    versions = _versions(package["id"])
    links = _links(package)
    table, runs = _runs(package, versions if links["any"] else [])
    hints = tk.get_action("mlops_link_hint_list")({}, {"id": package["id"], "limit": HINTS_SHOWN})
    can_edit = tk.h.check_access("mlops_link_create", {"id": package["id"]})
    return tk.render(
        "mlops/experiments.html",
        {
            **_page(package),
            "links": links,
            "links_shown": LINKS_SHOWN,
            "hints": hints,
            "models": tk.get_action("mlops_model_list")({}, {"id": package["id"], "limit": MODELS_SHOWN}),
            "notices": _notices(links["results"]),
            "runs": runs,
            "table": table,
            "all": ALL,
            "pages": max(1, -(-runs["count"] // RUNS_PER_PAGE)),
            "per_page": RUNS_PER_PAGE,
            "max_columns": MAX_COLUMNS,
            "compared": MAX_COMPARED,
            "several_experiments": len({(run["server"], run["experiment_id"]) for run in runs["results"]}) > 1,
            "servers": mlflow_servers.names(),
            "kinds": LINK_KINDS,
            "relations": RELATIONS,
            "versions": versions,
            "can_edit": can_edit,
            "form": form,
            "errors": errors,
        },
    )


def _links(package: dict[str, Any]) -> dict[str, Any]:
    """What people or fields said, and links to more than runs; the runs that were found are in the table."""
    action, options = tk.get_action("mlops_link_list"), {"id": package["id"], "limit": LINKS_SHOWN}
    count = action({}, {**options, "limit": 0})["count"]
    origins = ["declared"] if count and package.get("mlflow_server") and package.get("mlflow_experiment") else []
    origins += ["asserted"] if count else []
    found = [action({}, {**options, "origin": origin}) for origin in origins]
    return {
        "count": sum(each["count"] for each in found),
        "any": bool(count),
        "results": [link for each in found for link in each["results"]],
    }


def _versions(dataset_id: str) -> list[dict[str, Any]]:
    options = {"id": dataset_id, "limit": VERSIONS_OFFERED, "chain": False}
    return list(tk.get_action("mlops_version_list")({}, options)["results"])


def _runs(package: dict[str, Any], versions: list[dict[str, Any]]) -> tuple[Table, dict[str, Any]]:
    asked, dataset_id, name = request.args, package["id"], package["name"]
    page = max(1, asked.get("page", 1, int))
    sort, order = asked.get("sort", "started"), asked.get("order", "desc")
    order = order if order in ("asc", "desc") else "desc"
    metric, goal = asked.get("metric", "")[:1000], asked.get("goal", "")
    if not metric and sort.startswith("metrics."):
        metric = sort.removeprefix("metrics.")
    options: dict[str, Any] = {
        "id": dataset_id,
        "limit": RUNS_PER_PAGE,
        "offset": (page - 1) * RUNS_PER_PAGE,
        "sort": sort,
        "order": order,
        "metric": metric,
        "best": True,
        **({"goal": goal} if goal in ("max", "min") else {}),
    }
    action, version = tk.get_action("mlops_run_list"), asked.get("version", "")
    # The current version, where anything is known of it.
    version = version or next((each["id"] for each in versions if each["current"]), ALL)
    try:
        found = action({}, {**options, "version": "" if version == ALL else version})
        if not found["count"] and not asked.get("version") and version != ALL:
            version, found = ALL, action({}, options)
    except tk.ValidationError:
        sort, order, page, version = "started", "desc", 1, ALL
        found = action({}, {"id": dataset_id, "limit": RUNS_PER_PAGE, "best": True})
    chosen = columns(asked.getlist("column"), found["columns"])
    here = str(tk.url_for("mlops_experiments.index", id=name))
    return Table(sort, order, chosen, found["metric"], found["goal"], page, version, here), found


def _all_runs(dataset_id: str, version: str) -> tuple[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    while len(found) < EXPORTED:
        options = {"id": dataset_id, "limit": _PAGE, "offset": len(found), "columns": False, "version": version}
        try:
            page = tk.get_action("mlops_run_list")({}, options)["results"]
        except tk.ValidationError:
            return tk.abort(404, tk._("This dataset has no such version"))
        found += page
        if len(page) < _PAGE:
            break
    return (found,)


def _file(name: str, form: str, runs: list[dict[str, Any]]) -> Response:
    return _text(name, form, runs, *sheet(runs))


def _text(name: str, form: str, data: Any, head: list[str], rows: list[list[Any]]) -> Response:
    text = (
        json.dumps(data, ensure_ascii=False)
        if form == "json"
        else csv_text(head, [[str(cell) for cell in row] for row in rows])
    )
    kind = "application/json" if form == "json" else "text/csv"
    return Response(text, mimetype=kind, headers={"Content-Disposition": f'attachment; filename="{name}.{form}"'})


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


def kind_text() -> dict[str, str]:
    """What a link leads to, in words."""
    return {
        "run": tk._("Run"),
        "experiment": tk._("Experiment"),
        "logged_model": tk._("Logged model"),
        "registered_model": tk._("Model"),
        "model_version": tk._("Model version"),
    }


def relation_text() -> dict[str, str]:
    """How a run is tied to data, in words."""
    return {
        "produced": tk._("produced this data"),
        "trained_on": tk._("trained on this data"),
        "evaluated_on": tk._("evaluated on this data"),
        "used": tk._("used this data"),
    }
