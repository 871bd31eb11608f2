"""Links between datasets and MLflow."""

from __future__ import annotations

import re
from typing import Any, cast

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops import activity, mlflow_servers, mlflow_sync
from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow import Reader
from ckanext.mlops.logic import schema
from ckanext.mlops.logic.mlflow_dictize import Servers, experiment_dict, iso, link_dict, run_dict
from ckanext.mlops.model import Link, Version, links
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import utc_now

#: Newest runs of an experiment that a list of links carries; ``mlops_run_list`` has all.
RUNS_SHOWN = 20
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@tk.validate_action_data(schema.link_create)
def mlops_link_create(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Link a dataset to an MLflow experiment or run, and copy its facts.

    Doing it again is the same link: a ``note`` or ``version`` that is given replaces the one before. The experiment's
    newest 500 runs are copied at once, the rest by the next ``mlops_mlflow_sync``. When the MLflow server does not
    answer, the link is made all the same if facts of the target were copied before.

    You must be authorized to edit the dataset. Whoever may see the dataset sees the copied facts.

    :param id: id or name of the dataset
    :type id: string
    :param server: name of an MLflow server in this portal's configuration, see ``mlops_server_list``
    :type server: string
    :param kind: ``experiment`` or ``run`` (optional, default: ``run``)
    :type kind: string
    :param target: id of the run; id or name of the experiment
    :type target: string
    :param relation: what the run did with the dataset: ``produced``, ``trained_on``, ``evaluated_on`` or ``used``
        (optional, default: ``used``)
    :type relation: string
    :param version: id of the dataset's version, see ``mlops_version_list`` (optional)
    :type version: string
    :param note: for people, at most 2,000 characters (optional)
    :type note: string

    :returns: the link, as in ``mlops_link_list``
    :rtype: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_create \\
            -d id=titanic-train -d server=lab -d kind=run -d target=$RUN_ID -d relation=trained_on
    """
    tk.check_access("mlops_link_create", context, data_dict)
    session = cast(Session, context["session"])
    package = package_of(data_dict["id"])
    _check_version(session, package, data_dict.get("version"))
    name, kind = data_dict["server"], data_dict["kind"]
    try:
        client = mlflow_servers.client(name, interactive=True)
    except mlflow_servers.NotConfigured as error:
        raise tk.ValidationError({"server": [str(error)]}) from None
    copy = _experiment_target if kind == "experiment" else _run_target
    target = copy(session, client, data_dict["target"].strip())
    user = model.User.get(context.get("user"))
    link, created = links.assert_link(
        session,
        package_id=package.id,
        server=name,
        kind=kind,
        target=target,
        relation=data_dict["relation"],
        user_id=user.id if user else None,
        version_id=data_dict.get("version") or None,
        note=data_dict["note"],
        now=utc_now(),
    )
    answer = _dictize(session, [link])[0]
    if created:
        activity.record(context, activity.NEW_LINK, package, {"link": _for_activity(answer)})
    session.commit()
    return answer


@tk.side_effect_free
@tk.validate_action_data(schema.page_of_dataset)
def mlops_link_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The MLflow experiments and runs that a dataset is linked to, newest link first.

    Facts are those that were copied at ``facts_at``; no MLflow server is asked. ``stale`` says why they may be out of
    date: ``away`` (the server did not answer the last time), ``old``, ``never copied``, ``not configured``, or nothing.

    ``origin`` is ``asserted`` (a person or script said so), ``inferred`` (see ``evidence``) or ``declared``: the
    dataset's fields ``mlflow_server`` and ``mlflow_experiment`` name the experiment. A declared link comes first, has
    no ``id``, and changes with those fields.

    You must be authorized to see the dataset.

    :param id: id or name of the dataset
    :type id: string
    :param limit: links in the answer (optional, default: ``100``, at most ``1000``)
    :type limit: integer
    :param offset: links to skip (optional, default: ``0``)
    :type offset: integer

    :returns: ``count`` of all links and ``results``; a result has the link's own fields and ``page`` (its address in
        MLflow), ``facts_at``, ``stale``, ``version_commit``, ``experiment``, and either ``run`` or ``runs`` (the newest
        20 of the experiment) with ``run_count``
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_link_list?id=titanic-train"
    """
    tk.check_access("mlops_link_list", context, data_dict)
    session = cast(Session, context["session"])
    package = package_of(data_dict["id"])
    limit, offset = data_dict["limit"], data_dict["offset"]
    declared = declared_links(session, package)
    shown = declared[offset : offset + limit]
    count, stored = links.links_of(session, package.id, limit - len(shown), max(0, offset - len(declared)))
    return {"count": count + len(declared), "results": _dictize(session, [*shown, *stored])}


@tk.validate_action_data(schema.object_show)
def mlops_link_delete(context: Context, data_dict: DataDict) -> None:
    """Remove a link between a dataset and MLflow. Nothing changes in MLflow.

    You must be authorized to edit the dataset. A declared link has no id: change the dataset's fields instead.

    :param id: id of the link
    :type id: string

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_delete -d id=$LINK_ID
    """
    tk.check_access("mlops_link_delete", context, data_dict)
    session = cast(Session, context["session"])
    link = session.get(Link, data_dict["id"])
    if link is None:
        raise tk.ObjectNotFound(tk._("Link not found"))
    package = model.Package.get(link.package_id)
    answer = _dictize(session, [link])[0]
    session.delete(link)
    if package:
        activity.record(context, activity.DELETED_LINK, package, {"link": _for_activity(answer)})
    session.commit()


def declared_links(session: Session, package: model.Package) -> list[Link]:
    """The link that the dataset's fields declare, as a row that is in no table; none where a stored link says it.

    ``target`` is the experiment's id, or its name as long as no facts of it were copied.
    """
    declared = links.declared_by(package)
    if declared is None:
        return []
    known = facts.experiment_named(session, declared.server, declared.experiment)
    if known and links.has_experiment(session, package.id, declared.server, known.experiment_id):
        return []
    return [
        Link(
            package_id=package.id,
            server=declared.server,
            kind="experiment",
            target=known.experiment_id if known else declared.experiment,
            relation="used",
            note="",
            origin=links.DECLARED,
            evidence={"fields": ["mlflow_server", "mlflow_experiment"]},
        )
    ]


def package_of(id_or_name: str) -> model.Package:
    """The dataset of that id or name; raises ObjectNotFound."""
    package = model.Package.get(id_or_name)
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    return package


def _check_version(session: Session, package: model.Package, version_id: str | None) -> None:
    if version_id:
        version = session.get(Version, version_id)
        if version is None or version.package_id != package.id:
            raise tk.ValidationError({"version": [tk._("This dataset has no such version; see mlops_version_list.")]})


def _experiment_target(session: Session, client: Reader, target: str) -> str:
    """Id of the experiment, its facts copied."""
    name = client.name
    try:
        found = mlflow_sync.find_experiment(client, target)
        if found:
            mlflow_sync.copy_experiment(session, client, found, utc_now())
            facts.record_contact(session, name, utc_now())
            return found.experiment_id
    except MlflowError as error:
        known = facts.experiments(session, [(name, target)]).get((name, target))
        known = known or facts.experiment_named(session, name, target)
        return _known_or_refused(session, name, known.experiment_id if known else None, error)
    raise tk.ValidationError(
        {"target": [tk._("MLflow server {server} has no experiment with this id or name.").format(server=name)]}
    )


def _run_target(session: Session, client: Reader, target: str) -> str:
    """Id of the run, its facts copied."""
    name = client.name
    try:
        found = client.run(target) if _RUN_ID.fullmatch(target) else None
        if found:
            mlflow_sync.copy_run(session, client, found, utc_now())
            facts.record_contact(session, name, utc_now())
            return found.run_id
    except MlflowError as error:
        known = facts.runs(session, [(name, target)]).get((name, target))
        return _known_or_refused(session, name, known.run_id if known else None, error)
    raise tk.ValidationError({"target": [tk._("MLflow server {server} has no run with this id.").format(server=name)]})


def _known_or_refused(session: Session, server: str, known_id: str | None, error: MlflowError) -> str:
    session.rollback()
    facts.record_contact(session, server, utc_now(), str(error))
    if known_id:
        return known_id
    session.commit()
    raise tk.ValidationError(
        {
            "server": [
                tk._("{problem} Nothing was linked, because no facts of this target were copied before.").format(
                    problem=error
                )
            ]
        }
    ) from None


def _dictize(session: Session, found: list[Link]) -> list[dict[str, Any]]:
    run_keys = [(link.server, link.target) for link in found if link.kind == "run"]
    known_runs = facts.runs(session, run_keys)
    keys = [(link.server, link.target) for link in found if link.kind == "experiment"]
    keys += [(run.server, run.experiment_id) for run in known_runs.values()]
    known, counts = facts.experiments(session, keys), facts.run_counts(session, keys)
    commits = _version_commits(session, {link.version_id for link in found if link.version_id})
    names = {link.server for link in found}
    servers = Servers(names, facts.states(session, names), utc_now())
    results = []
    for link in found:
        answer, key = link_dict(link), (link.server, link.target)
        answer["version_commit"] = commits.get(link.version_id) if link.version_id else None
        run, experiment = None, known.get(key) if link.kind == "experiment" else None
        if link.kind == "run":
            run = known_runs.get(key)
            experiment = known.get((link.server, run.experiment_id)) if run else None
            answer["run"] = run_dict(run, servers) if run else None
            answer["page"] = answer["run"]["page"] if run else None
        else:
            newest = facts.runs_of_experiment(session, link.server, link.target, RUNS_SHOWN) if experiment else []
            answer["runs"] = [run_dict(row, servers) for row in newest]
            answer["run_count"] = counts.get(key, 0)
            answer["page"] = servers.experiment_page(*key) if experiment else None
        answer["experiment"] = experiment_dict(experiment) if experiment else None
        copied = run or experiment
        answer["facts_at"] = iso(copied.facts_at) if copied else None
        answer["stale"] = servers.stale(link.server, copied.facts_at if copied else None)
        results.append(answer)
    return results


def _version_commits(session: Session, ids: set[str]) -> dict[str, str]:
    if not ids:
        return {}
    query = sa.select(Version.id, Version.commit).where(Version.id.in_(ids))
    return {row.id: row.commit for row in session.execute(query)}


def _for_activity(link: dict[str, Any]) -> dict[str, Any]:
    """What the activity stream keeps: the link, and a name for people."""
    named = link.get("run") or link.get("experiment") or {}
    kept = ("id", "server", "kind", "target", "relation", "note", "version", "origin")
    return {**{key: link[key] for key in kept}, "name": named.get("name") or link["target"]}
