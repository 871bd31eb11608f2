"""Choosing what to link a dataset to, in three steps without a script: a server; an experiment or registered model;
a run or logged model of the experiment, or a version of the model."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from flask import Blueprint, request

from ckanext.mlops.logic.schema.links import RELATIONS
from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.views.datasets import show
from ckanext.mlops.views.run_columns import number

#: What the last step offers → what the step before it chooses.
WITHIN = {"run": "experiment", "logged_model": "experiment", "model_version": "registered_model"}
OUTER, INNER, VERSIONS = 100, 50, 50
mlops_link_picker = Blueprint("mlops_link_picker", __name__)


@mlops_link_picker.route("/dataset/<id>/experiments/choose", endpoint="index")
def index(id: str) -> str:  # noqa: A002 CKAN's routes name it so
    """The steps, for ``server``, ``kind`` (of :data:`WITHIN`), ``within`` (id or name), and ``q`` of the step."""
    try:
        package = show(id)
        tk.check_access("mlops_link_create", {}, {"id": package["id"]})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return tk.abort(404, tk._("Dataset not found or you have no permission to edit it"))
    names = mlflow_servers.names()
    server = request.args.get("server", "")
    server = server if server in names else names[0] if len(names) == 1 else ""
    text, within, kind = (request.args.get(key, "").strip()[:1000] for key in ("q", "within", "kind"))
    kind = kind if kind in WITHIN else "run"
    count, error, name = 0, "", within
    found: list[dict[str, Any]] = []
    try:
        if server:
            name = _name(server, WITHIN[kind], within) if within else ""
            count, found = (
                _runs(server, within, text) if within and kind == "run" else _known(server, kind, within, text)
            )
    except tk.NotAuthorized:
        error = tk._("Only who may create datasets may look into MLflow servers; a run's id works all the same.")
    except tk.ValidationError as refused:
        error = "; ".join(str(value) for value in refused.error_summary.values())
    versions = tk.get_action("mlops_version_list")({}, {"id": package["id"], "limit": VERSIONS, "chain": False})
    return tk.render(
        "mlops/link_picker.html",
        {
            "pkg_dict": package,
            "dataset_type": package["type"],
            "servers": names,
            "server": server,
            "kind": kind,
            "outer": WITHIN[kind],
            "within": within,
            "within_name": name,
            "q": text,
            "count": count,
            "most": INNER,
            "found": found,
            "error": error,
            "relations": RELATIONS,
            "versions": versions["results"],
            "number": number,
        },
    )


def _runs(server: str, experiment: str, text: str) -> tuple[int, list[dict[str, Any]]]:
    """The newest runs that answer a search in MLflow's syntax; the server is asked. Their number is not told."""
    search = {"server": server, "experiments": [experiment], "filter": text, "limit": INNER}
    found = tk.get_action("mlops_run_search")({}, search)["results"]
    return len(found), found


def _known(server: str, kind: str, within: str, text: str) -> tuple[int, list[dict[str, Any]]]:
    """How many there are, and the first of them, among the copied facts: of the last step, or of the one before."""
    wanted = kind if within else WITHIN[kind]
    options = {"server": server, "kind": wanted, "within": within, "q": text, "limit": INNER if within else OUTER}
    answer = tk.get_action("mlops_link_target_list")({}, options)
    return answer["count"], answer["results"]


def _name(server: str, kind: str, target: str) -> str:
    """How people call what was chosen in the second step."""
    options = {"server": server, "kind": kind, "target": target, "limit": 1}
    found = tk.get_action("mlops_link_target_list")({}, options)["results"]
    return str(found[0]["name"]) if found else target
