"""Runs say which data they used: by what DVC recorded, and only where that is sure."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

import pytest

from ckanext.mlops.core import naming
from ckanext.mlops.core.mlflow_clues import hashes
from ckanext.mlops.training.worktree import WorkTree

pytest.importorskip("mlflow")
from ckanext.mlops.training.context import DvcContext, tags

REPOSITORY = "https://git.example.org/team/titanic.git"
pytestmark = pytest.mark.slow


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def trained(project):
    """One run by ``dvc repro``, one by hand, one of a script that no stage knows."""
    project.dvc("repro", "-q")
    project.run(sys.executable, "code/train.py", project.store.as_uri())
    (project.root / "other.py").write_text((project.root / "code/train.py").read_text())
    project.run(sys.executable, "other.py", project.store.as_uri(), CKAN_URL="")
    return project.runs()


def page(address):
    return f"https://portal.example.org/dataset/{naming.package_id(naming.dataset_guid(REPOSITORY, address))}"


def test_a_run_in_a_stage_carries_the_hashes_of_what_the_stage_reads(trained):
    for run in trained[:2]:
        inputs = json.loads(run.tags["mlops.dvc.inputs"])
        assert inputs["data/train.csv"] == md5("a,b\n1,2\n")
        assert inputs["prepared.csv"] == md5("A,B\n1,2\n")
        assert inputs["folder"].endswith(".dir")
        assert set(inputs) == {"data/train.csv", "folder", "prepared.csv"}
        assert run.tags["mlops.dvc.stage"] == "dvc.yaml:train"
        assert set(inputs.values()) <= set(hashes(run))


def test_the_repository_is_named_without_credentials(trained):
    for run in trained:
        assert run.tags["mlops.repository"] == REPOSITORY
        assert "hunter2" not in json.dumps(run.tags)


def test_one_click_leads_from_the_run_to_the_datasets_pages(trained):
    pages = [page("data/train.csv.dvc"), page("folder.dvc"), page("dvc.yaml:prepare")]
    assert trained[0].tags["mlops.datasets"].split() == pages
    for address in pages:
        assert f"]({address})" in trained[0].tags["mlflow.note.content"]


def test_an_input_names_dataset_and_hash(trained):
    # MLflow keeps one description of a dataset for all runs of an experiment that log the same name and digest.
    for run in trained:
        [item] = run.inputs
        assert (item.digest, item.source_type, item.context) == (md5("a,b\n1,2\n"), "ckan_dvc", "training")
        assert item.source["md5"] == item.digest
        assert item.source["page"] == page("data/train.csv.dvc")
        assert item.uri == "ckan+dvc://portal.example.org" + page("data/train.csv.dvc")[26:] + "/data/train.csv"


def test_a_script_that_no_stage_runs_says_nothing_about_inputs(trained):
    assert not {"mlops.dvc.inputs", "mlops.dvc.stage", "mlops.datasets"} & trained[2].tags.keys()


def test_what_was_changed_since_dvc_saw_it_is_left_out(copy_of):
    project = copy_of()
    (project.root / "data/train.csv").unlink()
    (project.root / "data/train.csv").write_text("a,b\n3,4\n")
    found = tags(project.root, "", "", "code/train.py")
    assert set(json.loads(found["mlops.dvc.inputs"])) == {"folder", "prepared.csv"}


def test_nothing_is_said_outside_of_a_dvc_work_tree(tmp_path):
    assert tags(tmp_path, "", "", "train.py") == {}
    (tmp_path / ".git").mkdir()
    assert tags(tmp_path, "", "", "train.py") == {}


def test_a_work_tree_that_cannot_be_read_fails_no_run(copy_of, monkeypatch):
    project = copy_of()
    (project.root / "dvc.lock").write_text("stages: [")
    (project.root / "dvc.yaml").write_bytes(b"\xff")
    (project.root / ".git/config").write_text("[remote")
    monkeypatch.chdir(project.root)
    assert DvcContext().tags() == {}
    monkeypatch.setenv("MLOPS_CONTEXT", "off")
    assert DvcContext().in_context() is False


def test_a_dvc_root_in_a_folder_and_a_linked_work_tree(copy_of, tmp_path_factory):
    project = copy_of()
    root = project.root
    (root / "sub").mkdir()
    for name in ("dvc.yaml", "dvc.lock", "prepared.csv", "data", "folder", "folder.dvc", "code"):
        (root / name).rename(root / "sub" / name)
    found = tags(root / "sub", str(root / "sub"), "train", "")
    assert found["mlops.dvc.stage"] == "sub/dvc.yaml:train"
    assert "sub/data/train.csv" in json.loads(found["mlops.dvc.inputs"])
    project.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
    linked = tmp_path_factory.mktemp("linked") / "tree"
    project.run("git", "worktree", "add", "-q", str(linked))
    assert WorkTree(linked).repository == REPOSITORY


def test_it_is_cheap(project):
    for number in range(2000):
        folder = Path(project.root, "many", str(number % 20))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").touch()
    best = min(_timed(project.root) for _ in range(3))
    assert best < 5, f"{best:.2f} s"


def _timed(root):
    begin = time.perf_counter()
    tags(root, "", "", "code/train.py")
    return time.perf_counter() - begin
