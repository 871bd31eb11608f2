"""What is missing in an organization's catalog: outputs without owner, licence, path to a raw source, or consumer."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context

from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model.closure import closure
from ckanext.mlops.model.datasetgraph import DatasetGraph
from ckanext.mlops.model.lineage import rows_of, texts
from ckanext.mlops.model.nodes import kind_of
from ckanext.mlops.model.tables import Edge, Link
from ckanext.mlops.model.tracking import LINKED, PRODUCED

MAX_DATASETS = 5000
MAX_NODES = 20_000
GAPS = ("owner", "licence", "source", "consumer")
_NO_LICENCE = ("", "notspecified")


def answer(context: Context, organization: model.Group, *, limit: int) -> dict[str, Any]:
    """The answer of ``mlops_lineage_coverage``."""
    reader = Reader(context)
    package = model.Package
    rows = reader.session.execute(
        sa.select(
            package.id,
            package.name,
            package.title,
            package.maintainer,
            package.author,
            sa.column("license_id"),
            package.extras["dvc_command"].astext.label("command"),
            package.extras["dvc_stage"].astext.label("stage"),
        )
        .where(package.owner_org == organization.id, package.state == "active", package.type != "harvest")
        .order_by(package.name)
        .limit(MAX_DATASETS + 1)
    ).all()
    truncated = len(rows) > MAX_DATASETS
    rows = rows[:MAX_DATASETS]
    seen = reader.look([row.id for row in rows])
    shown = [row for row in rows if row.id in seen.visible]
    ids = [row.id for row in shown]
    sourced, cut = _sourced(reader, ids)
    used = _used(reader, ids)
    missing: dict[str, list[Any]] = {
        "owner": [row for row in shown if not (row.maintainer or row.author)],
        "licence": [row for row in shown if (row.license_id or "") in _NO_LICENCE],
        "source": [row for row in shown if row.id not in sourced],
        "consumer": [row for row in shown if row.id not in used],
    }
    complete = len(shown) - len({row.id for each in missing.values() for row in each})
    return {
        "organization": organization.name,
        "count": len(shown),
        "complete": complete,
        "hidden": len(seen.hidden),
        "truncated": truncated or cut,
        "gaps": {
            gap: {
                "count": len(missing[gap]),
                "results": [{"id": row.id, "name": row.name, "title": row.title or row.name} for row in each[:limit]],
            }
            for gap, each in missing.items()
        },
    }


def _sourced(reader: Reader, ids: list[str]) -> tuple[set[str], bool]:
    """Those of the datasets that lead back to raw data (tracked, made by no command) or to an outside source.

    What lies behind a dataset that the reader may not see is not known to be missing.
    """
    graph = DatasetGraph(reader.session)
    around = closure(graph, ids, sides=("upstream",), depth=100, max_nodes=MAX_NODES, look=reader.look, beyond=False)
    nodes = around.nodes
    package = model.Package
    raw = set(
        reader.session.scalars(
            sa.select(package.id).where(
                package.id == sa.any_(texts(key for key in nodes if kind_of(key) == "dataset")),
                sa.func.coalesce(package.extras["dvc_stage"].astext, "") != "",
                sa.func.coalesce(package.extras["dvc_command"].astext, "") == "",
            )
        )
    )
    raw |= {key for key in nodes if kind_of(key) == "external"} | around.hidden
    down: dict[str, list[str]] = {}
    # Edges from what may not be seen count as well: what lies behind it is not known to be missing.
    for upstream, downstream, _ in graph.pairs_between(nodes | around.hidden):
        down.setdefault(upstream, []).append(downstream)
    for tie in graph.tracking.ties(*graph.ends(nodes | around.hidden)):
        down.setdefault(tie.upstream, []).append(tie.downstream)
    reached, waiting = set(raw), list(raw)
    while waiting:
        for key in down.get(waiting.pop(), ()):
            if key not in reached:
                reached.add(key)
                waiting.append(key)
    return reached, around.truncated


def _used(reader: Reader, ids: list[str]) -> set[str]:
    """Those of the datasets that another live dataset, a run or a model uses."""
    given = rows_of(ids)
    package = model.Package
    by_dataset = sa.exists().where(
        Edge.upstream_dataset == given.c.value,
        Edge.current,
        Edge.downstream_dataset != given.c.value,
        package.id == Edge.downstream_dataset,
        package.state == "active",
    )
    tracked = (Link.kind.in_(LINKED), Link.relation != PRODUCED)
    by_run = sa.exists().where(Link.package_id == given.c.value, *tracked)
    return set(reader.session.scalars(sa.select(given.c.value).where(sa.or_(by_dataset, by_run))))


def organization_of(text: str) -> model.Group:
    """The organization of that id or name.

    :raises ckan.logic.NotFound: there is none
    """
    group = model.Group.get(text)
    if group is None or not group.is_organization or group.state != "active":
        raise tk.ObjectNotFound(tk._("Organization not found"))
    return group
