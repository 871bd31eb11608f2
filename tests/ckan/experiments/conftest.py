"""A real MLflow server for the tests of links and copied facts, and its broken relatives."""

from __future__ import annotations

import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from ckan import model
from ckan.plugins import toolkit as tk

from ckanext.mlops.model import Experiment, Link, ModelVersion, RegisteredModel, Run, versions

PREFIX = "ckanext.mlops.mlflow"
PASSWORD = "s3cret-reader-password"
START = 1_700_000_000_000
NOW = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 naive UTC, as CKAN stores it


@dataclass
class Tracking:
    """An MLflow server as a training machine uses it: its REST API."""

    uri: str

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        return self.request("POST", path, **body)

    def request(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        response = requests.request(method, f"{self.uri}/api/2.0/mlflow/{path}", json=body, timeout=30)
        assert response.status_code == 200, response.text
        return response.json()

    def experiment(self, name: str = "") -> str:
        """A new experiment; returns its id. Names are unique, because the server outlives the test."""
        return self.call("experiments/create", name=name or f"exp-{uuid.uuid4().hex[:8]}")["experiment_id"]

    def name_of(self, experiment_id: str) -> str:
        found = requests.get(
            f"{self.uri}/api/2.0/mlflow/experiments/get", params={"experiment_id": experiment_id}, timeout=30
        )
        return found.json()["experiment"]["name"]

    def run(
        self,
        experiment_id: str,
        name: str = "run",
        *,
        metrics: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        status: str = "FINISHED",
        start: int = START,
        seconds: int = 65,
    ) -> str:
        """A run as a training script leaves it; returns its id."""
        run_id = self.call(
            "runs/create",
            experiment_id=experiment_id,
            start_time=start,
            run_name=name,
            user_id="ada",
            tags=[{"key": key, "value": value} for key, value in (tags or {}).items()],
        )["run"]["info"]["run_id"]
        if metrics or params:
            self.call(
                "runs/log-batch",
                run_id=run_id,
                metrics=[
                    {"key": key, "value": value, "timestamp": start, "step": 0}
                    for key, value in (metrics or {}).items()
                ],
                params=[{"key": key, "value": value} for key, value in (params or {}).items()],
            )
        if status != "RUNNING":
            self.call("runs/update", run_id=run_id, status=status, end_time=start + seconds * 1000)
        return run_id


@pytest.fixture(scope="session")
def mlflow_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "a")),
        ],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # no use for its background workers
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(uri, process, folder / "server.log")
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with its workers; its database ends with the test anyway
        process.wait(20)
        log.close()


def _wait_until_healthy(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{uri}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    pytest.fail(f"MLflow did not start:\n{log.read_text()[-3000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, loaded: None) -> Callable[..., None]:
    """Add a server to the portal's configuration, or change it: ``configure("lab", uri=...)``."""

    def add(name: str, **options: str) -> None:
        names = tk.aslist(tk.config.get(f"{PREFIX}.servers"))
        monkeypatch.setitem(tk.config, f"{PREFIX}.servers", [*names, *([] if name in names else [name])])
        for option, value in options.items():
            monkeypatch.setitem(tk.config, f"{PREFIX}.{name}.{option}", value)

    monkeypatch.setitem(tk.config, f"{PREFIX}.servers", [])
    return add


@pytest.fixture
def secret() -> str:
    """The password that the portal's configuration has for its MLflow servers."""
    return PASSWORD


@pytest.fixture
def tracking(mlflow_process: str, configure: Callable[..., None]) -> Tracking:
    """A running MLflow server, known to the portal as ``lab``, with a password."""
    configure("lab", uri=mlflow_process, public_url="https://mlflow.example.org/", username="reader", password=PASSWORD)
    return Tracking(mlflow_process)


@pytest.fixture
def stop_lab(configure: Callable[..., None]) -> Callable[[], None]:
    """From now on nothing listens at the address of ``lab``. (The process itself serves the other tests.)"""
    return lambda: configure("lab", uri=f"http://127.0.0.1:{free_port()}", timeout="2")


@dataclass
class Fault:
    """What a broken server answers, and what it was asked: (path, Authorization)."""

    uri: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, body: Any, status: int = 200) -> None:
        """From now on."""
        self.answers[:] = [(status, body if isinstance(body, bytes) else json.dumps(body).encode())]


@pytest.fixture
def fault(configure: Callable[..., None]) -> Iterator[Fault]:
    """A server named ``broken``. A real MLflow cannot be made to answer nonsense, half answers or 500 on demand."""
    state = Fault()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers.get("Authorization", "")))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = state.answers[0] if state.answers else (500, b"{}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the base class names it

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.uri = f"http://127.0.0.1:{server.server_port}"
    configure("broken", uri=state.uri, username="reader", password=PASSWORD, timeout="3")
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def dataset(make_dataset: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return make_dataset(name="titanic", title="Titanic")


@pytest.fixture
def sync(api: Any, people: Any) -> Callable[..., dict[str, Any]]:
    """``mlops_mlflow_sync`` as sysadmin, of one server: its report."""

    def run(server: str = "lab", **options: Any) -> dict[str, Any]:
        [report] = api("mlops_mlflow_sync", people.sysadmin, server=server, **options)["servers"]
        return report

    return run


class World:
    """Two versions of a public dataset, one of a private one, and a model of which each version used another."""

    def __init__(self, make_dataset):
        self.titanic = make_dataset(name="titanic", title="Titanic")["id"]
        self.secret = make_dataset(name="secret-passengers", title="Secret passengers", private=True)["id"]
        self.old, self.new, self.hidden = (str(uuid.uuid4()) for _ in range(3))
        outs = [{"path": "a.csv", "hash": "1"}, {"path": "b.csv", "hash": "1"}, {"path": "c.csv", "hash": "1"}]
        later = [{"path": "a.csv", "hash": "1"}, {"path": "b.csv", "hash": "2"}, {"path": "d.csv", "hash": "1"}]
        tag = [{"name": "v1.2", "kind": "tag", "commit": "a" * 40}]
        head = [{"name": "v1.4", "kind": "tag", "commit": "b" * 40}]
        old = {"id": self.old, "digest": "1", "commit": "a" * 40, "facts": {"outs": outs}, "refs": tag}
        new = {"id": self.new, "digest": "2", "commit": "b" * 40, "facts": {"outs": later}, "refs": head}
        session = model.Session()
        versions.store(session, self.titanic, [old, {**new, "current": True, "position": 2}])
        row = {"id": self.hidden, "digest": "3", "commit": "c" * 40, "facts": {"outs": outs}, "current": True}
        versions.store(session, self.secret, [row])
        session.add(Experiment(server="lab", experiment_id="7", name="survival"))
        session.add(RegisteredModel(server="lab", name="forest", facts={"aliases": {"champion": "1"}}))
        for number, (run, metrics) in enumerate(
            {"r1": {"acc": 0.8}, "r2": {"acc": 0.9}, "r3": {"acc": 0.7, "=cmd": 1.0}}.items(), start=1
        ):
            facts = {"metrics": metrics, "params": {"depth": str(number)}, "user": "ada"}
            self.run(run, facts)
            aliases = ["champion"] if number == 1 else []
            version = {"version": str(number), "number": number, "run_id": run, "aliases": aliases}
            session.add(ModelVersion(server="lab", name="forest", **version))
        self.link(self.titanic, "r1", "trained_on", self.old)
        self.link(self.secret, "r2", "trained_on", self.hidden)
        self.link(self.titanic, "r3", "evaluated_on", self.new)
        session.commit()

    def run(self, run_id, facts):
        row = {"server": "lab", "run_id": run_id, "experiment_id": "7", "name": f"run {run_id}", "status": "FINISHED"}
        model.Session.add(Run(**row, started=NOW, ended=NOW, facts=facts))

    def link(self, package, target, relation, version=None, **values):
        row = {"server": "lab", "kind": "run", "relation": relation, "created": NOW, "origin": "inferred"}
        row["evidence"] = {"rung": "hash", "strength": "exact", "why": ["named:tag"], "against": [], "choices": []}
        link = Link(id=str(uuid.uuid4()), package_id=package, target=target, version_id=version, **(row | values))
        model.Session.add(link)
        model.Session.commit()
        return link.id


@pytest.fixture
def world(people, make_dataset):
    return World(make_dataset)
