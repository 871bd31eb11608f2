"""A second demo builds nothing again, a broken build leaves nothing behind, and no work of a user is lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import requests
from rich.console import Console

from embedded.demo.mlflow_runs import MlflowServer
from embedded.demo.project import build_project
from embedded.demo.workspace import DemoError, Workspace, now


def build(folder, url="http://127.0.0.1:1"):
    return build_project(folder, mlflow_uri=url, python=Path(sys.executable), console=Console(quiet=True))


def all_runs(server, experiment):
    url = f"{server.url}/api/2.0/mlflow/runs/search"
    return requests.post(url, json={"experiment_ids": [experiment], "max_results": 100}, timeout=30).json()["runs"]


def test_second_build_only_finds_the_first(built):
    before = built.space.git("for-each-ref")
    again = build(built.space.folder)
    assert not again.built
    assert again.trainings == built.project.trainings
    assert built.space.git("for-each-ref") == before
    assert len(all_runs(built.server, built.project.experiment_id)) == len(built.project.trainings)


def test_the_killed_build_was_started_again(built):
    assert "broken off" in built.output
    assert len(built.killed_runs) == 1


def test_runs_of_the_killed_build_are_deleted(built):
    active = {run["info"]["run_id"] for run in all_runs(built.server, built.project.experiment_id)}
    assert not active & set(built.killed_runs)


def test_both_builds_made_the_same_data_and_trees(built):
    made = {path.relative_to(built.space.remote).as_posix() for path in built.space.remote.rglob("*") if path.is_file()}
    assert len(built.killed_objects) >= 7
    assert built.killed_objects <= made
    trees = tuple(built.space.git("log", "--reverse", "--format=%T", "main").split())
    assert trees[: len(built.killed_trees)] == built.killed_trees


def test_what_the_user_did_in_the_work_tree_stays(built):
    (built.space.work / "notes.txt").write_text("mine")
    try:
        assert not build(built.space.folder).built
        assert (built.space.work / "notes.txt").read_text() == "mine"
    finally:
        (built.space.work / "notes.txt").unlink()


def test_a_folder_of_somebody_else_is_refused(tmp_path, mlflow_url):
    (tmp_path / "titanic").mkdir()
    (tmp_path / "titanic" / "precious").write_text("mine")
    with pytest.raises(DemoError, match="not made by this demo"):
        build(tmp_path, mlflow_url)
    assert (tmp_path / "titanic" / "precious").exists()


def test_a_damaged_state_names_the_file_and_the_remedy(tmp_path):
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(DemoError, match=r"demo\.json is damaged.*Delete the folder"):
        build(tmp_path)


def test_an_absent_mlflow_server_is_named_before_anything_is_built(tmp_path):
    with pytest.raises(DemoError, match=r"http://127\.0\.0\.1:1 does not answer"):
        build(tmp_path)
    assert not (tmp_path / "titanic").exists()


def test_a_deleted_experiment_is_restored(mlflow_url, built):
    server = MlflowServer(mlflow_url)
    api = f"{mlflow_url}/api/2.0/mlflow/experiments"
    requests.post(f"{api}/delete", json={"experiment_id": built.project.experiment_id}, timeout=30).raise_for_status()
    assert server.prepare_experiment() == built.project.experiment_id
    found = requests.get(f"{api}/get", params={"experiment_id": built.project.experiment_id}, timeout=30).json()
    assert found["experiment"]["lifecycle_stage"] == "active"


def test_a_failing_command_shows_its_last_lines(tmp_path):
    space = Workspace(tmp_path, Path(sys.executable), now)
    with pytest.raises(DemoError, match=r"(?s)exit code 3.*the reason"):
        space.shell("echo the reason; exit 3", tmp_path)


def test_settings_of_the_user_do_not_reach_the_demo(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    space = Workspace(tmp_path, Path(sys.executable), now)
    assert "GIT_DIR" not in space.env
    assert "MLFLOW_EXPERIMENT_NAME" not in space.env
