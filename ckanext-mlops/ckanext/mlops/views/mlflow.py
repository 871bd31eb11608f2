"""Pages of MLflow's experiments and models: the data behind them, as far as the reader may see it."""

from __future__ import annotations

import json
from typing import Any

from ckan.plugins import toolkit as tk
from flask import Blueprint, Response, request

from ckanext.mlops.core.sheets import csv_text
from ckanext.mlops.logic.schema.common import MAX_PAGE
from ckanext.mlops.views import evidence
from ckanext.mlops.views.run_columns import duration, number

mlops_mlflow = Blueprint("mlops_mlflow", __name__)
_PER_PAGE = 50
_MOST_PAGES = 1_000_000


@mlops_mlflow.route("/mlflow/models", endpoint="models")
def models() -> str | Response:
    """Registered models that datasets are tied to."""
    return _list("mlops_model_list", "mlops/models.html", "models")


@mlops_mlflow.route("/mlflow/experiments", endpoint="experiments")
def experiments() -> str | Response:
    """Experiments that datasets are linked to."""
    return _list("mlops_experiment_list", "mlops/mlflow_experiments.html", "experiments")


@mlops_mlflow.route("/mlflow/<server>/models/<path:name>", endpoint="model")
def model(server: str, name: str) -> str | Response:
    """A registered model: its versions, the data behind each, and whether that data has gone on."""
    try:
        found = tk.get_action("mlops_model_lineage")({}, {"server": server, "name": name})
    except (tk.ObjectNotFound, tk.ValidationError):
        return tk.abort(404, tk._("Model not found"))
    form = request.args.get("format", "")
    if form in ("csv", "json"):
        return _file(found, *_model_sheet(found), name=f"{name}-versions", form=form)
    metrics = list(dict.fromkeys(key for each in found["versions"] if each["run"] for key in each["run"]["metrics"]))
    return tk.render("mlops/model.html", {**_tools(), "model": found, "metrics": metrics[:8]})


@mlops_mlflow.route("/mlflow/<server>/experiments/<experiment>", endpoint="experiment")
def experiment(server: str, experiment: str) -> str | Response:
    """An experiment: which versions of which datasets its runs used."""
    try:
        found = tk.get_action("mlops_experiment_show")({}, {"server": server, "name": experiment})
    except (tk.ObjectNotFound, tk.ValidationError):
        return tk.abort(404, tk._("Experiment not found"))
    form = request.args.get("format", "")
    if form in ("csv", "json"):
        head = ["dataset", "title", "relation", "origin", "version", "runs"]
        rows = [
            [each["name"], each["title"], each["relation"], each["origin"], _label(each["version"]), each["runs"]]
            for each in found["datasets"]
        ]
        return _file(found, head, rows, name=f"experiment-{experiment}", form=form)
    return tk.render("mlops/mlflow_experiment.html", {**_tools(), "experiment": found})


def _list(action: str, template: str, name: str) -> str | Response:
    text = request.args.get("q", "")[:200]
    form = request.args.get("format", "")
    try:
        if form in ("csv", "json"):
            every = tk.get_action(action)({}, {"q": text, "limit": MAX_PAGE})["results"]
            return _file(every, *_list_sheet(every), name=name, form=form)
        page = min(max(1, request.args.get("page", 1, int)), _MOST_PAGES)
        options = {"q": text, "limit": _PER_PAGE, "offset": (page - 1) * _PER_PAGE}
        found = tk.get_action(action)({}, options)
        pages = max(1, -(-found["count"] // _PER_PAGE))
        if page > pages:  # of an old address: the last page is more than none
            page, options["offset"] = pages, (pages - 1) * _PER_PAGE
            found = tk.get_action(action)({}, options)
    except tk.ValidationError as error:
        return tk.abort(400, "; ".join(error.error_summary.values()))
    return tk.render(template, {**_tools(), "found": found, "q": text, "page": page, "pages": pages})


def _list_sheet(found: list[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    facts = ("server", "experiment_id", "name", "lifecycle_stage", "run_count", "updated", "facts_at")
    known = [name for name in facts if any(name in each for each in found)]
    rows = [
        [
            *("" if each.get(name) is None else each[name] for name in known),
            " ".join(f"{alias}={version}" for alias, version in sorted(each.get("aliases", {}).items())),
            " ".join(dataset["name"] for dataset in each["datasets"]),
            each["hidden"],
        ]
        for each in found
    ]
    return [*known, "aliases", "datasets", "hidden_datasets"], rows


def _model_sheet(found: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    names = list(dict.fromkeys(key for each in found["versions"] if each["run"] for key in each["run"]["metrics"]))
    head = [
        "version",
        "aliases",
        "created",
        "run_id",
        "dataset",
        "relation",
        "dataset_version",
        "current",
        "files_differ",
        "folders_differ",
    ]
    rows = []
    for each in found["versions"]:
        run = each["run"] or {}
        for dataset in each["datasets"] or [{}]:
            fresh = dataset.get("freshness") or {}
            row = [each["version"], " ".join(each["aliases"]), each["created"], run.get("run_id")]
            row += [dataset.get("name"), dataset.get("relation"), _label(dataset.get("version"))]
            row += [_label(fresh.get("current")), fresh.get("differ"), fresh.get("folders")]
            row += [(run.get("metrics") or {}).get(name) for name in names]
            rows.append(["" if value is None else value for value in row])
    return head + [f"metrics.{name}" for name in names], rows


def _label(version: dict[str, Any] | None) -> str:
    return str(version["label"]) if version else ""


def _file(data: Any, head: list[str], rows: list[list[Any]], *, name: str, form: str) -> Response:
    text = (
        json.dumps(data, ensure_ascii=False)
        if form == "json"
        else csv_text(head, [[str(cell) for cell in row] for row in rows])
    )
    kind = "application/json" if form == "json" else "text/csv"
    safe = "".join(letter if letter.isalnum() else "-" for letter in name.encode("ascii", "ignore").decode())
    return Response(text, mimetype=kind, headers={"Content-Disposition": f'attachment; filename="{safe}.{form}"'})


def _tools() -> dict[str, Any]:
    return {
        "number": number,
        "duration": duration,
        "badge": evidence.badge,
        "reasons": evidence.reasons,
        "relation_text": {
            "produced": tk._("produced"),
            "trained_on": tk._("trained on"),
            "evaluated_on": tk._("evaluated on"),
            "used": tk._("used"),
        },
    }
