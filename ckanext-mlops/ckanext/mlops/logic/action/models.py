"""Experiments and models of MLflow, and the datasets behind them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.logic import leaderboard, mlflow_lineage
from ckanext.mlops.logic.links import check_version, package_of
from ckanext.mlops.logic.mlflow_dictize import Servers, iso, run_dict
from ckanext.mlops.logic.schema import mlflow as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model import Version, link_targets, versions
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import Run, utc_now
from ckanext.mlops.tracking import servers as mlflow_servers

_MAX_EXPERIMENTS = 100


@tk.side_effect_free
@validated(schema.mlflow_list)
def mlops_experiment_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The MLflow experiments that datasets are linked to, from copied facts. You get what datasets that you may see
    are linked to; with ``all``, every experiment of the servers, if you may create datasets.

    :param id: only those of this dataset, by id or name (optional)
    :type id: string
    :param server: only those of this server (optional)
    :type server: string
    :param q: only those with this text in their name (optional)
    :type q: string
    :param all: also those that nothing is linked to (optional, default: ``false``)
    :type all: boolean
    :param limit: at most so many, 1 to 1000 (optional, default: ``100``)
    :type limit: integer
    :param offset: so many are skipped (optional, default: ``0``)
    :type offset: integer

    :returns: ``count`` and ``results``: facts of each, ``run_count``, ``datasets`` that you may see, and ``hidden``:
        how many others there are
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_experiment_list?server=lab"
    """
    tk.check_access("mlops_experiment_list", context, data_dict)
    return mlflow_lineage.experiments(context, data_dict)


@tk.side_effect_free
@validated(schema.on_server)
def mlops_experiment_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """An MLflow experiment, and which versions of which datasets its runs used, from copied facts.

    It is "not found" when you may see none of these datasets.

    :param server: name of the server
    :type server: string
    :param name: id of the experiment
    :type name: string

    :returns: its facts; ``datasets``, each with ``relation``, ``origin``, ``version`` and in how many ``runs``; and
        ``hidden``: how many datasets you may not see
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_experiment_show?server=lab&name=1"
    """
    tk.check_access("mlops_experiment_show", context, data_dict)
    return mlflow_lineage.experiment(context, data_dict["server"], data_dict["name"])


@tk.side_effect_free
@validated(schema.mlflow_list)
def mlops_model_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The registered models that datasets are tied to: by a link, or by the run that made a version.

    You get what datasets that you may see are tied to; with ``all``, every model, if you may create datasets.

    :param id: only those of this dataset, by id or name (optional)
    :type id: string
    :param server: only those of this server (optional)
    :type server: string
    :param q: only those with this text in their name (optional)
    :type q: string
    :param all: also those that nothing is tied to (optional, default: ``false``)
    :type all: boolean
    :param limit: at most so many, 1 to 1000 (optional, default: ``100``)
    :type limit: integer
    :param offset: so many are skipped (optional, default: ``0``)
    :type offset: integer

    :returns: ``count`` and ``results``: facts of each with ``aliases``, ``datasets`` that you may see, and ``hidden``
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_model_list?id=titanic-train"
    """
    tk.check_access("mlops_model_list", context, data_dict)
    return mlflow_lineage.models(context, data_dict)


@tk.side_effect_free
@validated(schema.on_server)
def mlops_model_lineage(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """A registered model with all its versions: which run made each, from which version of which dataset, and whether
    that dataset has gone on since.

    It is "not found" when you may see none of these datasets.

    :param server: name of the server
    :type server: string
    :param name: name of the registered model
    :type name: string

    :returns: its facts, ``hidden`` (how many datasets you may not see) and ``versions``, the highest first, each with
        ``aliases``, ``run`` (with metrics and params) and ``datasets``: ``relation``, ``version``, ``evidence`` and
        ``freshness`` (``current`` version, ``fresh``, how many files ``differ``, how many ``folders`` of which only
        their storage lists the files, and which ``files`` and folders; ``goes_on_as``: the dataset that the current
        version is of, where the stage has another address by now)
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_model_lineage?server=lab&name=titanic-survival"
    """
    tk.check_access("mlops_model_lineage", context, data_dict)
    return mlflow_lineage.registered_model(context, data_dict["server"], data_dict["name"])


@tk.side_effect_free
@validated(schema.leaderboard)
def mlops_leaderboard(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The best runs of one version of a dataset, for each metric.

    Only runs that are tied to exactly this version count, and those that trained on it, evaluated on it or produced it
    are never mixed: their numbers do not compare.

    :param id: id or name of the dataset
    :type id: string
    :param version: id of the version (optional, default: the current one)
    :type version: string
    :param limit: runs for each metric, 1 to 20 (optional, default: ``3``)
    :type limit: integer

    :returns: ``version`` and ``boards``, each with ``relation``, ``metric``, ``goal`` (``max`` or ``min``, by the
        metric's name), ``count`` of the runs that have it, and the best ``runs`` with their ``value`` and ``models``
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_leaderboard?id=titanic-prepare"
    """
    tk.check_access("mlops_leaderboard", context, data_dict)
    session = cast(Session, context["session"])
    package = package_of(data_dict["id"])
    check_version(session, package, data_dict.get("version"))
    chosen = data_dict.get("version")
    version = session.get(Version, chosen) if chosen else versions.current(session, package.id)
    return leaderboard.leaderboard(session, package, version, data_dict["limit"])


@tk.side_effect_free
@validated(schema.run_search)
def mlops_run_search(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Search the runs of an MLflow server, with MLflow's own search syntax; the server itself is asked.

    You must be authorized to create datasets: the answer holds runs that nothing is linked to yet. Nothing is copied.

    :param server: name of the server
    :type server: string
    :param experiments: ids of experiments to search, at most 100 (optional, default: the first 100)
    :type experiments: list of strings
    :param filter: ``metrics.accuracy > 0.8 and params.depth = '5'`` (optional, at most 2,000 characters)
    :type filter: string
    :param order_by: such as ``metrics.accuracy DESC`` (optional, default: the newest first)
    :type order_by: list of strings
    :param limit: runs in the answer, 1 to 200 (optional, default: ``50``)
    :type limit: integer

    :returns: ``results``: runs with their facts and ``experiment_name``
    :rtype: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_run_search \\
            -d server=lab -d "filter=metrics.accuracy > 0.8"
    """
    tk.check_access("mlops_run_search", context, data_dict)
    session, name = cast(Session, context["session"]), data_dict["server"]
    try:
        client = mlflow_servers.client(name, interactive=True)
    except mlflow_servers.NotConfigured as error:
        raise tk.ValidationError({"server": [str(error)]}) from None
    try:
        ids = data_dict.get("experiments") or _experiment_ids(client)
        order, limit = data_dict.get("order_by") or (), data_dict["limit"]
        found = list(client.runs(ids[:_MAX_EXPERIMENTS], data_dict["filter"], order, limit))
    except MlflowError as error:
        raise tk.ValidationError({"filter": [str(error)]}) from None
    rows = [Run(**facts.run_row(name, run, utc_now())) for run in found]
    servers = Servers({name}, facts.states(session, [name]), utc_now())
    known = facts.experiments(session, {(name, row.experiment_id) for row in rows})
    names = {experiment_id: row.name for (_, experiment_id), row in known.items()}
    results = [run_dict(row, servers) | {"experiment_name": names.get(row.experiment_id, "")} for row in rows]
    return {"results": results}


@tk.side_effect_free
@validated(schema.link_target_list)
def mlops_link_target_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Experiments and models of a server that a dataset can be linked to, by name, from copied facts.

    Runs are found by ``mlops_run_search``.

    You must be authorized to create datasets: the answer holds what nothing is linked to yet.

    :param server: name of the server
    :type server: string
    :param kind: ``experiment``, ``logged_model``, ``registered_model`` or ``model_version``
    :type kind: string
    :param within: only the logged models of this experiment (id), or the versions of this registered model (optional)
    :type within: string
    :param target: only this one, by its id or name (optional)
    :type target: string
    :param q: only those with this text in their name; also in the id of a logged model or the ``NAME/VERSION`` of a
        version (optional)
    :type q: string
    :param limit: at most so many, 1 to 1000 (optional, default: ``50``)
    :type limit: integer
    :param offset: so many are skipped (optional, default: ``0``)
    :type offset: integer

    :returns: ``count`` and ``results``, each with ``target`` (what ``mlops_link_create`` takes), ``name``, ``within``,
        ``run_id``, ``aliases``, ``created`` and ``lifecycle_stage``
    :rtype: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_target_list \\
            -d server=lab -d kind=model_version -d within=titanic-survival
    """
    tk.check_access("mlops_link_target_list", context, data_dict)
    count, found = link_targets.find(
        cast(Session, context["session"]),
        data_dict["kind"],
        server=data_dict["server"],
        within=data_dict.get("within") or "",
        target=data_dict.get("target") or "",
        text=data_dict["q"].strip(),
        limit=data_dict["limit"],
        offset=data_dict["offset"],
    )
    return {"count": count, "results": [asdict(each) | {"created": iso(each.created)} for each in found]}


def _experiment_ids(client: Any) -> list[str]:
    found = []
    for each in client.experiments():
        found.append(each.experiment_id)
        if len(found) == _MAX_EXPERIMENTS:
            break
    return found
