"""Records over the network: what the reader writes comes back equal, anything else is bounded or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckanext.mlops.core.errors import ContentError
from ckanext.mlops.core.limits import Limits
from ckanext.mlops.core.received import SCHEMA, received
from ckanext.mlops.core.records import (
    Dependency,
    Metric,
    Output,
    Param,
    Plot,
    Problem,
    Remote,
    Repository,
    Revision,
    Snapshot,
    SourceHint,
    Stage,
    to_dict,
)

REVISION = Revision("main", "branch", "c" * 40, "refs/heads/main", "2024-03-01T10:00:00Z", "Ada", "First", "", "t" * 40)
STAGE = Stage(
    "train", "dvc.yaml", "train", line=3, command="python train.py", wdir="x",
    deps=(Dependency("a.csv", "repo", "h", "md5", 3, 1, "https://example.org/r.git", "v1", "c" * 40),),
    outs=(Output("m.pkl", "h" * 32, "md5", 9, storage="s3://b/files/md5/hh", labels=("forest",), meta={"a": 1}),),
    params=(Param("params.yaml", "seed", 1),),
    metrics=(Metric("m.json", "in-git", {"accuracy": 0.5}),),
    hints=(SourceHint("kaggle", "https://kaggle.com/c/titanic", "titanic"),),
    frozen=True, desc="Trains.",
)  # fmt: skip
SNAPSHOT = Snapshot(
    (REVISION,), (STAGE,), (Remote("s3", "s3", "s3://b", default=True),), (Problem("odd", "dvc.yaml", 1),),
    (Metric("top.json", "invalid", None, "why"),), (Param("p.yaml", "x", [1]),), "# Read me", "MIT", complete=False,
    plots=(Plot("p.csv", ("p.csv",), {"p.csv": "b" * 40}, {"x": "epoch"}),),
)  # fmt: skip


def document(**changes: Any) -> dict[str, Any]:
    head = {
        "schema": SCHEMA,
        "repository": to_dict(Repository("https://example.org/o/r.git", "r", "main")),
        "problems": [to_dict(Problem("something"))],
        "snapshots": [{**to_dict(SNAPSHOT), "edges": [{"any": "thing"}]}],
    }
    return json.loads(json.dumps({**head, **changes}))


def stage(**values: Any) -> dict[str, Any]:
    snapshot = to_dict(SNAPSHOT)
    return document(snapshots=[{**snapshot, "stages": [{**to_dict(STAGE), **values}]}])


def test_what_the_reader_wrote_comes_back_equal() -> None:
    found = received(document())
    assert found.snapshots == [SNAPSHOT]
    assert found.repository == Repository("https://example.org/o/r.git", "r", "main")
    assert found.problems == [Problem("something")]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (None, "schema must be"),
        ([], "schema must be"),
        ({"schema": "other/1"}, "schema must be"),
        (document(snapshots={}), "snapshots: must be a list"),
        (document(snapshots=[1]), r"snapshots\[0\]: must be an object"),
        (document(snapshots=[{}]), r"snapshots\[0\]: needs revisions"),
        (document(snapshots=[{"revisions": []}]), "at least one is needed"),
        (document(snapshots=[{"revisions": [{"name": "x"}]}]), r"revisions\[0\]: needs name, kind, commit"),
        (document(snapshots=[{"revisions": [{"name": "x", "kind": "tag", "commit": "HEAD"}]}]), "a full commit id"),
        (document(snapshots=[{"revisions": [{**to_dict(REVISION), "date": "yesterday"}]}]), "date: must be a date"),
        (document(repository=None), "repository: must be an object"),
        (document(repository={"url": "x", "name": 3}), "repository.name: must be text"),
        (stage(kind="evil"), "kind: must be one of stage, data"),
        (stage(outs="abc"), "outs: must be a list"),
        (stage(outs=[{"path": ["a"]}]), r"outs\[0\].path: must be text"),
        (stage(outs=[{"path": "a", "size": "1"}]), "size: must be of type int"),
        (stage(outs=[{"path": "a", "size": True}]), "size: must be of type int"),
        (stage(outs=[{"path": "a", "size": 2**64}]), "out of range"),
        (stage(frozen=1), "frozen: must be of type bool"),
        (stage(meta=[]), "meta: must be an object"),
        (stage(deps=[{"path": "a", "kind": "path", "owner": "x"}]), "there is no field owner"),
        (stage(outs=[{"path": f"{n}"} for n in range(20_001)]), "more than 20,000 items"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(sent: Any, said: str) -> None:
    with pytest.raises(ContentError, match=said):
        received(sent)


def test_texts_are_bounded_and_cleaned() -> None:
    found = received(
        stage(
            name="x" * 5_000,
            desc="a\x00b\u202e",
            command="curl https://user:secret@host/x",
            outs=[{"path": "p", "storage": "https://user:secret@host/x?sig=1"}],
            extra={"deep": json.loads("[" * 80 + "]" * 80)},
        )
    )
    [made] = found.snapshots[0].stages
    assert len(made.name) == 1_000
    assert "\x00" not in made.desc
    assert "\u202e" not in made.desc
    assert "secret" not in json.dumps(to_dict(made))
    assert "…" in json.dumps(to_dict(made), ensure_ascii=False)


def test_counts_follow_the_limits() -> None:
    with pytest.raises(ContentError, match="stages: more than 1 items"):
        received(document(snapshots=[{**to_dict(SNAPSHOT), "stages": [to_dict(STAGE)] * 2}]), Limits(stages=1))
