"""The graph of datasets, outside sources, runs and models: neighbours and edges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.model import model_names
from ckanext.mlops.model.closure import Look
from ckanext.mlops.model.lineage import rows_of, texts
from ckanext.mlops.model.moments import Moment, holds
from ckanext.mlops.model.nodes import EXTERNAL, KINDS, MODEL_URI, MODELS, Side, kind_of
from ckanext.mlops.model.tables import Edge
from ckanext.mlops.model.tracking import ANY_LINK, Tracking

EDGES_PER_PAIR = 20
_MODEL_NAME = EXTERNAL + MODEL_URI
upstream_node = sa.func.coalesce(Edge.upstream_dataset, EXTERNAL + Edge.upstream_uri)


# What DatasetGraph._walk builds for now, written out: putting it together takes as long as its answer.
_WALK = """
    WITH RECURSIVE walk(node, depth) AS (
        SELECT unnest(CAST(:starts AS text[])), 0
        UNION
        SELECT {far}, walk.depth + 1 FROM walk JOIN mlops_edge edge ON edge.{near} = walk.node
        WHERE edge.current AND walk.depth < :depth
    )
    SELECT node, depth, EXISTS (SELECT FROM mlops_link WHERE kind <> 'experiment') AS used FROM walk LIMIT :limit
"""
_WALK_NOW = {
    "upstream": sa.text(
        _WALK.format(far="coalesce(edge.upstream_dataset, 'external:' || edge.upstream_uri)", near="downstream_dataset")
    ),
    "downstream": sa.text(_WALK.format(far="edge.downstream_dataset", near="upstream_dataset")),
}


class DatasetGraph:
    """What leads to what, dataset by dataset, at a moment (None: now)."""

    def __init__(self, session: Session, moment: Moment | None = None, max_runs: int | None = None) -> None:
        self.session = session
        self.moment = moment
        self.holds = holds(moment)
        self.tracking = Tracking(session, moment, max_runs)

    def neighbours(self, side: Side, frontier: Sequence[str], limit: int) -> tuple[list[str], bool]:
        """See :class:`.closure.Graph`."""
        kinds = by_kind(frontier)
        found = self._near(side, kinds, limit)
        cut = len(found) >= limit
        if side == "upstream":
            models = named_models(self.session, found)
            found = list(dict.fromkeys(models.get(key, key) for key in found))
        others = {far for _, far in tracked(self.tracking, side, kinds)}
        return [*found, *sorted(others.difference(found))], cut

    def levels(self, side: Side, starts: Sequence[str], depth: int, limit: int) -> list[list[str]]:
        """See :class:`.closure.Graph`."""
        if not starts or not all(kind_of(key) == "dataset" for key in starts):
            return []
        if self.moment is None:
            given: Any = {"starts": list(starts), "depth": depth, "limit": limit}
            rows: Sequence[Any] = self.session.execute(_WALK_NOW[side], given).all()
        else:
            rows = self.session.execute(self._walk(side, starts, depth).limit(limit)).all()
        self.tracking.used = rows[0].used
        levels: list[list[str]] = [[] for _ in range(depth)]
        began = set(starts)
        seen = set(began)
        for node, distance, _ in rows:  # each once at a distance, the nearest first
            if node not in seen or (node in began and distance):
                levels[distance - 1].append(node)
                seen.add(node)
        # The last level of a walk that was cut is not complete; what has runs or models goes on by other ways, too.
        complete = rows[-1].depth - 1 if len(rows) >= limit else depth
        if self.tracking.used:
            near_runs = {near for near, _ in self.tracking.of_datasets(side, seen)}
            at = [0] if near_runs & began else []
            at += [number for number, level in enumerate(levels, 1) if not near_runs.isdisjoint(level)]
            complete = min([complete, *at])
        named = (number for number, level in enumerate(levels) for key in level if key.startswith(_MODEL_NAME))
        complete = min(complete, next(named, complete))
        return [_datasets_first(level) for level in levels[:complete]]

    def _walk(self, side: Side, starts: Sequence[str], depth: int) -> sa.Select[Any]:
        far = upstream_node if side == "upstream" else Edge.downstream_dataset
        near = Edge.downstream_dataset if side == "upstream" else Edge.upstream_dataset
        given = rows_of(starts)
        walk = sa.select(given.c.value.label("node"), sa.literal(0).label("depth")).cte("walk", recursive=True)
        step = sa.select(far, walk.c.depth + 1).where(near == walk.c.node, self.holds, walk.c.depth < depth)
        walk = walk.union(step)
        return sa.select(walk.c.node, walk.c.depth, ANY_LINK.label("used"))

    def with_more(self, side: Side, nodes: set[str], met: set[str]) -> set[str]:
        """See :class:`.closure.Graph`."""
        kinds = by_kind(nodes)
        near, far = (
            (Edge.downstream_dataset, upstream_node)
            if side == "upstream"
            else (Edge.upstream_dataset, Edge.downstream_dataset)
        )
        node = sa.func.unnest(texts(kinds["dataset"])).column_valued("node")
        known = met | {EXTERNAL + uri for uri in model_names.uris(self.session, met)}
        exists = sa.exists().where(near == node, self.holds, far != sa.all_(texts(known)))
        more = set(self.session.scalars(sa.select(node).where(exists))) if kinds["dataset"] else set()
        return more | {near for near, far in tracked(self.tracking, side, kinds) if far not in met}

    def unseen(self, keys: Sequence[str], look: Look) -> set[str]:
        """See :class:`.closure.Graph`."""
        return self.tracking.unseen(keys, look)

    @property
    def left_out(self) -> Mapping[Side, Mapping[str, int]]:
        """See :class:`.closure.Graph`."""
        return self.tracking.left_out

    def edges_between(self, nodes: Iterable[str]) -> list[sa.Row[Any]]:
        """The edges among datasets and outside sources, at most :data:`EDGES_PER_PAIR` of one origin between two nodes.

        Rows have the columns of :class:`Edge`, ``upstream`` (the node) and ``total`` (edges of that origin between the
        two); ordered by downstream, upstream, origin, path.
        """
        keys = set(nodes)
        models = model_names.uris(self.session, keys)
        wanted = [
            *(key for key in keys if kind_of(key) in ("dataset", "external")),
            *(EXTERNAL + uri for uri in models),
        ]
        pair = (Edge.downstream_dataset, upstream_node, Edge.origin)
        inner = (
            sa.select(
                *Edge.__table__.columns,
                upstream_node.label("upstream"),
                sa.func.count().over(partition_by=pair).label("total"),
                sa.func.row_number().over(partition_by=pair, order_by=(Edge.path, Edge.id)).label("place"),
            )
            .where(
                Edge.downstream_dataset == sa.any_(texts(key for key in keys if kind_of(key) == "dataset")),
                self.holds,
                upstream_node == sa.any_(texts(wanted)),
            )
            .subquery()
        )
        columns = inner.c
        return list(
            self.session.execute(
                sa.select(inner)
                .where(columns.place <= EDGES_PER_PAIR)
                .order_by(columns.downstream_dataset, columns.upstream, columns.origin, columns.path, columns.id)
            )
        )

    def pairs_between(self, nodes: Iterable[str]) -> list[tuple[str, str, str]]:
        """(upstream, downstream, origin) of the edges among datasets and outside sources, each once."""
        keys = set(nodes)
        # Joined: PostgreSQL plans a list of thousands of ids for longer than it reads their edges.
        given = rows_of(key for key in keys if kind_of(key) == "dataset")
        pairs = (
            sa.select(upstream_node.label("upstream"), Edge.downstream_dataset.label("downstream"), Edge.origin)
            .join_from(given, Edge, Edge.downstream_dataset == given.c.value)
            .where(self.holds)
            .distinct()
            .subquery()
        )
        # Three lists of texts, not tens of thousands of rows, which Python's garbage collection would all visit.
        columns = (sa.func.array_agg(column, type_=sa.types.NULLTYPE) for column in pairs.c)
        upstream, downstream, origins = (each or [] for each in self.session.execute(sa.select(*columns)).one())
        models = named_models(self.session, set(upstream))
        if models:
            upstream = [models.get(key, key) for key in upstream]
        found = [each for each in zip(upstream, downstream, origins, strict=True) if each[0] in keys]
        return list(dict.fromkeys(found)) if models else found

    def ends(self, nodes: Iterable[str]) -> tuple[list[str], list[str]]:
        """The nodes that are datasets, and those that links lead to."""
        kinds = by_kind(nodes)
        return kinds["dataset"], [key for kind in ("run", *MODELS) for key in kinds[kind]]

    def _near(self, side: Side, kinds: dict[str, list[str]], limit: int) -> list[str]:
        datasets, uris = kinds["dataset"], [key.removeprefix(EXTERNAL) for key in kinds["external"]]
        if side == "downstream":
            if not datasets and not uris:
                return []
            near = Edge.upstream_dataset == sa.any_(texts(datasets))
            if uris:
                near = sa.or_(near, Edge.upstream_uri == sa.any_(texts(uris)))
            statement = sa.select(Edge.downstream_dataset).where(near, self.holds).distinct()
            return list(self.session.scalars(statement.order_by(Edge.downstream_dataset).limit(limit)))
        if not datasets:
            return []
        pairs = (
            sa.select(Edge.upstream_dataset, Edge.upstream_uri)
            .where(Edge.downstream_dataset == sa.any_(texts(datasets)), self.holds)
            .distinct()
            .order_by(Edge.upstream_dataset, Edge.upstream_uri)
            .limit(limit)
        )
        return [row.upstream_dataset or EXTERNAL + row.upstream_uri for row in self.session.execute(pairs)]


def _datasets_first(keys: Iterable[str]) -> list[str]:
    order = sorted(keys)
    others = [key for key in order if ":" in key]
    return [key for key in order if ":" not in key] + others if others else order


def by_kind(keys: Iterable[str]) -> dict[str, list[str]]:
    """The nodes of each kind."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for key in keys:
        found[kind_of(key)].append(key)
    return found


def tracked(tracking: Tracking, side: Side, kinds: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(node, neighbour) by way of MLflow."""
    found = tracking.of_datasets(side, kinds["dataset"]) if kinds["dataset"] else []
    others = [key for kind in ("run", *MODELS) for key in kinds[kind]]
    return [*found, *tracking.of_targets(side, others)] if others else found


def named_models(session: Session, keys: Iterable[str]) -> dict[str, str]:
    """Those of the nodes that are outside sources which people name as models: the known model of each."""
    uris = {key.removeprefix(EXTERNAL) for key in keys if key.startswith(_MODEL_NAME)}
    return {EXTERNAL + uri: key for uri, key in model_names.named(session, uris).items()} if uris else {}
