"""Experiments and models with the datasets behind them, as one reader may see them: others are a count, no name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops.logic.mlflow_dictize import Servers, experiment_dict, iso, model_dict, model_version_dict, run_dict
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.logic.versions import newest
from ckanext.mlops.model import (
    Link,
    ModelVersion,
    Run,
    Version,
    contents,
    link_targets,
    links,
    mlflow_models,
    run_links,
)
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import utc_now

MAX_VERSIONS = 200
MAX_RUNS = 500
Key = tuple[str, str]


def experiments(context: Context, found: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of ``mlops_experiment_list``."""
    session: Session = context["session"]()
    ties = run_links.experiments(session, _own(found))
    declared = _declared(session, found)
    seen = _Seen(context, {package_id for *_, package_id in (*ties, *declared)})
    count, keys = _chosen(session, found, seen.keys(ties | declared), "experiment")
    known = facts.experiments(session, keys)
    counts = facts.run_counts(session, keys)
    names = {server for server, _ in keys}
    servers = Servers(names, facts.states(session, names), utc_now())
    results = []
    for key in keys:
        if row := known.get(key):
            shown = {**experiment_dict(row), "server": row.server, "run_count": counts.get(key, 0)}
            shown |= {"page": servers.experiment_page(*key), "facts_at": iso(row.facts_at)}
            results.append(shown | seen.datasets(key, ties | declared))
    return {"count": count, "results": results}


def models(context: Context, found: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of ``mlops_model_list``."""
    session: Session = context["session"]()
    ties = run_links.models(session, _own(found))
    seen = _Seen(context, {package_id for *_, package_id in ties})
    count, keys = _chosen(session, found, seen.keys(ties), "registered_model")
    known = mlflow_models.registered_models(session, keys)
    names = {server for server, _ in keys}
    servers = Servers(names, facts.states(session, names), utc_now())
    results = [model_dict(known[key], servers) | seen.datasets(key, ties) for key in keys if key in known]
    return {"count": count, "results": results}


def experiment(context: Context, server: str, experiment_id: str) -> dict[str, Any]:
    """The answer of ``mlops_experiment_show``: the experiment, and which datasets its runs used.

    :raises tk.ObjectNotFound: the reader sees no dataset of it
    """
    session: Session = context["session"]()
    known = facts.experiments(session, [(server, experiment_id)]).get((server, experiment_id))
    if known is None:
        raise tk.ObjectNotFound(tk._("Experiment not found"))
    query = (
        sa.select(Link.package_id, Link.relation, Link.version_id, Link.origin, sa.func.count(Run.run_id.distinct()))
        .join(
            Run,
            sa.and_(
                Run.server == Link.server,
                Run.lifecycle_stage != facts.GONE,
                sa.or_(
                    sa.and_(Link.kind == "run", Link.target == Run.run_id),
                    sa.and_(Link.kind == "experiment", Link.target == Run.experiment_id),
                ),
            ),
            isouter=False,
        )
        .where(Run.server == server, Run.experiment_id == experiment_id)
        .group_by(Link.package_id, Link.relation, Link.version_id, Link.origin)
    )
    total = facts.run_counts(session, [(server, experiment_id)]).get((server, experiment_id), 0)
    rows = [tuple(row) for row in session.execute(query)]
    rows += [
        (item.package_id, "used", None, links.DECLARED, total)
        for item in links.all_declared(session, server)
        if item.experiment == known.name
    ]
    seen = _Seen(context, {row[0] for row in rows})
    if not seen.visible and not seen.all:
        raise tk.ObjectNotFound(tk._("Experiment not found"))
    versions = _versions(session, {row[2] for row in rows if row[2]})
    servers = Servers({server}, facts.states(session, [server]), utc_now())
    datasets = [
        {
            **seen.dataset(package_id),
            "relation": relation,
            "origin": origin,
            "runs": count,
            "version": _version(versions.get(version or "")),
        }
        for package_id, relation, version, origin, count in rows
        if package_id in seen.visible
    ]
    datasets.sort(key=lambda each: (each["title"].casefold(), each["relation"], -each["runs"]))
    return {
        **experiment_dict(known),
        "server": server,
        "page": servers.experiment_page(server, experiment_id),
        "facts_at": iso(known.facts_at),
        "stale": servers.stale(server, known.facts_at),
        "run_count": total,
        "datasets": datasets,
        "hidden": len(seen.hidden),
    }


def registered_model(context: Context, server: str, name: str) -> dict[str, Any]:
    """The answer of ``mlops_model_lineage``.

    :raises tk.ObjectNotFound: the reader sees no dataset of it
    """
    session: Session = context["session"]()
    known = mlflow_models.registered_models(session, [(server, name)]).get((server, name))
    if known is None:
        raise tk.ObjectNotFound(tk._("Model not found"))
    versions = mlflow_models.versions_of_model(session, server, name)
    keys = [(server, row.run_id) for row in versions if row.run_id]
    ties = run_links.of_runs(session, keys)
    of_model = run_links.of_models(session, [(server, name)]).get((server, name), [])
    of_version = _version_links(session, server, name, versions)
    every = [link for found in (*ties.values(), *of_version.values(), of_model) for link in found]
    seen = _Seen(context, {link.package_id for link in every})
    if not seen.visible and not seen.all:
        raise tk.ObjectNotFound(tk._("Model not found"))
    runs = facts.runs(session, keys)
    servers = Servers({server}, facts.states(session, [server]), utc_now())
    states = _States(session, every, seen)
    shown = []
    for row in versions[:MAX_VERSIONS]:
        own = run_links.telling([*ties.get((server, row.run_id or ""), ()), *of_version.get(row.version, ())])
        visible = [link for link in own if link.package_id in seen.visible]
        run = runs.get((server, row.run_id or ""))
        # A run is shown to who sees a dataset that it is tied to; a model's other versions show that they exist.
        may_see = bool(visible) or seen.all
        entry = model_version_dict(row, servers)
        if not may_see:
            entry |= {"run_id": None, "model_id": None, "description": "", "tags": {}}
        entry["run"] = run_dict(run, servers) if run and may_see else None
        entry["datasets"] = [{**seen.dataset(link.package_id), **states.tie(link)} for link in visible]
        entry["hidden"] = len({link.package_id for link in own} & seen.hidden)
        shown.append(entry)
    direct = [
        {**seen.dataset(link.package_id), **states.tie(link)} for link in of_model if link.package_id in seen.visible
    ]
    return {
        **model_dict(known, servers),
        "stale": servers.stale(server, known.facts_at),
        "versions": shown,
        "version_count": len(versions),
        "datasets": direct,
        "hidden": len(seen.hidden),
    }


def version_labels(session: Session, ties: Mapping[Key, Iterable[Link]]) -> dict[str, str]:
    """Names of the versions that links are about, or may be about, by id."""
    found = [link for own in ties.values() for link in own]
    ids = {link.version_id for link in found if link.version_id}
    said = [each for link in found for each in (link.evidence, link.evidence.get("found") or {})]
    ids |= {choice["version"] for each in said for choice in each.get("choices") or () if choice["version"]}
    return {row.id: version_label(row) for row in _versions(session, ids).values()}


def model_versions_of_runs(session: Session, keys: Collection[Key]) -> dict[Key, list[dict[str, Any]]]:
    """The registered versions that each run made, with their aliases."""
    found = mlflow_models.versions_of_runs(session, keys)
    return {
        key: [{"name": row.name, "version": row.version, "aliases": row.aliases} for row in rows]
        for key, rows in found.items()
    }


class _Seen:
    """The datasets of an answer: visible, hidden, and what to say of them."""

    def __init__(self, context: Context, ids: Collection[str]) -> None:
        self.reader = Reader(context)
        seen = self.reader.look(sorted(ids))
        self.visible, self.hidden = seen.visible, seen.hidden
        #: Who may see everything also sees what is tied to nothing.
        self.all = self.reader.sees_all

    def keys(self, ties: Iterable[tuple[str, str, str]]) -> set[Key]:
        """The things that are tied to a visible dataset."""
        return {(server, target) for server, target, package_id in ties if package_id in self.visible}

    def dataset(self, package_id: str) -> dict[str, Any]:
        package = self.reader.packages[package_id]
        return {"id": package.id, "name": package.name, "title": package.title or package.name}

    def datasets(self, key: Key, ties: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
        """The visible datasets of a thing, and how many hidden ones there are."""
        own = {package_id for server, target, package_id in ties if (server, target) == key}
        shown = [self.dataset(package_id) for package_id in own & self.visible]
        return {
            "datasets": sorted(shown, key=lambda each: each["title"].casefold()),
            "hidden": len(own & self.hidden),
        }


class _States:
    """Which version of a dataset a link is about, and how far it has gone on since, as itself or as another dataset."""

    def __init__(self, session: Session, ties: Iterable[Link], seen: _Seen) -> None:
        ids = {link.version_id for link in ties if link.version_id and link.package_id in seen.visible}
        self._versions, self._seen = _versions(session, ids), seen
        owners = {row.package_id for row in self._versions.values()}
        self._goes_on_as = newest(seen.reader, owners)
        now = texts(sorted(owners | set(self._goes_on_as.values())))
        query = sa.select(Version).where(Version.current, Version.package_id == sa.any_(now))
        self._current = {row.package_id: row for row in session.scalars(query)}

    def tie(self, link: Link) -> dict[str, Any]:
        version = self._versions.get(link.version_id or "")
        return {
            "relation": link.relation,
            "origin": link.origin,
            "kind": link.kind,
            "evidence": link.evidence,
            "version": _version(version),
            "freshness": self._freshness(link.package_id, version) if version else None,
        }

    def _freshness(self, package_id: str, version: Version) -> dict[str, Any] | None:
        later = self._goes_on_as.get(package_id, "")
        now = later if later in self._current else package_id
        found = freshness(version, self._current.get(now))
        return found and found | {"goes_on_as": self._seen.dataset(now) if now != package_id else None}


def freshness(version: Version, current: Version | None) -> dict[str, Any] | None:
    """How the dataset's current version differs from that one: its name, and which files are not the same."""
    if current is None:
        return None
    listed = [_listed(row) for row in (version, current)]
    opened = listed[0].keys() & listed[1].keys()
    before, after = (
        _files(row, {path: own[path] for path in opened}) for row, own in zip((version, current), listed, strict=True)
    )
    differ = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    folders = sum(path.endswith("/") for path in differ)
    return {
        "current": _version(current),
        "fresh": not differ,
        "files": differ[:100],
        "differ": len(differ) - folders,
        "folders": folders,
    }


def _listed(version: Version) -> dict[str, list[list[Any]]]:
    """Folders of which the repository lists all files: path → (name, hash, size) of each."""
    found = {out["path"]: out for out in version.facts.get("outs") or () if out.get("is_dir") and out.get("path")}
    lists = {path: (out.get("extra") or {}).get("files") or [] for path, out in found.items()}
    return {path: files for path, files in lists.items() if files and len(files) == found[path].get("nfiles")}


def _files(version: Version, opened: Mapping[str, list[list[Any]]]) -> dict[str, str]:
    """Path → what tells its content. A folder that is not ``opened``, with its files, is one thing, ``path/``."""
    found = {}
    for out in version.facts.get("outs") or ():
        path = str(out.get("path", ""))
        if path not in opened:
            found[path + ("/" if out.get("is_dir") else "")] = contents.key(out)
    for path, files in opened.items():
        found |= {f"{path}/{name}": digest or "" for name, digest, _ in files}
    return found


def version_label(version: Version) -> str:
    """How people call a version: by its tag, else its branch where it is the newest, else its commit."""
    named = {kind: [ref["name"] for ref in version.refs if ref.get("kind") == kind] for kind in ("tag", "branch")}
    return str((named["tag"] or named["branch"] or [version.commit[:8]])[-1 if named["tag"] else 0])


def _version(version: Version | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {"id": version.id, "commit": version.commit, "label": version_label(version), "current": version.current}


def _versions(session: Session, ids: Collection[str]) -> dict[str, Version]:
    query = sa.select(Version).where(Version.id == sa.any_(texts(sorted(ids))))
    return {row.id: row for row in session.scalars(query)} if ids else {}


def _version_links(session: Session, server: str, name: str, versions: Iterable[ModelVersion]) -> dict[str, list[Link]]:
    """Version → the links to itself, and to the logged model that it is."""
    query = sa.select(Link).where(
        Link.server == server, Link.kind == "model_version", Link.target.startswith(f"{name}/", autoescape=True)
    )
    found: dict[str, list[Link]] = {}
    for link in session.scalars(query):
        if "/" not in (version := link.target.removeprefix(f"{name}/")):
            found.setdefault(version, []).append(link)
    logged: dict[str, list[str]] = {}
    for row in versions:
        if row.model_id:
            logged.setdefault(row.model_id, []).append(row.version)
    own = (Link.server == server, Link.kind == "logged_model", Link.target.in_(list(logged)))
    for link in session.scalars(sa.select(Link).where(*own)) if logged else ():
        for version in logged[link.target]:
            found.setdefault(version, []).append(link)
    return found


def _own(found: Mapping[str, Any]) -> list[str] | None:
    if not found.get("id"):
        return None
    package = model.Package.get(found["id"])
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    return [package.id]


def _declared(session: Session, found: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    own, ties = _own(found), set()
    for server in [found["server"]] if found.get("server") else list(_servers_of_declared(session)):
        for item in links.all_declared(session, server):
            row = facts.experiment_named(session, server, item.experiment)
            if row and (own is None or item.package_id in own):
                ties.add((server, row.experiment_id, item.package_id))
    return ties


def _servers_of_declared(session: Session) -> set[str]:
    value = model.Package.extras["mlflow_server"].astext
    query = sa.select(value).distinct().where(value.is_not(None), model.Package.state == "active")
    return {name for name in session.scalars(query) if name}


def _chosen(session: Session, found: Mapping[str, Any], visible: set[Key], kind: str) -> tuple[int, list[Key]]:
    """A page of the things that are asked for: the visible ones, or all of the servers."""
    server, text = found.get("server") or "", (found.get("q") or "").strip()
    limit, offset = found["limit"], found["offset"]
    if found.get("all"):
        count, targets = link_targets.find(session, kind, server=server, text=text, limit=limit, offset=offset)
        return count, [(each.server, each.target) for each in targets]
    table: Any = facts.experiments if kind == "experiment" else mlflow_models.registered_models
    known = table(session, {key for key in visible if not server or key[0] == server})
    named = [(row.name.casefold(), key) for key, row in known.items() if text.casefold() in row.name.casefold()]
    return len(named), [key for _, key in sorted(named)[offset : offset + limit]]
