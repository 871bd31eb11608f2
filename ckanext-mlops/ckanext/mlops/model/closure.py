"""What something was made from and what was made from it: bounded reading of the edge store.

The walk goes breadth first, one statement per step and direction. Every statement starts at the nodes that the
previous step found and reads their edges by index, at most as many as the answer may still hold, and every node is
expanded once. So the cost follows the size of the answer and not of the graph; cycles, self-loops and diamonds end by
themselves. Most walks meet nothing that is hidden, and no run: one recursive statement tells these all their steps
beforehand. It alone would not do: PostgreSQL forgets a node only together with its distance, so it would expand a node
again at every distance at which a cycle or diamond reaches it (it is bounded, and the walk goes on where it stopped),
and the reader's permissions, which decide where the walk ends, are Python.

What the nodes are is a :class:`Graph`'s business: datasets (:mod:`.datasetgraph`) or files (:mod:`.filegraph`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ckanext.mlops.model.nodes import Side, dataset_of, kind_of

_SPARE = 1000
_AHEAD = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """Which of some datasets the reader may see; ``hidden`` exist but are not theirs to see, the others are absent."""

    visible: frozenset[str]
    hidden: frozenset[str]


Look = Callable[[Sequence[str]], Seen]


class Graph(Protocol):
    """Where a walk finds its neighbours."""

    def neighbours(self, side: Side, frontier: Sequence[str], limit: int) -> tuple[list[str], bool]:
        """Nodes one step from ``frontier``, each once, in a fixed order, about ``limit`` of them; whether more are."""

    def levels(self, side: Side, starts: Sequence[str], depth: int, limit: int) -> list[list[str]]:
        """What a walk without permissions finds, distance by distance, as far as that is all that is there.

        One statement for many steps. Empty when the graph cannot tell.
        """

    def with_more(self, side: Side, nodes: set[str], met: set[str]) -> set[str]:
        """Those of ``nodes`` that have a neighbour which is not ``met``."""

    def unseen(self, keys: Sequence[str], look: Look) -> set[str]:
        """Those of the runs and models that have to do only with datasets which the reader may not see."""

    @property
    def left_out(self) -> Mapping[Side, Mapping[str, int]]:
        """By side, dataset → how many neighbours are no nodes because it has so many."""


@dataclass(slots=True)
class Closure:
    """The nodes around some others; see :mod:`.nodes` for what names them.

    :param starts: where the walk began
    :param upstream: distance of each node that they were made from, in steps; a start is in it when it is part of a
        cycle
    :param downstream: distance of each node that was made from them
    :param hidden: datasets that the walk met and the reader may not see; it does not go on behind them
    :param absent: datasets that the walk met and that are not in the portal (deleted, draft, not harvested yet)
    :param truncated: there are more nodes within the depth than ``max_nodes``; ``hidden`` and ``absent`` are then a
        lower bound
    :param more: nodes with neighbours beyond the answer, per direction
    """

    starts: tuple[str, ...]
    upstream: dict[str, int] = field(default_factory=dict)
    downstream: dict[str, int] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    truncated: bool = False
    more: dict[Side, set[str]] = field(default_factory=lambda: {"upstream": set(), "downstream": set()})

    @property
    def nodes(self) -> set[str]:
        """All visible nodes, the starts included."""
        return {*self.starts, *self.upstream, *self.downstream}

    def met(self) -> set[str]:
        """All nodes that the walk came to know of."""
        return self.nodes | self.hidden | self.absent


def closure(
    graph: Graph,
    starts: Sequence[str],
    *,
    sides: Sequence[Side],
    depth: int,
    max_nodes: int,
    look: Look,
    beyond: bool = True,
) -> Closure:
    """The nodes within ``depth`` steps of ``starts``, nearest first, at most ``max_nodes`` with them.

    The same graph and reader give the same answer: nodes of equal distance are taken in the order of their ids,
    datasets before outside sources, upstream before downstream. ``look`` says which datasets the reader may see.
    Whoever wants the nodes only says ``beyond=False``: :attr:`Closure.more` is then empty.
    """
    result = Closure(tuple(starts[:max_nodes]), truncated=len(starts) > max_nodes)
    began = set(result.starts)
    nodes = set(began)
    frontiers: dict[Side, list[str]] = {side: list(result.starts) for side in sides}
    known: dict[Side, set[str]] = {side: set(began) for side in sides}
    ahead = {side: graph.levels(side, result.starts, depth, max_nodes + max_nodes // 8 + _AHEAD) for side in sides}
    expected = _look_ahead(ahead.values(), look)
    for distance in range(1, depth + 1):
        for side in sides:
            found = result.upstream if side == "upstream" else result.downstream
            unseen = result.hidden or result.absent
            seen = known[side] | result.hidden | result.absent if unseen else known[side]
            limit = max_nodes - len(nodes) + len(seen) + _SPARE
            cut = False
            if distance <= len(ahead[side]) and not unseen:
                neighbours = ahead[side][distance - 1]
            else:
                neighbours, cut = graph.neighbours(side, frontiers[side], limit) if frontiers[side] else ([], False)
            fresh = [key for key in neighbours if key not in seen]
            if not expected.issuperset(fresh):
                fresh = _admitted(graph, result, fresh, look)
            taken = []
            for key in fresh:
                if key not in nodes:
                    if len(nodes) == max_nodes:
                        continue
                    nodes.add(key)
                taken.append(key)
            found |= dict.fromkeys(taken, distance)
            for key in neighbours:
                if key in began:
                    found.setdefault(key, distance)
            if len(taken) < len(fresh) or cut:
                result.truncated = True
                result.more[side].update(frontiers[side])
            known[side].update(taken)
            frontiers[side] = taken
        if result.truncated or not any(frontiers.values()):
            break
    if not beyond:
        result.more = {"upstream": set(), "downstream": set()}
        return result
    met = result.met()
    for side in sides:
        waiting = result.more[side].union(frontiers[side])
        result.more[side] = graph.with_more(side, waiting, met) if waiting else set()
        if graph.left_out[side]:
            result.more[side] |= {key for key in result.nodes if dataset_of(key) in graph.left_out[side]}
    return result


def _look_ahead(levels: Iterable[list[list[str]]], look: Look) -> frozenset[str]:
    """Look at all datasets at once, since readers remember what they saw; those that the reader may see."""
    datasets = sorted({each for level in levels for keys in level for each in map(dataset_of, keys) if each})
    return look(datasets).visible if datasets else frozenset()


def _admitted(graph: Graph, result: Closure, keys: list[str], look: Look) -> list[str]:
    """Those of ``keys`` that the reader may see; the others are counted in ``result``."""
    datasets = {key: dataset_of(key) for key in keys}
    wanted = sorted({each for each in datasets.values() if each})
    seen = look(wanted) if wanted else Seen(frozenset(), frozenset())
    result.hidden |= seen.hidden
    result.absent.update(each for each in wanted if each not in seen.visible and each not in seen.hidden)
    tracked = [key for key in keys if datasets[key] is None and kind_of(key) != "external"]
    unseen = graph.unseen(tracked, look) if tracked else set()
    result.hidden |= unseen
    return [key for key in keys if key not in unseen and (datasets[key] is None or datasets[key] in seen.visible)]


def distances(around: Closure) -> Iterable[tuple[str, int]]:
    """Every node with its distance from the nearest start, on whichever side."""
    nearest = dict.fromkeys(around.starts, 0)
    for key, distance in (*around.upstream.items(), *around.downstream.items()):
        known = nearest.get(key)
        if known is None or distance < known:
            nearest[key] = distance
    yield from nearest.items()
