"""Which output is which stage's input."""

from __future__ import annotations

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
