"""Versions and runs as the sides of a comparison, as far as one reader may see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops.logic import versions
from ckanext.mlops.logic.comparison import Side
from ckanext.mlops.logic.mlflow_dictize import Servers, run_dict
from ckanext.mlops.logic.mlflow_lineage import model_versions_of_runs, version_label
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import Link, Run, Version, links, run_links
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import utc_now

#: Files among the inputs that say in which environment a command runs.
_ENVIRONMENT = (
    "requirements",
    "environment.y",
    "conda",
    "pyproject.toml",
    "poetry.lock",
    "uv.lock",
    "pixi.lock",
    "pipfile",
    "dockerfile",
    "renv.lock",
)
#: Of MLflow's own tags: run tags of people are not environment, and others may name anything.
_TAGS = {
    "mlflow.docker.image.uri": "container image",
    "mlflow.project.env": "project environment",
    "mlflow.source.type": "source type",
}


@dataclass
class Compared:
    """What is compared: the sides, what a page says of each, and which ones of those asked for are not there."""

    sides: list[Side] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def find(context: Context, wanted: Sequence[str]) -> Compared:
    """The versions (by id) and runs (``SERVER:RUN_ID``) in the order asked; what the reader may not see is missing."""
    session: Session = context["session"]()
    reader = Reader(context)
    keys = [(server, run_id) for server, colon, run_id in (each.partition(":") for each in wanted) if colon]
    runs = {(run.server, run.run_id): run for run in _runs(session, keys)}
    ties = run_links.of_runs(session, list(runs))
    declared = _declared(session, runs.values())
    own = {key: {*(link.package_id for link in ties.get(key, ())), *declared.get(key, ())} for key in runs}
    tied = {link.version_id for found in ties.values() for link in found if link.version_id}
    known = {row.id: row for row in _versions(session, {*wanted, *tied})}
    reader.look(sorted({row.package_id for row in known.values()} | {each for ids in own.values() for each in ids}))
    made = model_versions_of_runs(session, list(runs))
    names = {server for server, _ in runs}
    servers = Servers(names, facts.states(session, names), utc_now())
    result = Compared()
    for text in wanted:
        server, colon, run_id = text.partition(":")
        if not colon and (version := known.get(text)) is not None and version.package_id in reader.packages:
            package = reader.packages[version.package_id]
            result.sides.append(_version_side(version))
            result.shown.append(_version_dict(version, package))
        elif (
            colon
            and (run := runs.get((server, run_id))) is not None
            and not own[server, run_id].isdisjoint(reader.packages)
        ):
            key = (server, run_id)
            visible = [link for link in ties.get(key, ()) if link.package_id in reader.packages]
            result.sides.append(_run_side(run, visible, known, made.get(key, ())))
            result.shown.append(_run_dict(run, visible, known, reader, servers))
        else:
            result.missing.append(text)
    return result


def _runs(session: Session, keys: Sequence[tuple[str, str]]) -> Iterable[Run]:
    if not keys:
        return ()
    return session.scalars(
        sa.select(Run).where(sa.tuple_(Run.server, Run.run_id).in_(list(keys)), Run.lifecycle_stage != facts.GONE)
    )


def _versions(session: Session, ids: Iterable[str]) -> Iterable[Version]:
    """Versions of datasets that are there."""
    active = sa.select(model.Package.id).where(model.Package.state == "active")
    return session.scalars(sa.select(Version).where(Version.id == sa.any_(texts(ids)), Version.package_id.in_(active)))


def _declared(session: Session, runs: Iterable[Run]) -> dict[tuple[str, str], list[str]]:
    """Run → datasets whose fields name its experiment."""
    runs = list(runs)
    experiments = facts.experiments(session, {(run.server, run.experiment_id) for run in runs})
    said = {server: links.all_declared(session, server) for server in {run.server for run in runs}}
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        experiment = experiments.get((run.server, run.experiment_id))
        found[run.server, run.run_id] = [
            each.package_id for each in said[run.server] if experiment and each.experiment == experiment.name
        ]
    return found


def _version_side(version: Version) -> Side:
    said = version.facts
    inputs = _present(versions.hashes(said.get("deps")))
    environment = {path: value for path, value in inputs.items() if _is_environment(path)}
    return Side(
        version.id,
        "version",
        version_label(version),
        {
            "command": _present({"command": said.get("command"), "stage": said.get("address")}),
            "params": versions.params(said),
            "inputs": {path: value for path, value in inputs.items() if path not in environment},
            "metrics": versions.metric_values(said),
            "outputs": _present(versions.hashes(said.get("outs"))),
            "environment": _present({"commit": version.commit, "author": version.author}) | environment,
        },
    )


def _run_side(run: Run, ties: Sequence[Link], known: dict[str, Version], made: Iterable[dict[str, Any]]) -> Side:
    said = run.facts
    tags = said.get("tags") or {}
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for link in ties:
        version = known.get(link.version_id or "")
        if version is not None:
            (outputs if link.relation == "produced" else inputs).update(
                _present(versions.hashes(version.facts.get("outs")))
            )
    for each in said.get("inputs") or ():
        digest = each.get("digest")
        if digest and digest not in inputs.values():
            inputs.setdefault(each.get("name") or "", digest)
    outputs |= {f"model {each['name']}": f"version {each['version']}" for each in made}
    source = str(tags.get("mlflow.source.name") or "").replace("\\", "/").rsplit("/", 1)[-1]
    command = _present({"source": source, "entry point": tags.get("mlflow.project.entryPoint")})
    environment = {"commit": run.git_commit, "author": said.get("user"), "branch": tags.get("mlflow.source.git.branch")}
    return Side(
        f"{run.server}:{run.run_id}",
        "run",
        run.name or run.run_id[:8],
        {
            "command": command,
            "params": dict(said.get("params") or {}),
            "inputs": inputs,
            "metrics": dict(said.get("metrics") or {}),
            "outputs": outputs,
            "environment": _present(environment | {label: tags.get(tag) for tag, label in _TAGS.items()}),
        },
    )


def _version_dict(version: Version, package: Any) -> dict[str, Any]:
    return {
        "id": version.id,
        "kind": "version",
        "label": version_label(version),
        "date": versions.iso(version.committed),
        "commit": version.commit,
        "status": None,
        "page": tk.url_for("mlops_versions.show", id=package.name, version=version.id, locale="default"),
        "datasets": [
            {
                "name": package.name,
                "title": package.title or package.name,
                "relation": "version",
                "version": version.id,
                "label": version_label(version),
            }
        ],
    }


def _run_dict(
    run: Run, ties: Sequence[Link], known: dict[str, Version], reader: Reader, servers: Servers
) -> dict[str, Any]:
    said = run_dict(run, servers)
    datasets = []
    for link in ties:
        package, version = reader.packages[link.package_id], known.get(link.version_id or "")
        datasets.append(
            {
                "name": package.name,
                "title": package.title or package.name,
                "relation": link.relation,
                "version": version.id if version else None,
                "label": version_label(version) if version else "",
            }
        )
    return {
        "id": f"{run.server}:{run.run_id}",
        "kind": "run",
        "label": run.name or run.run_id[:8],
        "date": said["started"],
        "commit": run.git_commit,
        "status": run.status,
        "page": said["page"],
        "datasets": [each for number, each in enumerate(datasets) if each not in datasets[:number]],
    }


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _is_environment(path: str) -> bool:
    return path.rsplit("/", 1)[-1].lower().startswith(_ENVIRONMENT)
