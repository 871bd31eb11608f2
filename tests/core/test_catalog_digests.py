"""A dataset that is as it was is known by what its digest is made of, and not described again."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from ckanext.mlops.catalog.datasets import Options
from ckanext.mlops.catalog.digests import Digests
from ckanext.mlops.catalog.drafts import Draft, describe, draft
from ckanext.mlops.catalog.edges import Upstream
from ckanext.mlops.catalog.plan import Known, plan
from ckanext.mlops.core.records import (
    Dependency,
    Metric,
    Output,
    Param,
    Repository,
    Revision,
    Snapshot,
    SourceHint,
    Stage,
)

REPOSITORY = Repository("https://github.com/lab/titanic", "titanic", "main")
MAIN = Revision("main", "branch", "a" * 40, date="2024-03-01T00:00:00Z")
OLD = Revision("old", "tag", "b" * 40, date="2023-03-01T00:00:00Z")
RAW = Stage("raw.csv.dvc", "raw.csv.dvc", "raw.csv.dvc", "data", outs=(Output("raw.csv", "1" * 32, "md5"),))
FIT = Stage(
    "fit", "dvc.yaml", "fit", line=7, command="python fit.py",
    deps=(Dependency("raw.csv", hash="1" * 32), Dependency("data.csv", "repo", source="https://github.com/lab/data")),
    outs=(Output("model.pkl", "2" * 32, "md5", size=9), Output("m.json", kind="metrics", blob="3" * 40)),
    params=(Param("params.yaml", "rate", 0.5),), metrics=(Metric("m.json", "in-git", {"auc": 0.9}),),
    hints=(SourceHint("kaggle", "https://kaggle.com/x", "x"),), desc="Fits.",
)  # fmt: skip
OTHER: dict[type, Any] = {str: "other", bool: True, dict: {"a": [1, {"b": None}]}, int: 12, float: 0.25}


def other(value: Any) -> Any:
    """A value of the same kind that differs."""
    if value is None:
        return "other"
    return (*value, "other") if isinstance(value, tuple) else not value if value is True else OTHER[type(value)]


def variations() -> Iterator[tuple[str, Stage]]:
    """The stage with each of its values changed."""
    for each in fields(Stage):
        values = getattr(FIT, each.name)
        if each.name in ("deps", "outs", "params", "metrics", "hints"):
            yield each.name, replace(FIT, **{each.name: values[1:]})
            for part in fields(values[0]):
                changed = replace(values[0], **{part.name: other(getattr(values[0], part.name))})
                yield f"{each.name}.{part.name}", replace(FIT, **{each.name: (changed, *values[1:])})
        else:
            yield each.name, replace(FIT, **{each.name: other(values)})


def snapshots(*stages: Stage, revision: Revision = MAIN, readme: str = "# T") -> list[Snapshot]:
    return [Snapshot((revision,), (RAW, *stages), readme=readme)]


def remembered(read: list[Snapshot], options: Options | None = None, **more: Any) -> dict[bytes, str]:
    digests = Digests()
    for each in draft(REPOSITORY, read, options or Options(), digests=digests, **more):
        assert each.digest
    return digests.used


@pytest.mark.parametrize("stage", [pytest.param(stage, id=name) for name, stage in variations()])
def test_what_is_remembered_is_right_whatever_value_changes(stage: Stage) -> None:
    read = snapshots(stage)
    found = draft(REPOSITORY, read, Options(), digests=Digests(remembered(snapshots(FIT))))
    assert {each.guid: each.digest for each in found} == {
        each.guid: each.digest for each in describe(REPOSITORY, read, Options())
    }


@pytest.mark.parametrize(
    "given",
    [
        {"options": Options(tags=("x",))}, {"options": Options(title="{stage}")}, {"options": Options(private=True)},
        {"repository": replace(REPOSITORY, url="https://github.com/lab/other")}, {"readme": "# Other"},
        {"stages": (replace(RAW, outs=(Output("raw.csv", "9" * 32, "md5"),)), FIT)}, {"stages": (FIT,)},
        {"revision": replace(MAIN, name="dev")},
        {"harvested": {("github.com/lab/data", "data.csv"): Upstream("d", "r", "data: data.csv")}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_remembered_is_right_whatever_is_around_the_stage(given: dict[str, Any]) -> None:
    revision = given.get("revision", MAIN)
    read = [Snapshot((revision,), given.get("stages", (RAW, FIT)), readme=given.get("readme", "# T"))]
    arguments = (given.get("repository", REPOSITORY), read, given.get("options", Options()), given.get("harvested"))
    found = draft(*arguments, digests=Digests(remembered(snapshots(FIT))))
    assert [each.digest for each in found] == [each.digest for each in describe(*arguments)]
    assert [each.refs_digest for each in found] == [each.refs_digest for each in describe(*arguments)]


def test_versions_and_moves_count() -> None:
    moved = replace(FIT, address="fit2", name="fit2")
    before = snapshots(FIT)
    for read in (
        [*snapshots(replace(FIT, command="new")), Snapshot((OLD,), (RAW, FIT))],
        [*snapshots(moved), Snapshot((OLD,), (RAW, FIT))],
    ):
        found = draft(REPOSITORY, read, Options(), digests=Digests(remembered(before)))
        told = describe(REPOSITORY, read, Options())
        assert [each.digest for each in found] == [each.digest for each in told]
        assert [each.refs for each in found] == [each.refs for each in told]
        again = draft(REPOSITORY, read, Options(), digests=Digests(remembered(read)))
        assert [each.digest for each in again] == [each.digest for each in told]
    assert any(each.package["dvc_moved_from"] for each in told)


def described(drafts: list[Draft]) -> list[str]:
    return [each.guid.split("#")[1] for each in drafts if "dataset" in vars(each)]


def test_only_what_a_commit_changed_is_described() -> None:
    first = draft(REPOSITORY, snapshots(FIT), Options(), digests=(digests := Digests()))
    known = {
        change.guid: Known(change.after.digest, change.after.refs_digest, title=change.title)
        for change in plan(first, {}, lambda guid: None, today="2024-04-01").work  # type: ignore[arg-type,return-value]
        if change.after is not None
    }
    kept = digests.used
    assert digests.worth_keeping
    new = replace(MAIN, commit="c" * 40)
    read = snapshots(replace(FIT, line=9), revision=new)
    again = draft(REPOSITORY, read, Options(), digests=(later := Digests(kept)))
    made = plan(again, known, lambda guid: pytest.fail("nothing changed"), today="2024-04-01")
    assert [(change.kind, change.reason, change.refs) for change in made.changes] == [("unchanged", "", {})] * 2
    assert [change.title for change in made.changes] == [known[change.guid].title for change in made.changes]
    assert not described(again)
    assert not later.worth_keeping
    assert made.outputs == 3
    third = draft(REPOSITORY, snapshots(replace(FIT, command="new"), revision=new), Options(), digests=Digests(kept))
    before = {each.guid: each.dataset for each in first}
    changes = {each.guid: each.kind for each in plan(third, known, before.__getitem__, today="2024-04-01").changes}
    assert described(third) == ["fit"]
    assert sorted(changes.values()) == ["changed", "unchanged"]


def test_values_without_a_print_are_hashed_anew() -> None:
    odd = replace(FIT, meta={"day": datetime.date(2024, 1, 1)})
    digests = Digests()
    assert digests.stage(odd) == b""
    assert digests.state(odd) == Digests().state(odd)
    assert not digests.used
