"""What is known of each node of a lineage graph, for a reader who may see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from ckanext.mlops.catalog.datasets import format_of
from ckanext.mlops.logic.lineage_models import Tracked, some
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.logic.versions import metric_values, params
from ckanext.mlops.model.lineage import rows_of, texts
from ckanext.mlops.model.moments import Moment, version_of
from ckanext.mlops.model.nodes import EXTERNAL, MODELS, dataset_of, kind_of, parts
from ckanext.mlops.model.tables import Version

MAX_COMMAND = 2000
MAX_OUTPUTS = 20
_ORDER = ("dataset", "step", "file", "external", "run", "logged_model", "registered_model", "model")
_RANK = {kind: number for number, kind in enumerate(_ORDER)}


class States:
    """The versions that some datasets show at a moment: ids, commits and facts."""

    def __init__(self, session: Session, datasets: Iterable[str], moment: Moment | None) -> None:
        given = rows_of(datasets)
        rows = session.execute(
            sa.select(given.c.value, Version.id, Version.commit, Version.facts).join_from(
                given, Version, Version.id == version_of(moment, given.c.value)
            )
        )
        self.rows: dict[str, Any] = {row[0]: row for row in rows}

    def facts(self, dataset: str) -> Mapping[str, Any]:
        """The stage record; empty when the dataset was not there."""
        row = self.rows.get(dataset)
        return row.facts if row is not None else {}

    def out(self, dataset: str, path: str) -> Mapping[str, Any]:
        """One of its outputs."""
        return next((out for out in self.facts(dataset).get("outs") or () if out.get("path") == path), {})


def commands(session: Session, moment: Moment | None, datasets: Iterable[str]) -> set[str]:
    """Those of the datasets that a command made, at the moment."""
    given = rows_of(datasets)
    rows = session.scalars(
        sa.select(given.c.value)
        .join_from(given, Version, Version.id == version_of(moment, given.c.value))
        .where(sa.func.coalesce(Version.facts["command"].astext, "") != "")
    )
    return set(rows)


def nodes(
    reader: Reader,
    places: Mapping[str, dict[str, Any]],
    edges: list[dict[str, Any]],
    moment: Moment | None,
    *,
    brief: bool,
) -> list[dict[str, Any]]:
    """The nodes, nearest first, each with its place and what is known of it."""
    datasets = {each for each in map(dataset_of, places) if each and each in reader.packages}
    if brief:
        found = [_brief(reader, key, place) for key, place in places.items()]
        found.sort(key=lambda node: (node["distance"], _RANK[node["kind"]], node["title"].casefold(), node["id"]))
        return found
    states = States(reader.session, datasets, moment)
    stale = _stale(reader, states, edges)
    writer = _Datasets(reader, states, stale, datasets, moment)
    tracked = Tracked(reader, places)
    labels = {edge["upstream"]: edge["label"] for edge in edges if edge["label"]}
    found = []
    for key, place in places.items():
        kind = kind_of(key)
        if kind in ("run", *MODELS):
            facts = tracked.node(key, kind)
        elif kind == "external":
            facts = _external(key, labels.get(key, ""))
        else:
            facts = writer.node(key, kind)
        found.append({"id": key, "kind": kind} | facts | place)
    found.sort(key=lambda node: (node["distance"], _RANK[node["kind"]], node["title"].casefold(), node["id"]))
    return found


def _brief(reader: Reader, key: str, place: dict[str, Any]) -> dict[str, Any]:
    package = reader.packages.get(key)
    if package is not None:  # a dataset, as nearly all nodes of a large graph are
        name = package.name
        return {"id": key, "kind": "dataset", "name": name, "title": package.title or name, **place}
    kind = kind_of(key)
    dataset = dataset_of(key)
    package = reader.packages.get(dataset) if dataset else None
    name = package.name if package is not None else parts(key)[-1]
    title = (package.title or package.name) if package is not None else name
    node = {"id": key, "kind": kind, "name": name, "title": title, **place}
    if kind == "file":
        node["path"] = node["title"] = parts(key)[1]
    return node


class _Datasets:
    """Nodes that are datasets, or their files and steps."""

    def __init__(
        self,
        reader: Reader,
        states: States,
        stale: Mapping[str, list[dict[str, Any]]],
        datasets: Iterable[str],
        moment: Moment | None,
    ) -> None:
        self.reader, self.states, self.stale, self.moment = reader, states, stale, moment
        ids = sorted(datasets)
        package, group = model.Package, model.Group
        rows = reader.session.execute(
            sa.select(package.id, package.extras, group.title, group.name)
            .join(group, group.id == package.owner_org, isouter=True)
            .where(package.id == sa.any_(texts(ids)))
        )
        self.fields = {row.id: (row.extras or {}, row.title or row.name or "") for row in rows}
        self.kinds = roles(reader.session, ids)

    def node(self, key: str, kind: str) -> dict[str, Any]:
        """What the node has besides its id, kind and place."""
        dataset = dataset_of(key) or ""
        package = self.reader.packages[dataset]
        fields, organization = self.fields.get(dataset, ({}, ""))
        kinds = self.kinds.get(dataset, {})
        row = self.states.rows.get(dataset)
        facts = self.states.facts(dataset)
        title = package.title or package.name
        now = self.moment is None
        node = {
            "role": role(fields, kinds),
            "name": package.name,
            "title": title,
            "dataset": package.name,
            "dataset_title": title,
            "url": tk.url_for("dataset.read", id=package.name, qualified=True),
            "organization": organization,
            "stage": fields.get("dvc_stage", ""),
            "revision": fields.get("dvc_revision", "") if now else self.moment.ref if row is not None else "",  # type: ignore[union-attr]
            "commit": fields.get("dvc_commit", "") if now or row is None else row.commit,
            "command": str(facts.get("command") or (fields.get("dvc_command", "") if now else ""))[:MAX_COMMAND],
            "retired": fields.get("dvc_retired", ""),
            "private": bool(package.private),
            "files": sum(kinds.values()),
            "version": None if row is None else row.id,
            "stale": self.stale.get(dataset) or False,
        }
        if kind == "file":
            path = parts(key)[1]
            out = self.states.out(dataset, path)
            return node | {
                "role": _FILE_ROLES.get(str(out.get("kind") or ""), node["role"]) if out else node["role"],
                "title": path,
                **_file(out, path),
            }
        if kind == "step":
            node |= {"role": "step", "title": str(fields.get("dvc_stage") or title)}
        return node | {
            "params": some(params(facts)),
            "metrics": some(metric_values(facts)),
            "outputs": [
                {key: each[key] for key in ("path", "hash", "size")}
                for each in (_file(out, str(out.get("path", ""))) for out in (facts.get("outs") or ())[:MAX_OUTPUTS])
            ],
        }


_FILE_ROLES = {"model": "model", "metrics": "metrics", "plots": "metrics"}


def _file(out: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {
        "path": path,
        "hash": out.get("hash") or out.get("blob") or None,
        "algorithm": out.get("algorithm") or ("git" if out.get("blob") and not out.get("hash") else ""),
        "size": out.get("size"),
        "format": "" if out.get("is_dir") else format_of(path),
    }


def _stale(reader: Reader, states: States, edges: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Dataset → its inputs that are newer than what it was built from: the hash that was read is not there any more."""
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for edge in edges:
        upstream, downstream = dataset_of(edge["upstream"]), dataset_of(edge["downstream"])
        if not upstream or not downstream or not edge["hash"] or edge["origin"] != "harvested":
            continue
        if edge["evidence"].get("output", edge["path"]) != edge["path"]:
            continue  # a part of a folder: its own hash is not known
        newest = str(states.out(upstream, edge["path"]).get("hash") or "")
        if newest and newest != edge["hash"] and len(newest) == len(edge["hash"]):
            package = reader.packages[upstream]
            found.setdefault(downstream, {})[upstream, edge["path"]] = {
                "id": upstream,
                "title": package.title or package.name,
                "path": edge["path"],
                "used": edge["hash"],
                "newest": newest,
            }
    return {key: list(each.values()) for key, each in found.items()}


def _external(key: str, label: str) -> dict[str, Any]:
    uri = key.removeprefix(EXTERNAL)
    return {
        "role": "source",
        "name": uri,
        "title": label or uri,
        "url": uri if is_web_address(uri) else "",
    }


def is_web_address(uri: str) -> bool:
    """Whether ``uri`` may become a link: http or https with a host."""
    try:
        parts_of = urlsplit(uri)
    except ValueError:
        return False
    return parts_of.scheme in ("http", "https") and bool(parts_of.hostname)


def role(fields: Mapping[str, Any], kinds: Mapping[str, int]) -> str:
    """What a dataset is to data people: ``model``, ``metrics``, ``raw`` (tracked, no command made it) or ``data``."""
    if kinds.get("model"):
        return "model"
    if kinds and kinds.keys() <= {"metrics", "plots"}:
        return "metrics"
    return "raw" if fields.get("dvc_stage") and not fields.get("dvc_command") else "data"


def roles(session: Session, ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """How many live resources of each ``dvc_kind`` each dataset has."""
    resource = model.Resource
    kind = sa.func.coalesce(sa.cast(resource.extras, sa.UnicodeText).cast(JSONB)["dvc_kind"].astext, "")
    rows = session.execute(
        sa.select(resource.package_id, kind.label("kind"), sa.func.count().label("files"))
        .where(resource.package_id == sa.any_(texts(ids)), resource.state == "active")
        .group_by(resource.package_id, kind)
    )
    result: dict[str, dict[str, int]] = {}
    for row in rows:
        result.setdefault(row.package_id, {})[row.kind] = row.files
    return result
