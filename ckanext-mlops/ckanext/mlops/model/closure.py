"""What a dataset was made from and what was made from it: bounded reading of the edge store.

The walk goes breadth first, one statement per step and direction. Every statement starts at the nodes that the
previous step found and reads their edges by index, at most as many as the answer may still hold, and every node is
expanded once. So the cost follows the size of the answer and not of the graph; cycles, self-loops and diamonds end by
themselves. A single recursive statement would not do: PostgreSQL forgets a node only together with its distance, so it
would expand a node again at every distance at which a cycle or diamond reaches it, and the reader's permissions, which
decide where the walk ends, are Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Edge

Side = Literal["upstream", "downstream"]
EXTERNAL = "external:"
EDGES_PER_PAIR = 20
_SPARE = 1000
_upstream = sa.func.coalesce(Edge.upstream_dataset, EXTERNAL + Edge.upstream_uri)


@dataclass(frozen=True, slots=True)
class Seen:
    """Which of some datasets the reader may see; ``hidden`` exist but are not theirs to see, the others are absent."""

    visible: frozenset[str]
    hidden: frozenset[str]


@dataclass(slots=True)
class Closure:
    """The nodes around a dataset. A node is a dataset's id, or ``external:`` and the URI of an outside source.

    :param upstream: distance of each node that the dataset was made from, in steps; the dataset itself is not in it,
        unless it is part of a cycle
    :param downstream: distance of each dataset that was made from it
    :param hidden: datasets that the walk met and the reader may not see; it does not go on behind them
    :param absent: datasets that the walk met and that are not in the portal (deleted, draft, not harvested yet)
    :param truncated: there are more nodes within the depth than ``max_nodes``; ``hidden`` and ``absent`` are then a
        lower bound
    :param more: nodes with neighbours beyond the answer, per direction
    """

    start: str
    upstream: dict[str, int] = field(default_factory=dict)
    downstream: dict[str, int] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    truncated: bool = False
    more: dict[Side, set[str]] = field(default_factory=lambda: {"upstream": set(), "downstream": set()})

    @property
    def nodes(self) -> set[str]:
        """All visible nodes, the start included."""
        return {self.start, *self.upstream, *self.downstream}


def closure(
    session: Session,
    start: str,
    *,
    sides: Sequence[Side],
    depth: int,
    max_nodes: int,
    look: Callable[[Sequence[str]], Seen],
) -> Closure:
    """The nodes within ``depth`` steps of the dataset ``start``, nearest first, at most ``max_nodes`` with it.

    The same graph and reader give the same answer: nodes of equal distance are taken in the order of their ids,
    datasets before outside sources, upstream before downstream. ``look`` says which datasets the reader may see.
    """
    result = Closure(start)
    nodes = {start}
    frontiers: dict[Side, list[str]] = {side: [start] for side in sides}
    for distance in range(1, depth + 1):
        for side in sides:
            found = result.upstream if side == "upstream" else result.downstream
            known = {start, *found} | result.hidden | result.absent
            limit = max_nodes - len(nodes) + len(known) + _SPARE
            neighbours = _neighbours(session, side, frontiers[side], limit)
            fresh = _admitted(result, [key for key in neighbours if key not in known], look)
            room = max_nodes - len(nodes)
            taken = []
            for key in fresh:
                if key not in nodes:
                    if room == 0:
                        continue
                    room -= 1
                    nodes.add(key)
                taken.append(key)
            found |= dict.fromkeys(taken, distance)
            if start in neighbours:
                found.setdefault(start, distance)
            if len(taken) < len(fresh) or len(neighbours) == limit:
                result.truncated = True
                result.more[side].update(frontiers[side])
            frontiers[side] = [key for key in taken if not key.startswith(EXTERNAL)]
        if result.truncated or not any(frontiers.values()):
            break
    for side in sides:
        result.more[side] = _with_more(session, side, result.more[side].union(frontiers[side]), result)
    return result


def edges_between(session: Session, nodes: Iterable[str]) -> list[sa.Row[Any]]:
    """The current edges among ``nodes``, at most :data:`EDGES_PER_PAIR` of one origin between two nodes.

    Rows have the columns of :class:`Edge`, ``upstream`` (the node) and ``total`` (edges of that origin between the
    two); ordered by downstream, upstream, origin, path.
    """
    keys = set(nodes)
    datasets = [key for key in keys if not key.startswith(EXTERNAL)]
    pair = (Edge.downstream_dataset, _upstream, Edge.origin)
    inner = (
        sa.select(
            *Edge.__table__.columns,
            _upstream.label("upstream"),
            sa.func.count().over(partition_by=pair).label("total"),
            sa.func.row_number().over(partition_by=pair, order_by=(Edge.path, Edge.id)).label("place"),
        )
        .where(Edge.downstream_dataset == sa.any_(texts(datasets)), Edge.current, _upstream == sa.any_(texts(keys)))
        .subquery()
    )
    columns = inner.c
    return list(
        session.execute(
            sa.select(inner)
            .where(columns.place <= EDGES_PER_PAIR)
            .order_by(columns.downstream_dataset, columns.upstream, columns.origin, columns.path, columns.id)
        )
    )


def _admitted(result: Closure, keys: list[str], look: Callable[[Sequence[str]], Seen]) -> list[str]:
    """Those of ``keys`` that the reader may see; the others are counted in ``result``."""
    datasets = [key for key in keys if not key.startswith(EXTERNAL)]
    seen = look(datasets) if datasets else Seen(frozenset(), frozenset())
    result.hidden |= seen.hidden
    result.absent.update(key for key in datasets if key not in seen.visible and key not in seen.hidden)
    return [key for key in keys if key.startswith(EXTERNAL) or key in seen.visible]


def _neighbours(session: Session, side: Side, frontier: list[str], limit: int) -> list[str]:
    """Nodes one step from ``frontier``, each once: datasets by id, then outside sources by URI."""
    if not frontier:
        return []
    if side == "downstream":
        statement = (
            sa.select(Edge.downstream_dataset)
            .where(Edge.upstream_dataset == sa.any_(texts(frontier)), Edge.current)
            .distinct()
            .order_by(Edge.downstream_dataset)
            .limit(limit)
        )
        return list(session.scalars(statement))
    pairs = (
        sa.select(Edge.upstream_dataset, Edge.upstream_uri)
        .where(Edge.downstream_dataset == sa.any_(texts(frontier)), Edge.current)
        .distinct()
        .order_by(Edge.upstream_dataset, Edge.upstream_uri)
        .limit(limit)
    )
    return [row.upstream_dataset or EXTERNAL + row.upstream_uri for row in session.execute(pairs)]


def _with_more(session: Session, side: Side, nodes: set[str], result: Closure) -> set[str]:
    """Those of ``nodes`` that have a neighbour which the walk did not meet."""
    if not nodes:
        return set()
    met = texts(result.nodes | result.hidden | result.absent)
    ends: dict[Side, tuple[Any, Any]] = {
        "upstream": (Edge.downstream_dataset, _upstream),
        "downstream": (Edge.upstream_dataset, Edge.downstream_dataset),
    }
    near, far = ends[side]
    node = sa.func.unnest(texts(nodes)).column_valued("node")
    exists = sa.exists().where(near == node, Edge.current, far != sa.all_(met))
    return set(session.scalars(sa.select(node).where(exists)))
