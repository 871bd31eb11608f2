"""The walk over the edges, compared with a plain search of the whole graph in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckanext.mlops.model import Edge
from ckanext.mlops.model.closure import Closure, Seen, closure
from ckanext.mlops.model.datasetgraph import DatasetGraph
from ckanext.mlops.model.lineage import store_harvested, store_harvested_all
from ckanext.mlops.model.nodes import EXTERNAL, Side

BOTH: tuple[Side, ...] = ("upstream", "downstream")


@pytest.fixture
def session(database: None) -> Iterator[Any]:
    model.Session.remove()
    model.Session.execute(sa.delete(Edge))
    yield model.Session
    model.Session.rollback()


def everybody(ids: Sequence[str]) -> Seen:
    return Seen(frozenset(ids), frozenset())


def store(session: Any, pairs: Sequence[tuple[str, str]]) -> None:
    edges: dict[str, list[dict[str, Any]]] = {}
    for up, down in pairs:
        source = {"upstream_uri": up.removeprefix(EXTERNAL)} if up.startswith(EXTERNAL) else {"upstream_dataset": up}
        edges.setdefault(down, []).append(source)
    store_harvested_all(session, edges)


def walk(session: Any, start: str, **options: Any) -> Closure:
    graph = DatasetGraph(session())
    return closure(graph, [start], **({"sides": BOTH, "depth": 20, "max_nodes": 2000, "look": everybody} | options))


def search(pairs: set[tuple[str, str]], start: str, side: Side, depth: int, stop: set[str]) -> tuple[dict, set]:
    """Distances of what is reachable without passing ``stop``, and the members of ``stop`` that were met."""
    found: dict[str, int] = {}
    met: set[str] = set()
    frontier = {start}
    for distance in range(1, depth + 1):
        ahead = {
            (up if side == "upstream" else down)
            for up, down in pairs
            if (down if side == "upstream" else up) in frontier
        }
        met |= ahead & stop
        frontier = {key for key in ahead if key not in found and key not in stop}
        found |= dict.fromkeys(frontier, distance)
    return found, met


NAMES = list("abcdefgh")
SOURCES = [EXTERNAL + "https://data.example/1", EXTERNAL + "s3://bucket/2"]
GRAPHS = st.sets(st.tuples(st.sampled_from(NAMES + SOURCES), st.sampled_from(NAMES)), max_size=30)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=GRAPHS,
    sides=st.sampled_from([BOTH, ("upstream",), ("downstream",)]),
    depth=st.integers(1, 9),
    max_nodes=st.integers(1, 12),
    hidden=st.sets(st.sampled_from(NAMES[1:]), max_size=3),
    absent=st.sets(st.sampled_from(NAMES[1:]), max_size=2),
)
def test_the_walk_finds_what_a_search_of_the_whole_graph_finds(
    session: Any, pairs: set, sides: tuple, depth: int, max_nodes: int, hidden: set, absent: set
) -> None:
    session.execute(sa.delete(Edge))
    store(session, sorted(pairs))
    hidden -= absent

    def look(ids: Sequence[str]) -> Seen:
        return Seen(frozenset(ids) - hidden - absent, frozenset(ids) & hidden)

    full = walk(session, "a", sides=sides, depth=depth, look=look)
    expected_hidden: set[str] = set()
    expected_absent: set[str] = set()
    for side in BOTH:
        distances, met = search(pairs, "a", side, depth if side in sides else 0, hidden | absent)
        assert getattr(full, side) == distances
        expected_hidden |= met & hidden
        expected_absent |= met & absent
    assert (full.hidden, full.absent, full.truncated) == (expected_hidden, expected_absent, False)

    cut = walk(session, "a", sides=sides, depth=depth, look=look, max_nodes=max_nodes)
    assert cut.truncated == (len(full.nodes) > max_nodes)
    assert len(cut.nodes) == min(max_nodes, len(full.nodes))
    for side in BOTH:
        assert getattr(cut, side).items() <= getattr(full, side).items()
    if not cut.truncated:
        assert cut == full
    assert walk(session, "a", sides=sides, depth=depth, look=look, max_nodes=max_nodes) == cut


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=GRAPHS, depth=st.integers(1, 4))
def test_more_names_exactly_the_nodes_with_neighbours_beyond_the_depth(session: Any, pairs: set, depth: int) -> None:
    session.execute(sa.delete(Edge))
    store(session, sorted(pairs))
    result = walk(session, "a", depth=depth)
    for side, end in (("upstream", 1), ("downstream", 0)):
        last = {key for key, distance in getattr(result, side).items() if distance == depth}
        expected = {pair[end] for pair in pairs if pair[end] in last and pair[1 - end] not in result.nodes}
        assert result.more[side] == expected


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=GRAPHS, nodes=st.sets(st.sampled_from(NAMES + SOURCES)))
def test_edges_between_nodes_are_exactly_those_of_the_graph(session: Any, pairs: set, nodes: set) -> None:
    session.execute(sa.delete(Edge))
    store(session, sorted(pairs))
    found = [(row.upstream, row.downstream_dataset) for row in DatasetGraph(session()).edges_between(nodes)]
    assert sorted(found) == sorted(pair for pair in pairs if set(pair) <= nodes)


def test_a_self_loop_is_one_step_from_itself(session: Any) -> None:
    store(session, [("a", "a")])
    result = walk(session, "a")
    assert (result.upstream, result.downstream, result.nodes) == ({"a": 1}, {"a": 1}, {"a"})


def test_a_diamond_is_found_once_at_its_shortest_distance(session: Any) -> None:
    store(session, [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d")])
    assert walk(session, "d").upstream == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("side", BOTH)
def test_a_wide_fan_out_is_cut_and_says_so(session: Any, side: Side) -> None:
    leaves = [f"leaf-{number:05}" for number in range(10_000)]
    store(session, [("hub", leaf) if side == "downstream" else (leaf, "hub") for leaf in leaves])
    cut = walk(session, "hub", max_nodes=50)
    assert sorted(getattr(cut, side)) == leaves[:49]
    assert cut.truncated
    assert cut.more[side] == {"hub"}
    exact = walk(session, "hub", max_nodes=10_001)
    assert sorted(getattr(exact, side)) == leaves
    assert not exact.truncated


def test_hidden_neighbours_do_not_crowd_out_visible_ones(session: Any) -> None:
    hidden = {f"a-{number:04}" for number in range(900)}
    store(session, [("hub", name) for name in [*sorted(hidden), "z-visible"]])

    def look(ids: Sequence[str]) -> Seen:
        return Seen(frozenset(ids) - hidden, frozenset(ids) & hidden)

    result = walk(session, "hub", max_nodes=5, look=look)
    assert (result.downstream, len(result.hidden), result.truncated) == ({"z-visible": 1}, 900, False)


def test_nothing_behind_a_hidden_dataset_is_shown(session: Any) -> None:
    store(session, [("raw", "secret"), ("secret", "result"), ("raw", "other"), ("other", "result")])

    def look(ids: Sequence[str]) -> Seen:
        return Seen(frozenset(ids) - {"secret", "other"}, frozenset(ids) & {"secret", "other"})

    result = walk(session, "result", look=look)
    assert (result.upstream, result.hidden) == ({}, {"secret", "other"})


def test_edges_of_old_versions_are_not_walked(session: Any) -> None:
    store_harvested(
        session,
        "b",
        [{"upstream_dataset": "a", "version_id": "1", "current": False}, {"upstream_dataset": "c", "version_id": "2"}],
    )
    assert walk(session, "b").upstream == {"c": 1}
    assert walk(session, "a").downstream == {}


def test_many_files_between_two_datasets_are_counted_and_bounded(session: Any) -> None:
    store_harvested(session, "b", [{"upstream_dataset": "a", "path": f"part-{n:03}.csv"} for n in range(100)])
    rows = DatasetGraph(session()).edges_between({"a", "b"})
    assert [row.path for row in rows] == [f"part-{n:03}.csv" for n in range(20)]
    assert {row.total for row in rows} == {100}


def test_the_number_of_statements_follows_the_depth_not_the_width(session: Any) -> None:
    store(session, [(f"{layer}-{i}", f"{layer + 1}-{j}") for layer in range(4) for i in range(12) for j in range(12)])
    statements: list[str] = []
    connection = session.connection()
    sa.event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
    result = walk(session, "0-0", sides=("downstream",), depth=20)
    assert len(result.downstream) == 48
    assert len(statements) <= 6
