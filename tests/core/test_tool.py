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

from ckanext.mlops.core.records import Dependency, Output, Snapshot, Stage
from ckanext.mlops.tool import main
from ckanext.mlops.tool.render import dag_text

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


@pytest.mark.parametrize("form", ["text", "dot", "mermaid"])
def test_a_dag_of_outputs_with_odd_names(form: str) -> None:
    """Found by damaging real files: an output that ends in a slash, two stages whose names are one when cleaned."""
    stages = (
        Stage("a", "dvc.yaml", "a", outs=(Output("s3://bucket/d/"),)),
        Stage("b", "dvc.yaml", "b", deps=(Dependency("s3://bucket/d/x"),), outs=(Output("first"),)),
        Stage("b", "dvc.yaml", "b", outs=(Output("second"),)),
        Stage("c", "dvc.yaml", "c", deps=(Dependency("first"),), outs=(Output("end"),)),
    )
    text = dag_text(Snapshot((), stages), outs=True, form=form)
    assert all(path in text for path in ("s3://bucket/d/", "first", "second", "end"))


def test_diff(run: Callable[..., str]) -> None:
    found = {(item["subject"], item["name"]): item for item in json.loads(run("diff", "REPO", "v1", "main", "--json"))}
    assert (found["param", "lr"]["before"], found["param", "lr"]["after"]) == (0.1, 0.2)
    assert found["metric", "acc.train"]["kind"] == "changed"
    assert found["metric", "note"]["kind"] == "removed"
    assert (found["output", "data.csv"]["before"], found["output", "data.csv"]["after"]) == (A, B)
    assert "no difference" in run("diff", "REPO", "v1", "v1")


def test_changed_values_in_dvcs_shape(run: Callable[..., str]) -> None:
    found = json.loads(run("params", "REPO", "--diff", "v1", "main", "--json"))
    assert found == {"params.yaml": {"lr": {"old": 0.1, "new": 0.2, "diff": 0.1}}}
    text = run("metrics", "REPO", "--diff", "v1", "main", "--markdown")
    assert "| Path | Name | v1 | main | Change |" in text
    assert "| m.json | note | =1+1 | - | - |" in text


def test_the_last_commits(run: Callable[..., str], repo: Any) -> None:
    newest, older = repo.git("rev-list", "main").split()
    assert list(json.loads(run("metrics", "REPO", "-n", "1", "--json"))) == [newest]
    assert list(json.loads(run("metrics", "REPO", "--last", "9", "--json"))) == [newest, older]
    read = json.loads(run("read", "REPO", "--json", "--revisions", "none", "--last", "1"))
    assert [snapshot["revisions"][0]["name"] for snapshot in read["snapshots"]] == [newest]


def test_plots(run: Callable[..., str], repo: Any) -> None:
    repo.commit({"dvc.yaml": "plots: [loss.csv]\n", "loss.csv": "step,loss\n1,0.5\n"}, tag="p")
    assert json.loads(run("plots", "REPO", "--rev", "p", "--json"))["loss.csv"]["loss.csv"]["rows"] == [
        {"step": 1, "loss": 0.5}
    ]
    assert run("plots", "REPO", "--rev", "p", "--csv").splitlines() == [
        "Plot,Path,step,loss",
        "loss.csv,loss.csv,1,0.5",
    ]
    assert "in-git" in run("plots", "REPO", "--rev", "p")


def test_runs_that_were_committed(run: Callable[..., str], repo: Any) -> None:
    meta = "artifact_uri: /home/ada/x\nrun_id: 9f\nexperiment_id: '0'\nstatus: 3\nstart_time: 1700000000000\n"
    repo.commit(
        {
            "mlruns/0/meta.yaml": "experiment_id: '0'\nname: Default\n",
            "mlruns/0/9f/meta.yaml": meta,
            "mlruns/0/9f/metrics/acc": "1700000000000 0.75 0\n",
        }
    )
    assert "acc=0.75" in run("runs", "REPO")
    (found,) = json.loads(run("runs", "REPO", "--json"))["mlruns"]["runs"]
    assert (found["run_id"], found["metrics"], found["status"]) == ("9f", {"acc": 0.75}, "FINISHED")


def test_tags_of_a_registry(run: Callable[..., str], repo: Any) -> None:
    repo.git("update-ref", "refs/tags/net@v1.0.0", "refs/heads/main")
    repo.git("update-ref", "refs/tags/net#prod#1", "refs/heads/main")
    (net,) = json.loads(run("read", "REPO", "--json"))["artifacts"]
    assert (net["name"], net["versions"][0]["version"], net["stages"][0]["stage"]) == ("net", "v1.0.0", "prod")


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
