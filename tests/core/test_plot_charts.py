"""A plot at several revisions becomes the chart that ``dvc plots`` makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core.errors import ContentError
from ckanext.mlops.core.gitcommand import git_environment
from ckanext.mlops.core.plot_charts import AtRevision, chart, filled, read_template
from ckanext.mlops.core.plot_data import plot_files
from ckanext.mlops.core.repository import read_repository

PIPELINE = """
plots:
- loss.csv:
    x: step
- Both:
    x: step
    y:
      loss.csv: [loss, acc]
    title: Loss and accuracy
- Roc:
    template: simple
    x: fpr
    y:
      eval/train.json: tpr
      eval/test.json: tpr
- Confusion:
    template: confusion
    x: actual
    y:
      classes.csv: predicted
- Bars:
    template: bar_horizontal
    x: {importance.csv: weight}
    y: {importance.csv: feature}
- bare.csv
- Own:
    template: mine
    x: step
    y: {loss.csv: loss}
"""
OWN = {"data": {"values": "<DVC_METRIC_DATA>"}, "mark": "area", "encoding": {"y": {"field": "<DVC_METRIC_Y>"}}}


def files(shift: int) -> dict[str, str]:
    return {
        "dvc.yaml": PIPELINE,
        "loss.csv": "step,loss,acc\n" + "".join(f"{i},{10 - i + shift},{i / 10}\n" for i in range(4)),
        "eval/train.json": json.dumps({"roc": [{"fpr": 0.0, "tpr": 0.1}, {"fpr": 1.0, "tpr": 1.0}]}),
        "eval/test.json": json.dumps({"roc": [{"fpr": 0.0, "tpr": 0.2 * shift}, {"fpr": 1.0, "tpr": 1.0}]}),
        "classes.csv": "actual,predicted\ncat,dog\ncat,cat\n",
        "importance.csv": "feature,weight\nage,0.7\nsex,0.2\n",
        "bare.csv": "a,b\n1,2\n3,4\n",
        ".dvc/plots/mine.json": json.dumps(OWN),
    }


def loose(value: Any) -> Any:
    """DVC keeps the cells of a table as text."""
    if isinstance(value, dict):
        return {key: loose(item) for key, item in value.items()}
    if isinstance(value, list):
        return [loose(item) for item in value]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def test_charts_equal_dvcs(tmp_path: Path) -> None:
    work = tmp_path / "work"
    environment = git_environment() | {"HOME": str(tmp_path), "DVC_NO_ANALYTICS": "1"}
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@lab.test"]

    def git(*arguments: str) -> None:
        subprocess.run(["git", *who, *arguments], cwd=work, env=environment, check=True, capture_output=True)

    def dvc(*arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    work.mkdir()
    git("init", "-q", "-b", "main")
    dvc("init", "-q")
    for shift, name in enumerate(("first", "second")):
        for path, text in files(shift).items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        git("add", "--all")
        git("commit", "-qm", name)
        git("tag", name)
    said = json.loads(dvc("plots", "diff", "first", "second", "--json"))["data"]

    snapshots = {
        one.name: snapshot for snapshot in read_repository(work / ".git", url=str(work)) for one in snapshot.revisions
    }
    reading = read_repository(work / ".git", url=str(work))
    series: dict[str, list[AtRevision]] = {}
    for name in ("first", "second"):
        snapshot = snapshots[name]
        with reading.files(snapshot.revisions[0]) as tree:
            for plot in snapshot.plots:
                rows = {each.path: each.rows for each in plot_files(plot, tree)}
                series.setdefault(plot.name, []).append(AtRevision(name, plot.options, rows))
    assert {key.removeprefix("dvc.yaml::") for key in said} == set(series) == {
        "loss.csv", "Both", "Roc", "Confusion", "Bars", "bare.csv", "Own"
    }  # fmt: skip
    for key, (theirs,) in said.items():
        name = key.removeprefix("dvc.yaml::")
        ours = chart(name, series[name], OWN if name == "Own" else None)
        assert loose(filled(ours.spec, ours.rows)) == loose(theirs["content"]), name
        assert ours.revisions == theirs["revisions"]
        assert ours.problems == {}


def at(revision: str, rows: list[dict[str, Any]], **options: Any) -> AtRevision:
    return AtRevision(revision, options, {"loss.csv": rows})


def test_a_revision_that_cannot_be_drawn_says_why_and_the_others_are() -> None:
    good, other = [{"step": 1, "loss": 0.5}], [{"epoch": 1, "loss": 0.5}]
    made = chart("loss.csv", [at("a", good, x="step"), at("b", other, x="step")])
    assert made.revisions == ["a"]
    assert made.problems == {"b": "loss.csv has no field 'step'; it has epoch, loss"}


def test_many_rows_are_thinned_and_it_is_said() -> None:
    rows = [{"step": number, "loss": 1.0} for number in range(300_000)]
    made = chart("loss.csv", [at("a", rows, x="step")])
    assert made.every > 1
    assert len(made.rows) == -(-300_000 // made.every)


def test_a_template_is_never_a_file_of_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"data": "<DVC_METRIC_DATA>", "password": "hunter2"}')
    made = chart("loss.csv", [at("a", [{"step": 1, "loss": 0.5}], template=str(secret))])
    assert "hunter2" not in json.dumps(made.spec)


@pytest.mark.parametrize("template", [{"mark": "line"}, {"data": 5}, {}])
def test_a_template_without_a_place_for_the_data_is_refused(template: dict[str, Any]) -> None:
    with pytest.raises(ContentError, match="cannot be filled"):
        chart("loss.csv", [at("a", [{"loss": 1}])], template)


@pytest.mark.parametrize("data", [None, b"[]", b"{", b"[" * 60_000, b" " * 70_000])
def test_what_is_no_template_is_refused(data: bytes | None) -> None:
    with pytest.raises(ContentError, match="template 'mine'"):
        read_template(data, "mine")


def test_hostile_options_make_no_chart_of_their_own() -> None:
    rows = [{"step": 1, "loss": 0.5}]
    hostile = {
        "title": {"text": "x"},
        "anchors_y_definitions": 5,
        "template_dir": "/etc",
        "name": "y",
        "data": "z",
        "x": "step",
    }
    made = chart("loss.csv", [AtRevision("a", hostile, {"loss.csv": rows})])
    assert isinstance(made.title, str)
    assert made.rows[0]["loss"] == 0.5
