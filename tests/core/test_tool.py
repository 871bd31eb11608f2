"""The ``ckan-mlops`` tool on a repository given as folder or bundle."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ckanext.mlops.tool import main

A, B = "a" * 32, "b" * 32
FIRST: dict[str, str | bytes | None] = {
    "data.csv.dvc": f"outs:\n- {{path: data.csv, md5: {A}, hash: md5}}\n",
    "dvc.yaml": "stages:\n  train:\n    cmd: python t.py\n    deps: [data.csv]\n    params: [lr]\n"
    "    outs: [model.pkl]\n"
    "    metrics: [m.json: {cache: false}]\n",
    "params.yaml": "lr: 0.1\n",
    "m.json": '{"acc": {"train": 0.5}, "note": "=1+1"}',
}


@pytest.fixture
def run(repo: Any, tmp_path: Path) -> Callable[..., str]:
    repo.commit(FIRST, tag="v1")
    repo.commit(
        {
            "params.yaml": "lr: 0.2\n",
            "m.json": '{"acc": {"train": 0.7}}',
            "data.csv.dvc": f"outs:\n- {{path: data.csv, md5: {B}}}\n",
        }
    )

    def run(*arguments: str, code: int = 0) -> str:
        words = [
            "--mirrors",
            str(tmp_path / "mirrors"),
            *(str(repo.folder) if word == "REPO" else word for word in arguments),
        ]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_read_for_people(run: Callable[..., str]) -> None:
    text = run("read", "REPO")
    assert "train: model.pkl" in text
    assert "2 revisions, 2 distinct trees, 4 stages" in text


def test_read_json_and_globs(run: Callable[..., str]) -> None:
    found = json.loads(run("read", "REPO", "--json"))
    assert found["schema"] == "ckan-mlops/read/1"
    assert [snapshot["revisions"][0]["name"] for snapshot in found["snapshots"]] == ["main", "v1"]
    assert found["snapshots"][0]["edges"][0]["upstream"] == "data.csv.dvc"
    only = json.loads(run("read", "REPO", "--json", "--revisions", "v*"))
    assert [snapshot["revisions"][0]["name"] for snapshot in only["snapshots"]] == ["v1"]


def test_metrics_and_params_in_dvcs_shape(run: Callable[..., str]) -> None:
    assert json.loads(run("metrics", "REPO", "-a", "-T", "--json")) == {
        "main": {"data": {"m.json": {"data": {"acc": {"train": 0.7}}}}},
        "v1": {"data": {"m.json": {"data": {"acc": {"train": 0.5}, "note": "=1+1"}}}},
    }
    assert json.loads(run("params", "REPO", "--json")) == {"main": {"data": {"params.yaml": {"data": {"lr": 0.2}}}}}


def test_csv_does_not_carry_formulas(run: Callable[..., str]) -> None:
    rows = list(csv.reader(io.StringIO(run("metrics", "REPO", "-a", "-T", "--csv"))))
    assert rows == [
        ["Revision", "Path", "acc.train", "note"],
        ["main", "m.json", "0.7", "-"],
        ["v1", "m.json", "0.5", "'=1+1"],
    ]


def test_markdown(run: Callable[..., str]) -> None:
    assert "| main | m.json | 0.7 |" in run("metrics", "REPO", "--markdown")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "data.csv.dvc -> train\n"),
        (["--dot"], '"data.csv.dvc" -> "train";'),
        (["--mermaid"], "node1-->node2"),
        (["--outs"], "data.csv -> m.json\ndata.csv -> model.pkl\n"),
        (["--rev", "v1"], "data.csv.dvc -> train\n"),
    ],
)
def test_dag(run: Callable[..., str], options: list[str], expected: str) -> None:
    assert expected in run("dag", "REPO", *options)


def test_diff(run: Callable[..., str]) -> None:
    found = {(item["subject"], item["name"]): item for item in json.loads(run("diff", "REPO", "v1", "main", "--json"))}
    assert (found["param", "lr"]["before"], found["param", "lr"]["after"]) == (0.1, 0.2)
    assert found["metric", "acc.train"]["kind"] == "changed"
    assert found["metric", "note"]["kind"] == "removed"
    assert (found["output", "data.csv"]["before"], found["output", "data.csv"]["after"]) == (A, B)
    assert "no difference" in run("diff", "REPO", "v1", "v1")


def test_a_commit_by_its_id(run: Callable[..., str], repo: Any) -> None:
    assert "train" in run("dag", "REPO", "--rev", repo.git("rev-parse", "v1")[:10])


def test_errors_are_one_line(run: Callable[..., str]) -> None:
    assert run("dag", "REPO", "--rev", "nope", code=1).startswith("Error: ")
    assert run("read", "/no/such/folder", code=1).startswith("Error: ")
    assert run("read", "ext::sh -c id", code=1).startswith("Error: ")


def test_a_bundle(run: Callable[..., str], repo: Any, tmp_path: Path) -> None:
    bundle = tmp_path / "p.bundle"
    subprocess.run(["git", f"--git-dir={repo.folder}", "bundle", "create", "-q", str(bundle), "--all"], check=True)
    assert "train: model.pkl" in run("read", str(bundle))
