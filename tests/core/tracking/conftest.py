"""A real MLflow server with real runs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckanext.mlops.core.mlflow import MlflowClient, Server

RUNS = 15
PASSWORD = "admin-of-a-test"


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, **variables: str) -> Iterator[str]:
    """Address of an MLflow server of its own, which ends with the block."""
    pytest.importorskip("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = f"sqlite:///{folder}/store.db"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts"), *arguments]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    quiet["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # no use for its background workers
    environment = os.environ | quiet | variables
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 300
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            log_text = (folder / "log").read_text(errors="replace")[-2000:]
            assert process.poll() is None, log_text
            assert time.monotonic() < deadline, log_text
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        # The server has workers of its own: the whole group that was started here ends.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(20)


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an MLflow server that the tests fill through MLflow's own client."""
    with serving(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same with MLflow's own basic auth: an administrator ``admin`` with the password ``PASSWORD``."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = folder / "auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\n"
        f"admin_username = admin\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    variables = {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of-a-test"}
    with serving(folder, "--app-name", "basic-auth", **variables) as address:
        yield address


@pytest.fixture(scope="session")
def filled(tracking: str) -> dict[str, str]:
    """Names of what the server holds: experiment, runs, models."""
    import mlflow
    import pandas
    from mlflow.entities import Metric, ViewType
    from mlflow.tracking import MlflowClient as Theirs

    mlflow.set_tracking_uri(tracking)
    client = Theirs(tracking, tracking)
    experiment = client.create_experiment("titanic", tags={"team": "crew"})
    ids = {"experiment": experiment, "gone-experiment": client.create_experiment("gone")}
    client.delete_experiment(ids["gone-experiment"])
    for number in range(RUNS):
        run = client.create_run(experiment, start_time=1_700_000_000_000 + number * 1000, run_name=f"run-{number:02}")
        client.log_metric(run.info.run_id, "accuracy", 0.5 + number / 100)
        client.log_param(run.info.run_id, "depth", number)
        client.set_terminated(run.info.run_id, end_time=1_700_000_100_000)
        ids[f"run-{number:02}"] = run.info.run_id
    client.delete_run(ids["run-00"])
    with mlflow.start_run(experiment_id=experiment, run_name="rich") as run:
        mlflow.log_params({"solver": "lbfgs", "long": "x" * 6000})
        mlflow.set_tags({"mlflow.source.git.repoURL": "https://ada:hunter2@host.org/r", "note": "Ünïcode \u202e <b>"})
        client.log_batch(run.info.run_id, [Metric("loss", value, 1, step) for step, value in enumerate((2.0, 1.0))])
        client.log_metric(run.info.run_id, "nan", float("nan"))
        client.log_metric(run.info.run_id, "inf", float("inf"))
        frame = pandas.DataFrame({"x": [1, 2, 3]})
        source = "https://ada:hunter2@host.org/train.csv?X-Amz-Signature=hunter2"
        hashed = mlflow.data.from_pandas(
            frame, source=source, name="train", digest="d41d8cd98f00b204e9800998ecf8427e.dir"
        )
        mlflow.log_input(hashed, context="training")
        mlflow.log_input(mlflow.data.from_pandas(frame, source="data/test.csv", name="test"), context="evaluation")
        ids["rich"] = run.info.run_id
    client.create_registered_model("survivors", tags={"domain": "sea"}, description="Who survives")
    for _ in range(2):
        client.create_model_version(
            "survivors", source=f"runs:/{ids['rich']}/model", run_id=ids["rich"], tags={"a": "b"}
        )
    client.set_registered_model_alias("survivors", "champion", "1")
    ids["all-runs"] = str(len(client.search_runs([experiment], run_view_type=ViewType.ALL)))
    return ids


@pytest.fixture
def client(tracking: str, filled: dict[str, str]) -> MlflowClient:
    return MlflowClient(Server("lab", tracking))
