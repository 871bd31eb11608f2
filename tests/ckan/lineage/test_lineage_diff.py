"""Two revisions compared: what changed, and why a metric moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

URL = "https://example.org/why.git"
PIPELINE = """\
stages:
  prepare:
    cmd: cp raw.csv prepared.csv
    deps: [raw.csv, prepare.py]
    outs: [prepared.csv]
  train:
    cmd: {train} && echo '{{"accuracy":{accuracy}}}' > metrics.json
    deps: [prepared.csv]
    params: [trees]
    outs: [model.pkl]
    metrics: [{{metrics.json: {{cache: false}}}}]
"""


@pytest.fixture(scope="session")
def built(make_repo: Any) -> Path:
    """A repository of two tags: all that may make a metric move differs between them."""
    repo = make_repo("why")
    repo.write(
        {
            "raw.csv": "age,fare\n1,2\n3,4\n5,6\n",
            "prepare.py": "print('as it was at first')\n",
            "params.yaml": "trees: 10\n",
            "dvc.yaml": PIPELINE.format(train="cat prepared.csv > model.pkl", accuracy=0.7),
        }
    )
    repo.dvc("add", "-q", "raw.csv")
    repo.dvc("repro", "-q")
    repo.commit("before")
    repo.write(
        {
            "raw.csv": "age,fare\n1,2\n3,4\n5,7\n",
            "prepare.py": "print('as it is now, and longer')\n",
            "params.yaml": "trees: 25\n",
            "dvc.yaml": PIPELINE.format(train="cat prepared.csv prepared.csv > model.pkl", accuracy=0.9),
        }
    )
    repo.dvc("add", "-q", "raw.csv")
    repo.dvc("repro", "-q")
    repo.commit("after")
    return Path(repo.path)


@pytest.fixture
def two_tags(built: Path, load: Any) -> dict[str, str]:
    return dict(load(built, URL))


def test_the_causes_of_a_metric_are_ordered_by_closeness(two_tags: dict[str, str], ask: Any) -> None:
    found = ask("mlops_lineage_diff", id=two_tags["train"], before="before", after="after")
    [moved] = found["why"]
    assert (moved["metric"], moved["before"], moved["after"]) == ("accuracy", 0.7, 0.9)
    assert moved["delta"] == pytest.approx(0.2)
    causes = [(each["distance"], each["what"], each["name"]) for each in moved["causes"]]
    assert causes == [
        (0, "command", ""),
        (0, "param", "trees"),
        (0, "input", "prepared.csv"),
        (1, "code", "prepare.py"),
        (1, "input", "raw.csv"),
        (2, "input", "raw.csv"),
    ]
    assert moved["causes"][1]["delta"] == 15
    assert {node["change"] for node in found["nodes"]} == {"changed"}
    assert {edge["change"] for edge in found["edges"]} == {"changed"}


def test_nothing_moved_between_equal_revisions(two_tags: dict[str, str], ask: Any) -> None:
    found = ask("mlops_lineage_diff", id=two_tags["train"], before="after", after="main")
    assert found["why"] == []
    assert {node["change"] for node in found["nodes"]} == {"same"}


@pytest.mark.parametrize("level", ["files", "steps"])
def test_levels_have_the_same_reasons(two_tags: dict[str, str], ask: Any, level: str) -> None:
    found = ask("mlops_lineage_diff", id=two_tags["train"], before="before", after="after", level=level)
    assert len(found["why"][0]["causes"]) == 6
    changed = {node.get("path") or node["title"] for node in found["nodes"] if node["change"] == "changed"}
    assert changed >= {"model.pkl", "prepared.csv", "raw.csv"}


def test_an_input_that_is_newer_than_what_was_made_from_it_is_told(make_repo: Any, load: Any, ask: Any) -> None:
    repo = make_repo("stale")
    pipeline = "stages:\n  copy:\n    cmd: cp raw.csv out.csv\n    deps: [raw.csv]\n    outs: [out.csv]\n"
    repo.write({"raw.csv": "some rows of data\n1\n2\n", "dvc.yaml": pipeline})
    repo.dvc("add", "-q", "raw.csv")
    repo.dvc("repro", "-q")
    repo.commit("fresh")
    repo.write({"raw.csv": "some rows of data\n1\n2\n3\n"})
    repo.dvc("add", "-q", "raw.csv")
    repo.commit("stale")
    ids = load(repo.path, URL)

    def stale(at: str) -> Any:
        found = ask("mlops_lineage_show", id=ids["copy"], at=at)
        return next(node["stale"] for node in found["nodes"] if node["id"] == ids["copy"])

    assert stale("fresh") is False
    [reason] = stale("stale")
    assert (reason["id"], reason["path"]) == (ids["raw.csv.dvc"], "raw.csv")
    assert reason["used"] != reason["newest"]
