"""MLflow servers and the facts that are copied from them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from typing import Any, cast

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops.core.mlflow import Health, Reader
from ckanext.mlops.logic.leaderboard import goal_of
from ckanext.mlops.logic.links import check_version, declared_links, package_of
from ckanext.mlops.logic.mlflow_dictize import Servers, iso, run_dict, tie_dict
from ckanext.mlops.logic.mlflow_lineage import model_versions_of_runs, version_labels
from ckanext.mlops.logic.schema import mlflow as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model import run_links, run_table
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import schedule as mlflow_schedule
from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.tracking import sync as mlflow_sync

#: A server is asked for its health at most that often, however many people want to know.
_HEALTH_AGE = timedelta(seconds=30)


@tk.side_effect_free
def mlops_server_list(context: Context, data_dict: DataDict) -> list[dict[str, Any]]:
    """The MLflow servers that this portal's configuration names, and whether they answer.

    You must be signed in. Addresses and credentials are not part of the answer.

    :returns: for each server ``name``, ``healthy``, ``checked`` (when it was asked), ``answered`` (when it last
        answered) and ``detail`` (what is wrong with it, for people)
    :rtype: list of dictionaries

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_server_list
    """
    tk.check_access("mlops_server_list", context, data_dict)
    session, names = cast(Session, context["session"]), mlflow_servers.names()
    known = facts.states(session, names)
    due = [name for name in names if name not in known or utc_now() - known[name].checked > _HEALTH_AGE]
    if due:
        with ThreadPoolExecutor(max_workers=min(8, len(due))) as pool:
            answers = list(pool.map(_health, [_configured(name) for name in due]))
        for name, answer in zip(due, answers, strict=True):
            facts.record_contact(session, name, utc_now(), "" if answer.status == "ok" else answer.detail)
        session.commit()
        known = facts.states(session, names)
    return [
        {
            "name": name,
            "healthy": not known[name].error,
            "checked": iso(known[name].checked),
            "answered": iso(known[name].answered),
            "detail": known[name].error,
        }
        for name in names
    ]


@validated(schema.mlflow_sync)
def mlops_mlflow_sync(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Copy the facts of experiments, runs, registered models and all their versions from MLflow again.

    Reads what is new since the last time; once a day, or with ``full``, everything. Deleted runs are marked and come
    back when they are restored. A server that fails is reported, the others are read, and nothing copied is lost. Of
    two syncs of one server at the same time the second does nothing, and says so with ``busy``.

    You must be a sysadmin. To run it regularly: ``ckan mlops mlflow sync``.

    :param server: name of one server (optional, default: all)
    :type server: string
    :param full: read every run again (optional, default: ``false``)
    :type full: boolean
    :param due: only servers that are due: asked for by a webhook, or not read for ``ckanext.mlops.mlflow.sync_every``
        minutes (optional, default: ``false``)
    :type due: boolean

    :returns: ``servers``, for each its name as ``server``, counts of ``experiments``, ``runs``, ``models``,
        ``model_versions``, ``logged_models``, ``deleted`` and ``gone`` runs, ``seconds``, ``busy``, ``errors`` and
        ``problems``; and ``ok``, false when there is any error
    :rtype: dictionary

    Example::

        curl -X POST -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_mlflow_sync -d server=lab
    """
    tk.check_access("mlops_mlflow_sync", context, data_dict)
    wanted = data_dict.get("server")
    if wanted and wanted not in mlflow_servers.names():
        raise tk.ValidationError({"server": [_not_configured(wanted)]})
    session, reports = cast(Session, context["session"]), []
    chosen = [wanted] if wanted else mlflow_servers.names()
    if data_dict["due"]:
        expected = mlflow_schedule.due(session, utc_now())
        chosen = [name for name in chosen if name in expected]
    for name in chosen:
        try:
            client = mlflow_servers.client(name)
        except mlflow_servers.NotConfigured as error:
            facts.record_contact(session, name, utc_now(), str(error))
            session.commit()
            reports.append(mlflow_sync.Report(name, errors=[str(error)]))
            continue
        reports.append(mlflow_sync.sync_server(session, client, utc_now, full=data_dict["full"]))
    return {"ok": not any(report.errors for report in reports), "servers": [report.to_dict() for report in reports]}


@tk.side_effect_free
@validated(schema.run_list)
def mlops_run_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The MLflow runs that a dataset is linked to, one by one or through their experiment, as a sortable table.

    Facts are those that were copied last; no MLflow server is asked.

    You must be authorized to see the dataset.

    :param id: id or name of the dataset
    :type id: string
    :param sort: ``started``, ``name``, ``status``, ``duration``, ``user``, ``git_commit``, ``metrics.NAME`` or
        ``params.NAME`` (optional, default: ``started``); runs without that value come last
    :type sort: string
    :param order: ``desc`` or ``asc`` (optional, default: ``desc``)
    :type order: string
    :param metric: name of a metric, to be told the ``best`` run (optional)
    :type metric: string
    :param best: be told the best run by the most frequent metric where none is named (optional, default: ``false``)
    :type best: boolean
    :param goal: whether the best value is the ``max`` or the ``min`` (optional, default: by the metric's name)
    :type goal: string
    :param columns: whether to look for all metrics and params (optional, default: ``true``)
    :type columns: boolean
    :param version: only runs that are tied to this version of the dataset, by its id (optional)
    :type version: string
    :param only: only these of its runs, each as ``SERVER:RUN_ID`` (optional)
    :type only: list of strings
    :param limit: runs in the answer (optional, default: ``25``, at most ``1000``)
    :type limit: integer
    :param offset: runs to skip (optional, default: ``0``)
    :type offset: integer

    :returns: ``count`` of all runs, ``results`` (facts of each, its ``ties`` to the dataset with their evidence, and
        the registered ``models`` that it made), ``best`` (``server``, ``run_id``, ``value``, or null) by ``metric`` and
        ``goal``, and ``columns``: the metrics and params there are, each with ``kind``, ``name``, in how many ``runs``
        (of the newest 1,000), how many distinct ``values`` (in the newest 100). Metric values that are no numbers are
        the texts ``NaN``, ``Infinity``, ``-Infinity``.
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_run_list?id=titanic-train&sort=metrics.accuracy&limit=5"
    """
    tk.check_access("mlops_run_list", context, data_dict)
    session = cast(Session, context["session"])
    package = package_of(data_dict["id"])
    declared = tuple((link.server, link.target) for link in declared_links(session, package))
    check_version(session, package, data_dict.get("version"))
    pairs = [each.partition(":") for each in data_dict.get("only") or ()]
    only = tuple((server, run_id) for server, _, run_id in pairs)
    selection = run_table.Selection(package.id, declared, data_dict.get("version") or "", only=only)
    page = run_table.page(
        session, selection, data_dict["sort"], data_dict["order"] == "desc", data_dict["limit"], data_dict["offset"]
    )
    columns = run_table.columns(session, selection, page.state) if data_dict["columns"] and page.count else ()
    best, metric = None, data_dict.get("metric")
    if not metric and data_dict["best"]:
        metric = next((item.name for item in columns if item.kind == "metrics"), "")
    goal = data_dict.get("goal") or goal_of(metric or "")
    if metric and page.count and (found := run_table.best(session, selection, metric, goal == "max", page.state)):
        best = asdict(found)
    names = {run.server for run in page.runs}
    servers = Servers(names, facts.states(session, names), utc_now())
    experiments = facts.experiments(session, {(run.server, run.experiment_id) for run in page.runs})
    keys = [(run.server, run.run_id) for run in page.runs]
    ties = run_links.of_runs(session, keys, package.id, page.runs)
    labels = version_labels(session, ties)
    made = model_versions_of_runs(session, keys)
    results = []
    for run in page.runs:
        experiment = experiments.get((run.server, run.experiment_id))
        key = (run.server, run.run_id)
        results.append(
            {
                **run_dict(run, servers),
                "experiment_name": experiment.name if experiment else "",
                "ties": [tie_dict(link, labels) for link in run_links.telling(ties.get(key, ()))],
                "models": made.get(key, []),
            }
        )
    return {
        "count": page.count,
        "results": results,
        "best": best,
        "metric": metric or "",
        "goal": goal if metric else "",
        "columns": [asdict(item) for item in columns],
    }


def _configured(name: str) -> Reader | Health:
    """Made in the request's thread, which knows the configuration."""
    try:
        return mlflow_servers.client(name, interactive=True)
    except mlflow_servers.NotConfigured as error:
        return Health(name, "refused", detail=str(error))


def _health(client: Reader | Health) -> Health:
    return client if isinstance(client, Health) else client.health()


def _not_configured(name: str) -> str:
    try:
        mlflow_servers.server(name)
    except mlflow_servers.NotConfigured as error:
        return str(error)
    return ""
