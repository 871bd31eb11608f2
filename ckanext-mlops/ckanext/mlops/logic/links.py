"""Links as API and pages give them, and the things of MLflow that they lead to."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from sqlalchemy.orm import Session

from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow import Reader
from ckanext.mlops.logic.mlflow_dictize import (
    Servers,
    experiment_dict,
    hint_dict,
    iso,
    link_dict,
    logged_model_dict,
    model_dict,
    model_version_dict,
    run_dict,
)
from ckanext.mlops.model import Link, LinkHint, Version, link_hints, links, mlflow_models
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.tracking import sync as mlflow_sync

#: Newest runs of an experiment that a list of links carries; ``mlops_run_list`` has all.
RUNS_SHOWN = 20
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


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


def check_version(session: Session, package: model.Package, version_id: str | None) -> None:
    """Refuses a version that is none of the dataset's."""
    if version_id:
        version = session.get(Version, version_id)
        if version is None or version.package_id != package.id:
            raise tk.ValidationError({"version": [tk._("This dataset has no such version; see mlops_version_list.")]})


def check_resource(session: Session, package: model.Package, resource_id: str | None) -> None:
    """Refuses a resource that is none of the dataset's."""
    if resource_id and resource_id not in _resource_names(session, {resource_id}, package.id):
        raise tk.ValidationError({"resource": [tk._("This dataset has no such resource; see package_show.")]})


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


def target_id(session: Session, server: str, kind: str, target: str) -> str:
    """What a link stores for a target that a person names; its facts are copied, or were.

    :raises tk.ValidationError: there is no such thing, or nobody knows
    """
    target = target.strip()
    try:
        client = mlflow_servers.client(server, interactive=True)
    except mlflow_servers.NotConfigured as error:
        raise tk.ValidationError({"server": [str(error)]}) from None
    if kind == "experiment":
        return _experiment_target(session, client, target)
    if kind == "run":
        return _run_target(session, client, target)
    # Models are copied whole by each sync; nothing is asked.
    known: Any
    if kind == "logged_model":
        known = mlflow_models.logged_models(session, [(server, target)])
    elif kind == "registered_model":
        known = mlflow_models.registered_models(session, [(server, target)])
    else:
        name, _, version = target.rpartition("/")
        known = mlflow_models.model_versions(session, [(server, name, version)])
    if not known:
        raise tk.ValidationError(
            {
                "target": [
                    tk._("No {kind} of that name or id was copied from {server}; is the last sync older?").format(
                        kind=kind.replace("_", " "), server=server
                    )
                ]
            }
        )
    return target


def make(session: Session, package: model.Package, data: dict[str, Any], user: model.User | None) -> tuple[Link, bool]:
    """Assert a link with the arguments of ``mlops_link_create``: the link, and whether it is new. Does not commit.

    :raises tk.ValidationError: an argument is wrong
    """
    check_version(session, package, data.get("version"))
    check_resource(session, package, data.get("resource"))
    target = target_id(session, data["server"], data["kind"], data["target"])
    link, created = links.assert_link(
        session,
        package_id=package.id,
        server=data["server"],
        kind=data["kind"],
        target=target,
        relation=data["relation"],
        user_id=user.id if user else None,
        version_id=data.get("version") or None,
        resource_id=data.get("resource") or None,
        note=data["note"],
        now=utc_now(),
    )
    link_hints.forget(session, link.id)
    return link, created


def dictize(session: Session, found: Sequence[Link | LinkHint]) -> list[dict[str, Any]]:
    """Links with the copied facts of what they lead to."""
    of_kind: dict[str, list[tuple[str, str]]] = {}
    for link in found:
        of_kind.setdefault(link.kind, []).append((link.server, link.target))
    known_runs = facts.runs(session, of_kind.get("run", ()))
    logged = mlflow_models.logged_models(session, of_kind.get("logged_model", ()))
    registered = mlflow_models.registered_models(session, of_kind.get("registered_model", ()))
    parts = [(server, *target.rpartition("/")[::2]) for server, target in of_kind.get("model_version", ())]
    versions = mlflow_models.model_versions(session, parts)
    keys = [*of_kind.get("experiment", ()), *((run.server, run.experiment_id) for run in known_runs.values())]
    known, counts = facts.experiments(session, keys), facts.run_counts(session, of_kind.get("experiment", ()))
    commits = _version_commits(
        session, {link.version_id for link in found if isinstance(link, Link) and link.version_id}
    )
    resources = _resource_names(session, {link.resource_id for link in found if isinstance(link, Link)} - {None})
    names = {link.server for link in found}
    servers = Servers(names, facts.states(session, names), utc_now())
    results = []
    for link in found:
        key = (link.server, link.target)
        answer = link_dict(link) if isinstance(link, Link) else hint_dict(link)
        answer["version_commit"] = commits.get(answer.get("version") or "")
        answer["resource_name"] = resources.get(answer.get("resource") or "")
        experiment: Any = None
        copied: Any
        if link.kind == "run":
            copied = known_runs.get(key)
            experiment = known.get((link.server, copied.experiment_id)) if copied else None
            answer["run"] = run_dict(copied, servers) if copied else None
            answer["page"] = answer["run"]["page"] if copied else None
        elif link.kind == "experiment":
            copied = experiment = known.get(key)
            newest = facts.runs_of_experiment(session, link.server, link.target, RUNS_SHOWN) if experiment else []
            answer["runs"] = [run_dict(row, servers) for row in newest]
            answer["run_count"] = counts.get(key, 0)
            answer["page"] = servers.experiment_page(*key) if experiment else None
        elif link.kind == "logged_model":
            copied = logged.get(key)
            answer["model"] = logged_model_dict(copied) if copied else None
            answer["page"] = None
        elif link.kind == "registered_model":
            copied = registered.get(key)
            answer["model"] = model_dict(copied, servers) if copied else None
            answer["page"] = servers.model_page(*key) if copied else None
        else:
            name, _, number = link.target.rpartition("/")
            copied = versions.get((link.server, name, number))
            answer["model"] = model_version_dict(copied, servers) if copied else None
            answer["page"] = servers.model_page(link.server, name, number) if copied else None
        answer["experiment"] = experiment_dict(experiment) if experiment else None
        answer["facts_at"] = iso(copied.facts_at) if copied else None
        answer["stale"] = servers.stale(link.server, copied.facts_at if copied else None)
        results.append(answer)
    return results


def _version_commits(session: Session, ids: set[str]) -> dict[str, str]:
    if not ids:
        return {}
    query = sa.select(Version.id, Version.commit).where(Version.id.in_(ids))
    return {row.id: row.commit for row in session.execute(query)}


def _resource_names(session: Session, ids: Collection[str | None], package_id: str = "") -> dict[str, str]:
    """Names of resources that are not deleted, of one dataset or of any, by id."""
    if not ids:
        return {}
    query = sa.select(model.Resource.id, model.Resource.name, model.Resource.url).where(
        model.Resource.id.in_(list(ids)),
        model.Resource.state == model.State.ACTIVE,
        *((model.Resource.package_id == package_id,) if package_id else ()),
    )
    return {row.id: row.name or row.url or row.id for row in session.execute(query)}


def for_activity(link: dict[str, Any]) -> dict[str, Any]:
    """What the activity stream keeps: the link, and a name for people."""
    named = link.get("run") or link.get("model") or link.get("experiment") or {}
    kept = ("id", "server", "kind", "target", "relation", "note", "version", "resource", "origin")
    return {**{key: link[key] for key in kept}, "name": named.get("name") or link["target"]}
