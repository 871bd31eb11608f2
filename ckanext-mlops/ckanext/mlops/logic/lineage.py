"""Lineage as a reader may see it: the nodes and edges of ``mlops_lineage_show``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from ckan import authz, model
from ckan.lib.plugins import get_permission_labels
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from ckanext.mlops.model.closure import EXTERNAL, Closure, Seen, Side, closure, edges_between
from ckanext.mlops.model.lineage import texts

SIDES: dict[str, tuple[Side, ...]] = {
    "both": ("upstream", "downstream"),
    "upstream": ("upstream",),
    "downstream": ("downstream",),
}
MAX_COMMAND = 2000


class Reader:
    """Tells which datasets the user of ``context`` may see, many at once, by CKAN's permission labels.

    These decide in ``package_show`` and in the search as well, so a plugin that changes them changes all three.
    Datasets that were looked at stay in ``packages``.
    """

    def __init__(self, context: Context) -> None:
        self.session = context["session"]()
        self.packages: dict[str, model.Package] = {}
        self._rules = get_permission_labels()
        self._labels: set[str] | None = None
        if not (context.get("ignore_auth") or authz.is_sysadmin(context.get("user"))):
            self._labels = set(self._rules.get_user_dataset_labels(context.get("auth_user_obj")))

    def look(self, ids: Sequence[str]) -> Seen:
        """The live ones of the datasets ``ids``: visible or hidden."""
        query = sa.select(model.Package).where(model.Package.id == sa.any_(texts(ids)), model.Package.state == "active")
        live = {package.id: package for package in self.session.scalars(query)}
        visible = {key: package for key, package in live.items() if self._may_see(package)}
        self.packages |= visible
        return Seen(frozenset(visible), frozenset(live.keys() - visible.keys()))

    def _may_see(self, package: model.Package) -> bool:
        return self._labels is None or not self._labels.isdisjoint(self._rules.get_dataset_labels(package))


def graph(context: Context, focus: model.Package, *, direction: str, depth: int, max_nodes: int) -> dict[str, Any]:
    """The answer of ``mlops_lineage_show`` for the dataset ``focus``, which the user may see."""
    reader = Reader(context)
    reader.packages[focus.id] = focus
    around = closure(
        reader.session, focus.id, sides=SIDES[direction], depth=depth, max_nodes=max_nodes, look=reader.look
    )
    shown = around.nodes
    rows = edges_between(reader.session, shown)
    packages = [package for key, package in reader.packages.items() if key in shown]
    roles = _roles(reader.session, [package.id for package in packages])
    nodes = [_dataset(package, around, roles.get(package.id, {})) for package in packages]
    labels: dict[str, str] = {}
    for row in rows:
        if row.upstream_uri:
            labels[row.upstream] = labels.get(row.upstream) or row.upstream_label
    nodes += [_external(key, label, around) for key, label in labels.items()]
    nodes.sort(key=lambda node: (node["distance"], node["kind"], node["title"].casefold(), node["id"]))
    return {
        "focus": focus.id,
        "direction": direction,
        "depth": depth,
        "max_nodes": max_nodes,
        "nodes": nodes,
        "edges": [_edge(row) for row in rows],
        "hidden": len(around.hidden),
        "absent": len(around.absent),
        "truncated": around.truncated,
    }


def _dataset(package: model.Package, around: Closure, kinds: dict[str, int]) -> dict[str, Any]:
    fields = package.extras or {}
    return {
        "id": package.id,
        "kind": "dataset",
        "role": _role(fields, kinds),
        "name": package.name,
        "title": package.title or package.name,
        "url": tk.url_for("dataset.read", id=package.name, qualified=True),
        **_place(package.id, around),
        "stage": fields.get("dvc_stage", ""),
        "revision": fields.get("dvc_revision", ""),
        "commit": fields.get("dvc_commit", ""),
        "command": fields.get("dvc_command", "")[:MAX_COMMAND],
        "retired": fields.get("dvc_retired", ""),
        "private": bool(package.private),
        "files": sum(kinds.values()),
    }


def _external(key: str, label: str, around: Closure) -> dict[str, Any]:
    uri = key.removeprefix(EXTERNAL)
    return {
        "id": key,
        "kind": "external",
        "role": "source",
        "name": uri,
        "title": label or uri,
        "url": uri if is_web_address(uri) else "",
        **_place(key, around),
    }


def _place(key: str, around: Closure) -> dict[str, Any]:
    up, down = around.upstream.get(key), around.downstream.get(key)
    distances = [distance for distance in (up, down) if distance is not None]
    return {
        "distance": 0 if key == around.start else min(distances),
        "upstream_distance": up,
        "downstream_distance": down,
        "more": {side: key in around.more[side] for side in SIDES["both"]},
    }


def _edge(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "upstream": row.upstream,
        "downstream": row.downstream_dataset,
        "origin": row.origin,
        "path": row.path,
        "hash": row.hash,
        "resource": row.upstream_resource,
        "label": row.upstream_label,
        "evidence": row.evidence,
        "version": row.version_id,
        "total": row.total,
        "first_seen": row.first_seen.isoformat(),
        "last_seen": row.last_seen.isoformat(),
    }


def is_web_address(uri: str) -> bool:
    """Whether ``uri`` may become a link: http or https with a host."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _role(fields: dict[str, str], kinds: dict[str, int]) -> str:
    """What a dataset is to data people: ``model``, ``metrics``, ``raw`` (tracked, no command made it) or ``data``."""
    if kinds.get("model"):
        return "model"
    if kinds and kinds.keys() <= {"metrics", "plots"}:
        return "metrics"
    return "raw" if fields.get("dvc_stage") and not fields.get("dvc_command") else "data"


def _roles(session: Session, ids: Iterable[str]) -> dict[str, dict[str, int]]:
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
