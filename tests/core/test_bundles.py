"""Real repositories, against tables checked by hand and against golden files.

``UPDATE_GOLDEN=1 pytest tests/core/test_bundles.py`` writes the golden files anew; look at their diff.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ckanext.mlops.core import Selection, read_repository
from ckanext.mlops.core.lineage import relate
from ckanext.mlops.core.records import Snapshot, from_dict, to_dict
from ckanext.mlops.tool.render import read_json

BUNDLES = ("dataset-registry", "example-get-started", "lk-demo-experiment", "mlops-titanic", "vscode-dvc-demo")
GOLDEN = Path(__file__).parents[1] / "data/golden"
SELECTIONS = {"lk-demo-experiment": Selection(branches=("main",))}

# mlops-titanic by hand: `git show REVISION:FILE`, first four characters of each md5.
TITANIC = {
    "wrong-baseline": {
        "dvc/01-fetch-data.dvc": ({}, {"gender_submission.csv": "b569", "test.csv": "029c", "train.csv": "61fd"}),
        "dvc/02-prepare-data.dvc": (
            {"data/train.csv": "61fd", "data/test.csv": "029c", "code/prepare.py": "1e56"},
            {"train_prepared.pkl": "7378", "test_prepared.pkl": "6fac"},
        ),
        "code/Dvcfile": ({"dvc/02-prepare-data.dvc": "188b"}, {"metrics.json": "bafb"}),
    },
    "baseline": {
        "dvc/01-fetch-data.dvc": ({}, {"gender_submission.csv": "b569", "test.csv": "029c", "train.csv": "61fd"}),
        "dvc/02-prepare-data.dvc": (
            {"data/train.csv": "61fd", "data/test.csv": "029c", "code/prepare.py": "cf86"},
            {"train_prepared.pkl": "ef66", "test_prepared.pkl": "9c7f"},
        ),
        "Dvcfile": ({"data/train_prepared.pkl": "ef66", "data/test_prepared.pkl": "9c7f"}, {"metrics.json": "098b"}),
    },
}


def snapshots(git_dir: Path, selection: Selection = Selection()) -> dict[str, Snapshot]:  # noqa: B008
    reading = read_repository(git_dir, url="https://example.org/x.git", selection=selection)
    return {revision.name: snapshot for snapshot in reading for revision in snapshot.revisions}


@pytest.mark.parametrize("name", BUNDLES)
def test_golden(bundle: Callable[[str], Path], name: str) -> None:
    selection = SELECTIONS.get(name, Selection(experiments=True))
    reading = read_repository(bundle(name), url=f"https://example.org/{name}.git", selection=selection)
    text = "".join(read_json(reading))
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert json.loads(text) == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", BUNDLES)
def test_every_record_survives_a_round_trip(bundle: Callable[[str], Path], name: str) -> None:
    for snapshot in read_repository(bundle(name), url="https://example.org/x", selection=Selection(experiments=True)):
        assert from_dict(Snapshot, json.loads(json.dumps(to_dict(snapshot)))) == snapshot


@pytest.mark.parametrize("name", BUNDLES)
def test_every_commit_reads_without_an_unexpected_problem(bundle: Callable[[str], Path], name: str) -> None:
    everything = Selection(experiments=True, commits="all")
    start = time.process_time()
    found = list(read_repository(bundle(name), url="https://example.org/x", selection=everything))
    assert time.process_time() - start < 60
    assert sum(len(snapshot.stages) for snapshot in found) > 20
    errors = {problem.message for snapshot in found for problem in snapshot.problems if problem.severity == "error"}
    assert not errors


@pytest.mark.parametrize("revision", TITANIC)
def test_titanic_stages(bundle: Callable[[str], Path], revision: str) -> None:
    snapshot = snapshots(bundle("mlops-titanic"))[revision]
    found = {
        stage.address: (
            {dep.path: (dep.hash or "")[:4] for dep in stage.deps},
            {out.path.removeprefix("data/"): (out.hash or "")[:4] for out in stage.outs},
        )
        for stage in snapshot.stages
    }
    assert found == TITANIC[revision]


def test_titanic_revisions_sources_and_metrics(bundle: Callable[[str], Path]) -> None:
    found = snapshots(bundle("mlops-titanic"))
    assert set(found) == {"master", "mlflow", "tensorflow", "baseline", "overfitting", "wrong-baseline"}
    for snapshot in found.values():
        fetch = next(stage for stage in snapshot.stages if stage.address == "dvc/01-fetch-data.dvc")
        assert any("kaggle.com" in hint.uri and "titanic" in hint.uri for hint in fetch.hints)
        assert [metric.state for stage in snapshot.stages for metric in stage.metrics] == ["not-in-git"]
        assert "/Users/" not in json.dumps(to_dict(snapshot))


def test_titanic_lineage_is_one_chain(bundle: Callable[[str], Path]) -> None:
    found = snapshots(bundle("mlops-titanic"))
    for revision, last, kind in (("baseline", "Dvcfile", "output"), ("wrong-baseline", "code/Dvcfile", "stage")):
        edges = {(edge.upstream, edge.downstream, edge.kind) for edge in relate(found[revision]) if edge.upstream}
        assert edges == {
            ("dvc/01-fetch-data.dvc", "dvc/02-prepare-data.dvc", "output"),
            ("dvc/02-prepare-data.dvc", last, kind),
        }
