"""A repository with real Git, DVC and MLflow, in which a stage trains, as people do it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core.mlflow_files import FileStore
from ckanext.mlops.core.mlflow_folder import LocalTree
from ckanext.mlops.core.mlflow_records import Run

ORIGIN = "https://ada:hunter2@git.example.org/team/titanic.git"
TRAIN = """\
import sys
import mlflow, pandas
from ckanext.mlops.training import tracked
mlflow.set_tracking_uri(sys.argv[1])
with mlflow.start_run(run_name="train"):
    source = tracked("data/train.csv")
    data = mlflow.data.from_pandas(pandas.read_csv("data/train.csv"), source=source, name="train", digest=source.digest)
    mlflow.log_input(data, context="training")
open("model.pkl", "w").write("model")
"""
PIPELINE = """\
stages:
  prepare:
    cmd: {python} -c "open('prepared.csv', 'w').write(open('data/train.csv').read().upper())"
    deps: [data/train.csv]
    outs: [prepared.csv]
  train:
    cmd: {python} code/train.py {store}
    deps: [data/train.csv, folder, prepared.csv, code/train.py]
    outs: [model.pkl]
"""


class Project:
    """A work tree. ``environment`` is that of whoever trains."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root / "work", root / "mlruns"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = kept | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_GLOBAL_CONFIG_DIR": str(root / "settings"),
            "DVC_SYSTEM_CONFIG_DIR": str(root / "settings"),
            "DVC_SITE_CACHE_DIR": str(root / "site"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "CKAN_URL": "https://portal.example.org",
        }

    def run(self, *command: str, folder: str = "", **variables: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.root / folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def runs(self) -> list[Run]:
        """Runs in the order of their start."""
        store = FileStore(LocalTree(self.store), "local")
        ids = [experiment.experiment_id for experiment in store.experiments()]
        return sorted(store.runs(ids), key=lambda run: run.start)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Data is tracked, nothing was run yet."""
    pytest.importorskip("mlflow")
    project = Project(tmp_path_factory.mktemp("project"))
    for folder in ("data", "folder", "code"):
        (project.root / folder).mkdir(parents=True)
    (project.root / "data/train.csv").write_text("a,b\n1,2\n")
    (project.root / "folder/one.txt").write_text("one\n")
    (project.root / "code/train.py").write_text(TRAIN)
    store = project.store.as_uri()
    (project.root / "dvc.yaml").write_text(PIPELINE.format(python=sys.executable, store=store))
    project.run("git", "init", "-q", "-b", "main")
    project.run("git", "remote", "add", "origin", ORIGIN)
    project.dvc("init", "-q")
    project.dvc("add", "-q", "data/train.csv", "folder")
    return project


@pytest.fixture
def copy_of(project: Project, tmp_path: Path) -> Callable[[], Any]:
    """A copy of the project that the test may change."""

    def copy() -> Project:
        other = Project(tmp_path)
        shutil.copytree(project.root, other.root, symlinks=True)
        return other

    return copy
