"""A real MLflow server, and the demo's project: built once, after a first build was killed half-way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from rich.console import Console

from embedded.demo.mlflow_runs import MlflowServer
from embedded.demo.project import Project, build_project
from embedded.demo.workspace import Workspace, now

PORTAL = "https://portal.example.org"
SCRIPTS = Path(__file__).parents[2] / "scripts"
BUILD = """
import sys
from pathlib import Path
from rich.console import Console
from embedded.demo.project import build_project
build_project(Path(sys.argv[1]), mlflow_uri=sys.argv[2], python=Path(sys.executable), console=Console())
"""


@dataclass(frozen=True)
class Built:
    """The project, and what the killed build had left behind.

    :param killed_objects: files of its DVC remote
    :param killed_trees: Git trees of its commits, oldest first
    :param killed_runs: ids of its MLflow runs
    """

    project: Project
    space: Workspace
    server: MlflowServer
    output: str
    killed_objects: frozenset[str]
    killed_trees: tuple[str, ...]
    killed_runs: tuple[str, ...]


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *arguments, *stores],
            cwd=folder,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 90
        while not _healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"MLflow did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, mlflow_url: str) -> Built:
    folder = tmp_path_factory.mktemp("demo")
    server = MlflowServer(mlflow_url)
    space = Workspace(folder, Path(sys.executable), now)
    first = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(folder), mlflow_url],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until(lambda: "wrong-baseline" in _tags(space), first)
    finally:
        first.kill()
        first.wait()
    state = json.loads((folder / "demo.json").read_text())
    killed_runs = tuple(run.run_id for run in server.runs(state["experiment_id"], state["build"]))
    killed_objects = objects(space.remote)
    killed_trees = tuple(space.git("log", "--reverse", "--format=%T", "wrong-baseline").split())
    console = Console(record=True, width=200)
    project = build_project(
        folder, mlflow_uri=mlflow_url, python=Path(sys.executable), console=console, portal_url=PORTAL
    )
    return Built(project, space, server, console.export_text(), killed_objects, killed_trees, killed_runs)


def objects(remote: Path) -> frozenset[str]:
    return frozenset(path.relative_to(remote).as_posix() for path in remote.rglob("*") if path.is_file())


def _tags(space: Workspace) -> list[str]:
    found = subprocess.run(["git", "-C", str(space.work), "tag"], capture_output=True, text=True, check=False)
    return found.stdout.split() if (space.work / ".git").exists() else []


def _until(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, "the first build ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).ok
    except requests.RequestException:
        return False
