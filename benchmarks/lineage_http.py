"""The HTTP part of ``benchmarks/lineage.py``: CKANs with and without the extension, asked as anybody would.

The graph is that of Apache Atlas' and Marquez' measurement: 20 layers, fan-in 3; node ``i`` of a layer is made from
``(i · (2 f + 1) + f · layer) mod width`` for ``f`` in 0, 1, 2 of the layer before.
"""

from __future__ import annotations

import collections
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))
LAYERS, FAN_IN = 20, 3
# Seconds of Apache Atlas 2.1.0 for the full lineage of first, middle and last layer nodes of 10,000 datasets, measured
# on two cores with nothing else running: the fastest of its 6 to 27 s.
ATLAS_SECONDS = 6.0
PREPARE = """
import sys
from ckan.cli import load_config
from ckan.config.middleware import make_app
app = make_app(load_config(sys.argv[1]))
with app._wsgi_app.test_request_context():
    from ckan import model
    from ckan.cli.db import upgrade
    from ckan.plugins import toolkit as tk
    upgrade.main(args=[], standalone_mode=False)
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    context = {"user": user, "ignore_auth": True}
    tk.get_action("organization_create")(dict(context), {"name": "lab", "title": "Lab"})
    file = {"url": "https://data.example/x.csv", "name": "x.csv", "format": "CSV"}
    page = {"name": "page-one", "title": "Page", "owner_org": "lab", "notes": "A page.", "resources": [file]}
    tk.get_action("package_create")(dict(context), page)
"""


def parents(layer: int, place: int, width: int) -> list[int]:
    """What a node is made from, in the layer before."""
    return sorted({(place * (2 * each + 1) + each * layer) % width for each in range(FAN_IN)})


def name(layer: int, place: int) -> str:
    """A dataset's id and name."""
    return f"l{layer:02}-d{place:05}"


def fill(url: str, width: int) -> dict[str, list[set[str]]]:
    """Write the graph; node → its neighbours upstream and downstream."""
    up: dict[str, set[str]] = collections.defaultdict(set)
    down: dict[str, set[str]] = collections.defaultdict(set)
    edges = []
    for layer in range(1, LAYERS):
        for place in range(width):
            for before in parents(layer, place, width):
                one, two = name(layer - 1, before), name(layer, place)
                up[two].add(one)
                down[one].add(two)
                edges.append({"id": f"{one}>{two}", "up": one, "down": two})
    ids = [{"id": name(layer, place)} for layer in range(LAYERS) for place in range(width)]
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO package (id, name, title, type, state, private, metadata_created, metadata_modified) "
                "SELECT id, id, 'Dataset ' || id, 'dataset', 'active', false, now(), now() "
                "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(id text)"
            ),
            {"rows": json.dumps(ids)},
        )
        connection.execute(
            sa.text(
                "INSERT INTO mlops_edge (id, downstream_dataset, upstream_dataset, upstream_label, path, origin, "
                "evidence, current, first_seen, last_seen) "
                "SELECT id, down, up, '', 'x', 'harvested', '{}', true, now(), now() "
                "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(id text, up text, down text)"
            ),
            {"rows": json.dumps(edges)},
        )
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))
    engine.dispose()
    return {each["id"]: [up[each["id"]], down[each["id"]]] for each in ids}


def reach(graph: dict[str, list[set[str]]], start: str) -> set[str]:
    """Ancestors and descendants, by a search of the whole graph in memory."""
    found = {start}
    for side in (0, 1):
        seen, waiting = {start}, [start]
        while waiting:
            for key in graph[waiting.pop()][side]:
                if key not in seen:
                    seen.add(key)
                    waiting.append(key)
        found |= seen
    return found


@contextmanager
def serving(folder: Path, backing: Any, kind: str, only: str = "") -> Iterator[str]:
    """The address of a CKAN ``with`` this extension, or of a ``bare`` one.

    :param only: the plugins of the first kind; all by default
    """
    from embedded.ports import free_port
    from embedded.site.ini import PLUGINS, IniValues, render

    home = folder / kind
    home.mkdir()
    port = free_port()
    values = IniValues(
        site_url=f"http://127.0.0.1:{port}",
        secret_key="only-for-a-benchmark-only-for-a-benchmark",  # noqa: S106
        database_url=backing.database(f"ckan_{kind}"),
        solr_url=backing.solr.url(kind),
        redis_url=backing.redis_url,
        storage_path=str(home / "storage"),
        mlflow_url="http://localhost:1",
        repository_mirrors=str(home / "mirrors"),
        repository_roots=str(home),
        plugins=only or PLUGINS,
    )
    text = render(values).replace("level = INFO", "level = ERROR")
    if kind != "with":
        lines = [line for line in text.splitlines() if not line.startswith(("ckanext.", "scheming.", "ckan.harvest."))]
        text = "\n".join("ckan.plugins = activity" if line.startswith("ckan.plugins") else line for line in lines)
    ini = home / "ckan.ini"
    ini.write_text(text)
    subprocess.run([sys.executable, "-c", PREPARE, str(ini)], check=True, stdout=subprocess.DEVNULL)
    site = SCRIPTS / "embedded/site"
    environment = {
        **os.environ,
        "CKAN_INI": str(ini),
        "MLOPS_BIND": f"127.0.0.1:{port}",
        "MLOPS_WORKERS": "1",
        "MLOPS_THREADS": "2",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", str(site / "gunicorn_settings.py")],
        env=environment,
        cwd=site,
        stdout=subprocess.DEVNULL,
        stderr=(home / "log").open("w"),
    )
    try:
        _wait(f"http://127.0.0.1:{port}/api/3/action/status_show")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            get(url)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def get(url: str) -> bytes:
    """The body at an address of the server that was started here."""
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 our own server
        return bytes(answer.read())


def lineage_over_http(folder: Path, width: int, rounds: int) -> dict[str, Any]:
    """Seconds of full lineage over HTTP, whether it is exact, and what the extension adds to a dataset's page."""
    from embedded.services import backing_services

    with (
        backing_services(folder, cores=("with", "bare")) as backing,
        serving(folder, backing, "with") as one,
        serving(folder, backing, "bare") as two,
    ):
        pages: dict[str, list[float]] = {one: [], two: []}
        for number in range(rounds * 5 + 3):
            for address in pages:
                began = time.perf_counter()
                get(f"{address}/dataset/page-one")
                if number >= 3:
                    pages[address].append(time.perf_counter() - began)
        medians = {address: statistics.median(each) for address, each in pages.items()}
        print(f"dataset page: {medians[one] * 1e3:.0f} ms with the extension, {medians[two] * 1e3:.0f} ms without")
        graph = fill(backing.database("ckan_with"), width)
        slowest = 0.0
        for label, layer in (("first", 0), ("middle", LAYERS // 2), ("last", LAYERS - 1)):
            start = name(layer, width // 2)
            query = f"id={start}&depth=20&max_nodes=20000&detail=brief"
            times = []
            for _ in range(rounds):
                began = time.perf_counter()
                body = get(f"{one}/api/3/action/mlops_lineage_show?{query}")
                times.append(time.perf_counter() - began)
            found = json.loads(body)["result"]
            expected = reach(graph, start)
            assert {node["id"] for node in found["nodes"]} == expected, f"{label}: not exact"
            pairs = {(edge["upstream"], edge["downstream"]) for edge in found["edges"]}
            among = {(up, key) for key in expected for up in graph[key][0] if up in expected}
            assert pairs == among, f"{label}: edges are not exact"
            median = statistics.median(times)
            slowest = max(slowest, median)
            print(f"HTTP, {label} layer: {len(expected):,} datasets, {len(pairs):,} edges in {median:.3f} s")
    return {
        "http_seconds": round(slowest, 3),
        "vs_atlas": round(ATLAS_SECONDS / slowest, 1),
        "page_overhead": round(medians[one] / medians[two], 2),
    }
