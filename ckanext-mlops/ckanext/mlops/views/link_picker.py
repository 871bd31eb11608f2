"""Choosing what to link a dataset to: server, then experiment, then run. Three steps, without a script."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from flask import Blueprint, request

from ckanext.mlops.logic.schema.links import RELATIONS
from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.views.run_columns import number

EXPERIMENTS, RUNS, VERSIONS = 100, 50, 50
mlops_link_picker = Blueprint("mlops_link_picker", __name__)


@mlops_link_picker.route("/dataset/<id>/experiments/choose", endpoint="index")
def index(id: str) -> str:  # noqa: A002 CKAN's routes name it so
    """The steps, for ``server``, ``q`` (in names of experiments), ``experiment`` and ``filter`` (of runs)."""
    try:
        package = tk.get_action("package_show")({}, {"id": id})
        tk.check_access("mlops_link_create", {}, {"id": package["id"]})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return tk.abort(404, tk._("Dataset not found or you have no permission to edit it"))
    names = mlflow_servers.names()
    server = request.args.get("server", "")
    server = server if server in names else names[0] if len(names) == 1 else ""
    found: dict[str, Any] = {"experiments": [], "count": 0, "runs": None, "error": "", "chosen": None}
    text, experiment, question = (request.args.get(key, "").strip()[:1000] for key in ("q", "experiment", "filter"))
    try:
        if server and not experiment:
            options = {"server": server, "q": text, "all": True, "limit": EXPERIMENTS}
            listed = tk.get_action("mlops_experiment_list")({}, options)
            found |= {"experiments": listed["results"], "count": listed["count"]}
        elif server:
            search = {"server": server, "experiments": [experiment], "filter": question, "limit": RUNS}
            found["runs"] = tk.get_action("mlops_run_search")({}, search)["results"]
    except tk.NotAuthorized:
        found["error"] = tk._(
            "Only who may create datasets may look into MLflow servers; a run's id works all the same."
        )
    except tk.ValidationError as error:
        found["error"] = "; ".join(str(value) for value in error.error_summary.values())
    versions = tk.get_action("mlops_version_list")({}, {"id": package["id"], "limit": VERSIONS, "chain": False})
    return tk.render(
        "mlops/link_picker.html",
        {
            **found,
            "pkg_dict": package,
            "dataset_type": package["type"],
            "servers": names,
            "server": server,
            "q": text,
            "experiment": experiment,
            "filter": question,
            "relations": RELATIONS,
            "versions": versions["results"],
            "most": {"experiments": EXPERIMENTS, "runs": RUNS},
            "number": number,
        },
    )
