"""How fast an MLflow server comes into the catalog, what a sync costs when nothing changed, and what memory it takes.

    python benchmarks/mlflow_sync.py            1,000 runs, 3 rounds; 100,000 runs of a stand-in (about 15 minutes)
    python benchmarks/mlflow_sync.py --small    200 runs, 1 round, 10,000 runs; DataHub where it is installed already

MLflow's own server, with SQLite behind it, holds 5 experiments of 200 runs (10 params, 10 metrics, inputs, tags) and 50
model versions. CKAN with its PostgreSQL is started beside it. Each round measures in turn, on the same server:

floor      the same searches, page by page, the answers parsed for their page token and dropped
full       ``mlops_mlflow_sync`` of a catalog that knows nothing of the server
again      the same, when nothing changed
DataHub    its MLflow source (PyPI, an environment of its own that is kept in the user's cache) into a file

The last line is one JSON object of ratios, medians of the rounds:

vs_datahub     runs per second of ``full`` / of DataHub (null: DataHub could not be installed or is left out)
vs_floor       seconds of ``full`` / of the floor
unchanged      seconds of ``again`` / of ``full``. It asks MLflow seven times however many runs there are, so the ratio
               falls as runs are added; how much of it is MLflow's is printed
memory_growth  largest memory of the process after a sync of 100,000 runs / after one of 10,000. A stand-in serves them,
               which makes each page when it is asked for: filling MLflow with them would take an hour.
tab            first page of the Experiments tab with 1,000 linked runs / of a dataset without links (medians of 20
               after two others: columns and best run are remembered as long as no run changes)
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
from inside import Asked, write_ini
from mlflow_fill import VERSIONS, StandIn, fill
from mlflow_inside import Syncs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

DATAHUB = "acryl-datahub[mlflow]"
RECIPE = """
source: {{type: mlflow, config: {{tracking_uri: "{uri}", materialize_dataset_inputs: false}}}}
sink: {{type: file, config: {{filename: "{file}"}}}}
"""


def floor(uri: str) -> float:
    """Seconds of paging through all that a full sync asks for."""
    session, begin = requests.Session(), time.perf_counter()

    def pages(method: str, path: str, key: str, **arguments: Any) -> list[Any]:
        found, token = [], ""
        while True:
            body = {**arguments, **({"page_token": token} if token else {})}
            given = {"json": body} if method == "POST" else {"params": body}
            answer = session.request(method, f"{uri}/api/2.0/mlflow/{path}", timeout=300, **given).json()
            if key == "experiments":
                found += [item["experiment_id"] for item in answer.get(key, [])]
            token = answer.get("next_page_token")
            if not token:
                return found

    ids = pages("POST", "experiments/search", "experiments", max_results=1000, view_type="ALL")
    pages("POST", "runs/search", "runs", experiment_ids=ids, max_results=1000, run_view_type="ALL")
    pages("POST", "logged-models/search", "models", experiment_ids=ids, max_results=50)
    pages("GET", "registered-models/search", "registered_models", max_results=1000)
    pages("GET", "model-versions/search", "model_versions", max_results=1000)
    return time.perf_counter() - begin


@contextmanager
def process(*command: str, url: str = "", **variables: str) -> Iterator[None]:
    """A process that runs while the block does, and answers at ``url``."""
    started = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and started.poll() is None:
            try:
                requests.get(url, timeout=2)
                break
            except requests.RequestException:
                time.sleep(0.2)
        else:
            raise RuntimeError(f"{' '.join(command[:3])} did not start")
        yield
    finally:
        os.killpg(started.pid, 9)  # with its workers; nothing in it is needed any more
        started.wait()


def datahub(*, install: bool) -> Path | None:
    """DataHub's command, in an environment of its own; None when it is not there and cannot be made."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ckanext-mlops" / "benchmarks" / "datahub"
    )
    command = cache / "bin" / "datahub"
    if not command.exists() and not install:
        print("DataHub is left out: it is not installed here, and this is a quick look")
        return None
    if not command.exists():
        print(f"installing {DATAHUB} in {cache} ...", flush=True)
        for step in (
            [sys.executable, "-m", "venv", str(cache)],
            [str(cache / "bin" / "python"), "-m", "pip", "install", "--quiet", DATAHUB],
        ):
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"DataHub is left out, it could not be installed: {done.stderr.strip()[-300:]}")
                shutil.rmtree(cache, ignore_errors=True)
                return None
    return command


def ingest(command: Path, uri: str, folder: Path) -> float:
    """Seconds that DataHub's source ran, without the time that the program needs to start."""
    recipe = folder / "datahub.yml"
    recipe.write_text(RECIPE.format(uri=uri, file=folder / "datahub.json"))
    environment = os.environ | {"DATAHUB_TELEMETRY_ENABLED": "false"}
    done = subprocess.run(
        [str(command), "ingest", "-c", str(recipe)], env=environment, capture_output=True, text=True, check=False
    )
    found = re.search(r"'total_duration_in_seconds': '?([\d.]+)", done.stdout + done.stderr)
    if done.returncode or not found:
        raise RuntimeError(f"DataHub failed: {(done.stdout + done.stderr)[-2000:]}")
    return float(found[1])


def large(portal: Asked, sizes: tuple[int, int], ports: dict[int, int]) -> list[float]:
    """The largest MiB of the process after a sync of each of the sizes."""
    memory = []
    for size in sizes:
        url = f"http://127.0.0.1:{ports[size]}"
        with process(__file__, "--serve", str(ports[size]), str(size), url=url):
            answer = portal.ask(do="sync", server=f"large{size}")
        if answer["report"]["runs"] != size:
            raise RuntimeError(f"not all runs were read: {answer['report']}")
        rate = size / answer["seconds"]
        print(f"{size:>8,} runs: {answer['seconds']:.1f} s, {rate:,.0f} a second, {answer['memory']:.0f} MiB")
        memory.append(answer["memory"])
    return memory


def main() -> None:
    """Measure, print, and end with one JSON object."""
    if sys.argv[1:2] == ["--inside"]:
        return Syncs(sys.argv[2]).serve()
    if sys.argv[1:2] == ["--fill"]:
        return fill(sys.argv[2], int(sys.argv[3]))
    if sys.argv[1:2] == ["--serve"]:
        StandIn.runs = int(sys.argv[3])
        return http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), StandIn).serve_forever()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a quick look")
    parser.add_argument("--rounds", type=int, default=0, help="default 3; 1 when small")
    parser.add_argument("--large", type=int, default=0, help="runs of the large stand-in; default 100,000")
    options = parser.parse_args()
    if 0 < options.large <= 10_000:
        parser.error("--large must be more than the 10,000 runs that it is compared with")
    runs, rounds = (200, options.rounds or 1) if options.small else (1000, options.rounds or 3)
    sizes = (2_000, 10_000) if options.small else (10_000, options.large or 100_000)
    return measure(runs, rounds, sizes, datahub(install=not options.small))


def measure(runs: int, rounds: int, sizes: tuple[int, int], peer: Path | None) -> None:
    """Start everything, measure, print."""
    from embedded.ports import free_port
    from embedded.services import backing_services

    with tempfile.TemporaryDirectory(prefix="mlops-mlflow-") as name, ExitStack() as stack:
        folder = Path(name).resolve()
        store, port, ports = f"sqlite:///{folder}/mlflow.db", free_port(), {size: free_port() for size in sizes}
        uri = f"http://127.0.0.1:{port}"
        print(f"filling MLflow with {runs:,} runs ...", flush=True)
        subprocess.run([sys.executable, __file__, "--fill", store, str(runs)], check=True, stderr=subprocess.DEVNULL)
        command = ("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        variables = {"MLFLOW_BACKEND_STORE_URI": store, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        stack.enter_context(process(*command, url=f"{uri}/health", **variables))
        backing = stack.enter_context(backing_services(folder / "services", report=print))
        servers = " ".join(["local", *(f"large{size}" for size in sizes)])
        extra = {f"ckanext.mlops.mlflow.large{size}.uri": f"http://127.0.0.1:{ports[size]}" for size in sizes}
        options = {"ckanext.mlops.mlflow.servers": servers, **extra}
        portal = Asked(__file__, write_ini(folder, backing, mlflow_url=uri, options=options))
        stack.callback(portal.inside.kill)
        portal.ask(do="prepare")
        portal.ask(do="sync", server="local")  # what is loaded once, on both sides, does not count
        times: dict[str, list[float]] = {"floor": [], "full": [], "again": [], "DataHub": []}
        for number in range(1, rounds + 1):
            portal.ask(do="forget")
            times["floor"].append(floor(uri))
            full = portal.ask(do="sync", server="local")
            if (full["report"]["runs"], full["report"]["model_versions"]) != (runs, VERSIONS):
                raise RuntimeError(f"not everything was read: {full['report']}")
            times["full"].append(full["seconds"])
            again = sorted((portal.ask(do="sync", server="local") for _ in range(5)), key=lambda each: each["seconds"])[
                2
            ]
            times["again"].append(again["seconds"])
            print(
                f"again: {again['requests']} requests, {again['waited']:.3f} of {again['seconds']:.3f} s are MLflow's"
            )
            if peer:
                times["DataHub"].append(ingest(peer, uri, folder))
            shown = ", ".join(f"{name} {found[-1]:.2f} s" for name, found in times.items() if found)
            print(f"round {number}: {shown}", flush=True)
        middle = {name: statistics.median(found) for name, found in times.items() if found}
        linked = portal.ask(do="link", server="local")
        pages = {name: [portal.ask(do="page", name=name) for _ in range(22)][2:] for name in ("empty", "linked")}
        empty, tab = statistics.median(pages["empty"]), statistics.median(pages["linked"])
        print(f"Experiments tab: {empty * 1e3:.0f} ms without links, {tab * 1e3:.0f} ms with {linked:,} linked runs")
        memory = large(portal, sizes, ports)
        print(f"full sync: {runs / middle['full']:,.0f} runs per second")
        print(
            json.dumps(
                {
                    "vs_datahub": round(middle["DataHub"] / middle["full"], 2) if peer else None,
                    "vs_floor": round(middle["full"] / middle["floor"], 2),
                    "unchanged": round(middle["again"] / middle["full"], 4),
                    "memory_growth": round(memory[1] / memory[0], 2),
                    "tab": round(tab / empty, 2),
                }
            )
        )


if __name__ == "__main__":
    main()
