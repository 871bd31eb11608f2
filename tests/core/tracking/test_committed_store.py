"""An MLflow file store that was committed to Git gives the records that MLflow itself reads from the folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core import Selection, read_repository
from ckanext.mlops.core.mlflow_committed import committed_stores

WRITE = """
import sys
from mlflow import MlflowClient
from mlflow.entities import Metric
client = MlflowClient(sys.argv[1])
experiment = client.create_experiment("prices", tags={"team": "a"})
run = client.create_run(experiment, tags={"mlflow.source.git.commit": "c" * 40}, run_name="first")
client.log_param(run.info.run_id, "lr", "0.1")
for step, value in enumerate((0.5, 0.25)):
    client.log_metric(run.info.run_id, "val/loss", value, step=step)
client.set_terminated(run.info.run_id)
print(run.info.run_id)
"""


def test_what_mlflow_wrote_is_read_at_the_revision_that_has_it(repo: Any, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the store is written by MLflow itself")
    store = tmp_path / "mlruns"
    done = subprocess.run(
        [sys.executable, "-c", WRITE, store.as_uri()],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"},
    )
    run_id = done.stdout.split()[-1]
    repo.commit({"README.md": "nothing yet\n"}, tag="before")
    files = {f"work/mlruns/{path.relative_to(store)}": path.read_bytes() for path in store.rglob("*") if path.is_file()}
    repo.commit({**files, "empty/mlruns/readme": "no store"}, tag="after")
    reading = repo.read()
    with reading.files(reading.find("before")) as before:
        assert not list(committed_stores(before, "p"))
    with reading.files(reading.find("after")) as after:
        ((folder, found),) = committed_stores(after, "p")
        assert (folder, found.name) == ("work/mlruns", "p/work/mlruns")
        (experiment,) = [item for item in found.experiments() if item.name == "prices"]
        (run,) = found.runs([experiment.experiment_id])
        assert not found.problems
    assert (run.run_id, run.name, run.status, run.params) == (run_id, "first", "FINISHED", {"lr": "0.1"})
    assert run.metrics == {"val/loss": 0.25}
    assert run.tags["mlflow.source.git.commit"] == "c" * 40


def test_the_store_of_a_real_repository(bundle: Callable[[str], Path]) -> None:
    """Checked by hand against the files of the branch."""
    reading = read_repository(bundle("mlops-titanic"), url="https://example.org/t.git")
    with reading.files(reading.find("mlflow")) as files:
        ((folder, store),) = committed_stores(files, "titanic")
        runs = {run.run_id[:8]: run for run in store.runs([item.experiment_id for item in store.experiments()])}
    assert (folder, len(runs)) == ("mlruns", 4)
    assert runs["89133262"].metrics == {"dt.acc": 100.0, "lr.acc": 80.13, "svm.acc": 96.18}
    # The commit that a run names is one of the repository's.
    commits = {
        revision.commit
        for revision in read_repository(
            bundle("mlops-titanic"), url="https://example.org/t.git", selection=Selection(commits="all")
        ).revisions
    }
    assert {run.tags["mlflow.source.git.commit"] for run in runs.values()} < commits
