"""Which output is which stage's input."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.mlops.core.lineage import Edge, relate
from ckanext.mlops.core.records import Dependency, Output, Snapshot, SourceHint, Stage


def stage(address: str, deps: list[str | Dependency], outs: list[str], **more: object) -> Stage:
    return Stage(
        address,
        more.pop("file", "dvc.yaml"),  # type: ignore[arg-type]
        address,
        deps=tuple(Dependency(dep) if isinstance(dep, str) else dep for dep in deps),
        outs=tuple(map(Output, outs)),
        **more,  # type: ignore[arg-type]
    )


def edges(*stages: Stage) -> list[tuple[str, str, str | None, str | None]]:
    return [(edge.kind, edge.downstream, edge.upstream, edge.output_path) for edge in relate(Snapshot((), stages))]


@pytest.mark.parametrize(
    ("output", "dependency", "kind"),
    [
        ("data/x.csv", "data/x.csv", "output"),
        ("data", "data/x.csv", "output"),
        ("data/x.csv", "data", "output"),
        ("data/x.csv", ".", "output"),
        ("data", "database.csv", "code"),
        ("data/x", "data/x.csv", "code"),
        ("data/", "data/x.csv", "output"),
    ],
)
def test_paths_that_meet(output: str, dependency: str, kind: str) -> None:
    found = edges(stage("a", [], [output]), stage("b", [dependency], ["o"]))
    expected = ("output", "b", "a", output) if kind == "output" else ("code", "b", None, None)
    assert found == [expected]


def test_a_folder_with_outputs_of_several_stages() -> None:
    found = edges(stage("a", [], ["d/1"]), stage("b", [], ["d/2", "e"]), stage("c", ["d"], []))
    assert found == [("output", "c", "a", "d/1"), ("output", "c", "b", "d/2")]


def test_a_stage_does_not_read_itself() -> None:
    assert edges(stage("a", ["x", "d"], ["x", "d/y"])) == [("code", "a", None, None), ("code", "a", None, None)]


def test_a_dependency_on_a_stage_file_runs_after_that_stage() -> None:
    first = stage("dvc/prepare.dvc", [], ["p"], file="dvc/prepare.dvc")
    after = stage("Dvcfile", [Dependency("dvc/prepare.dvc", kind="stage")], [], file="Dvcfile")
    lost = stage("b", [Dependency("gone.dvc", kind="stage")], [])
    assert edges(first, after, lost) == [("stage", "Dvcfile", "dvc/prepare.dvc", None), ("code", "b", None, None)]


def test_outside_sources() -> None:
    repo = Dependency("raw.csv", kind="repo", source="https://h.org/o/reg.git", rev="v1")
    url = Dependency("s3://b/k", kind="url", source="s3://b/k")
    hint = SourceHint("kaggle-competition", "https://www.kaggle.com/c/titanic", "titanic")
    found = relate(Snapshot((), (stage("a", [repo, url], []), stage("b", [], [], hints=(hint,)))))
    assert [(edge.kind, edge.external, edge.label) for edge in found] == [
        ("external", "https://h.org/o/reg.git", "raw.csv of reg at v1"),
        ("external", "s3://b/k", "s3://b/k"),
        ("hint", "https://www.kaggle.com/c/titanic", "titanic"),
    ]
    assert isinstance(found[0], Edge)
    assert found[2].hint == hint


def test_outputs_outside_of_the_repository_join_their_readers(read_files: Any) -> None:
    """As in Etheredge-Works/gloves: the same private path, whose whole name nobody sees; other paths stay apart."""
    lock = "stages:\n"
    for name, kind in (("clean", "outs"), ("train", "deps")):
        lock += f"  {name}:\n    cmd: x\n    {kind}:\n"
        for folder, digest in (("/srv/a", "a" * 32), ("/srv/b", "b" * 32)):
            lock += f"    - {{path: {folder}/train, md5: {digest}}}\n"
    snapshot = read_files(
        {
            "dvc.yaml": "stages:\n  clean: {cmd: x, outs: [/srv/a/train, /srv/b/train]}\n"
            "  train: {cmd: x, deps: [/srv/a/train, /srv/./b/train, /srv/c/train]}\n",
            "dvc.lock": lock,
        }
    )
    edges = [(edge.kind, edge.upstream, edge.output_path) for edge in relate(snapshot)]
    assert edges == [("output", "clean", "train")] * 2 + [("external", None, None)]
    assert [out.hash for out in snapshot.stages[0].outs] == ["a" * 32, "b" * 32]
    assert "srv" not in str(snapshot.stages[1].deps)


def test_a_file_cannot_pretend_to_lie_outside(read_files: Any) -> None:
    snapshot = read_files(
        {
            "a.dvc": f"outs:\n- {{path: a, md5: {'a' * 32}, outside: [1]}}\n",
            "dvc.yaml": "stages:\n  s: {cmd: x, deps: [a]}\n",
            "dvc.lock": "stages:\n  s: {cmd: x, deps: [{path: a, outside: {b: 1}}]}\n",
        }
    )
    assert [(edge.kind, edge.upstream) for edge in relate(snapshot)] == [("output", "a.dvc")]
    assert next(stage for stage in snapshot.stages if stage.kind == "data").outs[0].extra == {"x-outside": [1]}
