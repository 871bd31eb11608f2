"""Real DVC finds the project complete, and the remote has every object that any revision names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml


def named_objects(built):
    """(path in the remote, md5) of every stored output of every commit."""
    show = built.space.git
    for commit in show("rev-list", "--all").split():
        for path in show("ls-tree", "-r", "--name-only", commit).split():
            if path == "dvc.lock":
                lock = yaml.safe_load(show("show", f"{commit}:{path}"))
                defined = yaml.safe_load(show("show", f"{commit}:dvc.yaml"))["stages"]
                for name, stage in lock["stages"].items():
                    in_git = {
                        key for kind in ("metrics", "plots") for item in defined[name].get(kind, []) for key in item
                    }
                    for out in stage["outs"]:
                        if out["path"] not in in_git:
                            yield f"files/md5/{out['md5'][:2]}/{out['md5'][2:]}", out["md5"]
            elif path.endswith(".dvc") or path == "Dvcfile":
                for out in yaml.safe_load(show("show", f"{commit}:{path}"))["outs"]:
                    if out["cache"]:
                        yield f"{out['md5'][:2]}/{out['md5'][2:]}", out["md5"]


def test_the_remote_holds_every_object(built):
    found = set(named_objects(built))
    assert len(found) > 15
    for path, md5 in found:
        content = (built.space.remote / path).read_bytes()
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5


def test_status_is_up_to_date(built):
    assert json.loads(built.space.dvc("status", "--json")) == {}
    assert json.loads(built.space.dvc("status", "--cloud", "--json")) == {}


def test_metrics_are_those_in_git(built):
    shown = json.loads(built.space.dvc("metrics", "show", "--all-branches", "--json"))
    for branch in ("main", "tensorflow"):
        committed = json.loads(built.space.git("show", f"{branch}:metrics.json"))
        values = [revision["data"]["metrics.json"]["data"] for name, revision in shown.items() if branch in name]
        assert values == [committed]


def test_the_tagged_model_is_found_by_its_name_and_version(built):
    assert "models/model.pkl" in (built.space.work / "dvc.yaml").read_text()
    built.space.dvc(
        "artifacts", "get", ".", "survival-model", "--rev", "v1.0.0", "--out", str(built.space.folder / "got")
    )
    got = built.space.folder / "got"
    found = got / "model.pkl" if got.is_dir() else got
    assert found.read_bytes() == (built.space.work / "models/model.pkl").read_bytes()


@pytest.mark.parametrize("revision", ["main", "tensorflow"])
def test_a_clone_beside_the_project_pulls_its_data(built, tmp_path, revision):
    (tmp_path / "dvc-remote").symlink_to(built.space.remote)
    clone = tmp_path / "mine"
    built.space.run("git", "clone", "--quiet", "--branch", revision, built.project.url, clone)
    built.space.run(built.space.python, "-m", "dvc", "pull", "--quiet", cwd=clone)
    lock = yaml.safe_load((clone / "dvc.lock").read_text())
    for out in lock["stages"]["prepare"]["outs"]:
        content = (clone / Path(out["path"])).read_bytes()
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == out["md5"]
