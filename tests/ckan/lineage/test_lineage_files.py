"""The graph of files and the steps between them, compared with a plain search of the whole graph in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckanext.mlops.logic.lineage import _file_edges
from ckanext.mlops.model import Edge, Version
from ckanext.mlops.model.closure import Seen, closure
from ckanext.mlops.model.filegraph import FileGraph
from ckanext.mlops.model.lineage import store_harvested_all
from ckanext.mlops.model.nodes import STEP, Side, dataset_of, file_key, kind_of

BOTH: tuple[Side, ...] = ("upstream", "downstream")
NAMES = list("abcdef")
#: Dataset → its outputs; None: no stage is behind it. Those that a command made, and who reads which output of whom.
STAGES = st.fixed_dictionaries(
    {name: st.one_of(st.none(), st.sets(st.sampled_from(["1", "2/x.csv"]), max_size=2)) for name in NAMES}
)
READS = st.sets(st.tuples(st.sampled_from(NAMES), st.integers(0, 1), st.sampled_from(NAMES)), max_size=20)


@pytest.fixture
def session(database: None) -> Iterator[Any]:
    model.Session.remove()
    model.Session.execute(sa.delete(Edge))
    yield model.Session
    model.Session.rollback()


def nodes_of(stages: dict[str, Any], name: str) -> list[str]:
    if stages[name] is None:
        return [name]
    return sorted(file_key(name, path) for path in stages[name]) or [STEP + name]


def store(session: Any, stages: dict[str, Any], reads: set, commands: set[str]) -> set[tuple[str, str]]:
    """Write the graph; its pairs of nodes."""
    session.execute(sa.delete(Edge))
    session.execute(sa.delete(Version))
    for name, outs in stages.items():
        if outs is not None:
            facts = {"outs": [{"path": path} for path in sorted(outs)], "command": "make" if name in commands else ""}
            session.add(Version(id=f"v-{name}", package_id=name, digest=name, commit="c", facts=facts, current=True))
    session.flush()
    edges: dict[str, list[dict[str, Any]]] = {}
    pairs = set()
    for up, number, down in sorted(reads):
        outs = sorted(stages[up] or ())
        if up == down or (stages[up] is not None and not outs):
            continue  # no stage reads its own output, and what writes nothing is read by none
        edge: dict[str, Any] = {"upstream_dataset": up, "version_id": f"v-{down}"}
        if outs:
            path = outs[number % len(outs)]
            edge |= {"upstream_resource": f"{up}/{path}", "path": path, "evidence": {"kind": "locked"}}
        edges.setdefault(down, []).append(edge)
        source = file_key(up, edge["path"]) if outs else up
        pairs |= {(source, node) for node in nodes_of(stages, down)}
    store_harvested_all(session, edges)
    return pairs


def search(
    pairs: set[tuple[str, str]], start: str, side: Side, depth: int, hidden: set[str]
) -> tuple[dict[str, int], set[str]]:
    found: dict[str, int] = {}
    met: set[str] = set()
    frontier = {start}
    for distance in range(1, depth + 1):
        ahead = {up if side == "upstream" else down for up, down in pairs if (up, down)[side == "upstream"] in frontier}
        met |= {str(dataset_of(key)) for key in ahead} & hidden
        frontier = {key for key in ahead if key not in found and dataset_of(key) not in hidden}
        found |= dict.fromkeys(frontier, distance)
    return found, met


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stages=STAGES,
    reads=READS,
    commands=st.sets(st.sampled_from(NAMES)),
    depth=st.integers(1, 7),
    max_nodes=st.integers(1, 8),
    hidden=st.sets(st.sampled_from(NAMES[1:]), max_size=2),
)
def test_files_and_steps_are_those_of_a_search_of_the_whole_graph(
    session: Any, stages: dict, reads: set, commands: set, depth: int, max_nodes: int, hidden: set
) -> None:
    pairs = store(session, stages, reads, commands)
    start = nodes_of(stages, "a")[0]

    def look(ids: Sequence[str]) -> Seen:
        return Seen(frozenset(ids) - hidden, frozenset(ids) & hidden)

    def walk(limit: int) -> Any:
        return closure(FileGraph(session()), [start], sides=BOTH, depth=depth, max_nodes=limit, look=look)

    full = walk(2000)
    expected: set[str] = set()
    for side in BOTH:
        distances, met = search(pairs, start, side, depth, hidden)
        assert getattr(full, side) == distances
        expected |= met
    assert (full.hidden, full.truncated) == (expected, False)
    cut = walk(max_nodes)
    assert cut.truncated == (len(full.nodes) > max_nodes)
    assert len(cut.nodes) == min(max_nodes, len(full.nodes))

    inside = {pair for pair in pairs if set(pair) <= full.nodes}
    graph = FileGraph(session())
    files, files_cut = _file_edges(graph, full.nodes, steps=False)
    assert ({(edge["upstream"], edge["downstream"]) for edge in files}, files_cut) == (inside, False)
    steps, _ = _file_edges(graph, full.nodes, steps=True)
    ends = {(edge["upstream"], edge["downstream"]) for edge in steps}
    made = {key for key in full.nodes if dataset_of(key) in commands and kind_of(key) != "dataset"}
    # What a command made is behind its step, whatever it read; all else as before.
    assert {pair for pair in ends if not pair[0].startswith(STEP)} == {
        (up, STEP + str(dataset_of(down)) if down in made else down) for up, down in inside
    }
    written = {(STEP + str(dataset_of(key)), key) for key in made if kind_of(key) == "file"}
    assert {pair for pair in ends if pair[0].startswith(STEP)} == written
