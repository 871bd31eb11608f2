"""What a harvest would do: added, changed, unchanged, retired; what a partial reading may not do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ckanext.mlops.catalog.datasets import Dataset, Options
from ckanext.mlops.catalog.drafts import describe
from ckanext.mlops.catalog.plan import Change, Known, Plan, plan
from ckanext.mlops.core.records import Metric, Output, Repository, Revision, Snapshot, Stage

REPOSITORY = Repository("https://github.com/lab/titanic", "titanic", "main")
MAIN = Revision("main", "branch", "a" * 40, date="2024-03-01T00:00:00Z")
DEV = Revision("dev", "branch", "b" * 40, date="2024-02-01T00:00:00Z")
TODAY = "2024-04-01"


def stage(name: str, content: str = "1", **values: object) -> Stage:
    outs = (Output(f"{name}.csv", content, "md5"),)
    return Stage(name, "dvc.yaml", name, command=f"make {name}", outs=outs, **values)  # type: ignore[arg-type]


def read(*snapshots: Snapshot) -> list[Dataset]:
    return describe(REPOSITORY, list(snapshots), Options())


class Catalog:
    """What a harvest leaves behind, as far as a plan needs it."""

    def __init__(self) -> None:
        self.datasets: dict[str, Dataset] = {}
        self.known: dict[str, Known] = {}

    def harvest(self, datasets: list[Dataset], unread: tuple[str, ...] = ()) -> Plan:
        made = plan(datasets, self.known, self.datasets.__getitem__, unread=unread, today=TODAY)
        for change in made.work:
            assert change.after is not None
            self.datasets[change.guid] = change.after
            self.known[change.guid] = Known(
                change.after.digest, change.after.refs_digest, change.kind == "retired", change.title
            )
        for change in made.changes:
            if change.refs:
                self.known[change.guid] = replace(self.known[change.guid], refs_digest=change.refs_digest)
        return made

    def of(self, name: str) -> Dataset:
        return self.datasets[f"github.com/lab/titanic#{name}"]


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


def kinds(made: Plan) -> dict[str, str]:
    return {change.guid.split("#")[1]: change.kind for change in made.changes}


def test_first_harvest_adds_everything_with_a_reason(catalog: Catalog) -> None:
    made = catalog.harvest(read(Snapshot((MAIN,), (stage("a"), stage("b")))))
    assert kinds(made) == {"a": "added", "b": "added"}
    assert made.changes[0].reason == "found at main"
    assert made.summary() == "2 stages, 2 outputs: 2 added, 0 changed, 0 unchanged"


def test_second_harvest_changes_nothing(catalog: Catalog) -> None:
    datasets = read(Snapshot((MAIN,), (stage("a"), stage("b"))))
    catalog.harvest(datasets)
    made = catalog.harvest(read(Snapshot((MAIN,), (stage("a"), stage("b")))))
    assert made.work == []
    assert made.counts == {"added": 0, "changed": 0, "unchanged": 2, "retired": 0, "problems": 0}


def test_a_change_says_which_fields(catalog: Catalog) -> None:
    catalog.harvest(read(Snapshot((MAIN,), (stage("a"), stage("b")))))
    new = stage("a", "2", metrics=(Metric("m.json", "in-git", {"auc": 0.9}),))
    [change] = catalog.harvest(read(Snapshot((MAIN,), (new, stage("b"))))).work
    assert change.kind == "changed"
    assert {"field": "resources/a.csv/hash", "before": "1", "after": "2"} in change.fields
    assert change.reason == "changed: a.csv/hash, its versions"
    assert change.before is not None
    assert change.before["resources"][0]["hash"] == "1"


def test_a_changed_metric_is_a_new_version_even_when_the_fields_are_equal(catalog: Catalog) -> None:
    def at(value: float) -> list[Dataset]:
        return read(Snapshot((MAIN,), (stage("a", metrics=(Metric("m.json", "in-git", {"auc": value}),)),)))

    catalog.harvest(at(0.8))
    [change] = catalog.harvest(at(0.9)).work
    assert change.fields == [{"field": "versions", "before": 1, "after": 1}]


def test_a_branch_that_moves_on_is_nothing_to_what_it_leaves_alone(catalog: Catalog) -> None:
    catalog.harvest(read(Snapshot((MAIN,), (stage("a"),))))
    moved = replace(MAIN, commit="c" * 40, date="2024-03-05T00:00:00Z")
    made = catalog.harvest(read(Snapshot((moved,), (stage("a"),))))
    assert made.work == []
    assert [change.refs for change in made.changes] == [{}]


def test_new_and_moved_tags_are_no_change_but_are_noted(catalog: Catalog) -> None:
    tag = Revision("v1", "tag", MAIN.commit, date=MAIN.date)
    catalog.harvest(read(Snapshot((MAIN,), (stage("a"),))))
    for moved in (tag, replace(tag, commit="c" * 40)):
        made = catalog.harvest(read(Snapshot((MAIN, moved), (stage("a"),))))
        assert made.work == []
        [change] = made.changes
        [shown] = change.refs.values()
        assert [ref.get("commit") for ref in shown] == [None, moved.commit]
    [again] = catalog.harvest(read(Snapshot((MAIN, moved), (stage("a"),)))).changes
    assert again.refs == {}


def test_what_left_the_repository_is_retired_once_and_comes_back(catalog: Catalog) -> None:
    both, one = Snapshot((MAIN,), (stage("a"), stage("b"))), Snapshot((MAIN,), (stage("a"),))
    catalog.harvest(read(both))
    [change] = catalog.harvest(read(one)).work
    assert (change.kind, change.guid) == ("retired", "github.com/lab/titanic#b")
    assert catalog.of("b").package["dvc_retired"] == TODAY
    assert catalog.of("b").versions[0]["refs"] == []
    assert catalog.harvest(read(one)).work == []
    [change] = catalog.harvest(read(both)).work
    assert (change.kind, change.reason) == ("changed", "back in the repository")
    assert catalog.of("b").package["dvc_retired"] == ""


def test_a_partial_reading_retires_nothing_and_says_why(catalog: Catalog) -> None:
    catalog.harvest(read(Snapshot((MAIN,), (stage("a"), stage("b")))))
    made = catalog.harvest(read(Snapshot((MAIN,), (stage("a"),), complete=False)), unread=("main",))
    assert made.work == []
    kept = next(change for change in made.changes if change.guid.endswith("#b"))
    assert kept.reason == "kept as it was: main could not be read completely"


def test_a_partial_reading_does_not_move_the_current_state_elsewhere(catalog: Catalog) -> None:
    catalog.harvest(read(Snapshot((MAIN,), (stage("a", "new"),)), Snapshot((DEV,), (stage("a", "old"),))))
    made = catalog.harvest(
        read(Snapshot((MAIN,), (), complete=False), Snapshot((DEV,), (stage("a", "newer"),))), unread=("main",)
    )
    assert made.work == []
    assert catalog.of("a").package["resources"][0]["hash"] == "new"


def test_a_partial_reading_keeps_the_versions_it_did_not_see(catalog: Catalog) -> None:
    catalog.harvest(read(Snapshot((MAIN,), (stage("a", "1"),)), Snapshot((DEV,), (stage("a", "2"),))))
    made = catalog.harvest(
        read(Snapshot((MAIN,), (stage("a", "3"),)), Snapshot((DEV,), (), complete=False)), unread=("dev",)
    )
    assert kinds(made) == {"a": "changed"}
    shown = {version["facts"]["outs"][0]["hash"]: version["refs"] for version in catalog.of("a").versions}
    assert {key: [ref["name"] for ref in refs] for key, refs in shown.items()} == {"3": ["main"], "2": ["dev"]}
    assert sorted(version["position"] for version in catalog.of("a").versions) == [1, 2]


def test_a_partial_reading_of_unchanged_things_is_no_change(catalog: Catalog) -> None:
    catalog.harvest(read(Snapshot((MAIN,), (stage("a", "1"),)), Snapshot((DEV,), (stage("a", "2"),))))
    partial = read(Snapshot((MAIN,), (stage("a", "1"),)), Snapshot((DEV,), (), complete=False))
    assert catalog.harvest(partial, unread=("dev",)).work == []


def test_a_partial_reading_still_adds(catalog: Catalog) -> None:
    made = catalog.harvest(read(Snapshot((MAIN,), (stage("a"),), complete=False)), unread=("main",))
    assert kinds(made) == {"a": "added"}


def test_plans_and_changes_are_json(catalog: Catalog) -> None:
    catalog.harvest(read(Snapshot((MAIN,), (stage("a"), stage("b")))))
    made = catalog.harvest(read(Snapshot((MAIN,), (stage("a", "2"), stage("c")))))
    assert sorted(kinds(made).values()) == ["added", "changed", "retired"]
    assert Plan.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    for change in made.changes:
        assert Change.from_dict(json.loads(json.dumps(change.to_dict()))) == change


def test_summary_counts_only_what_is_worth_a_word() -> None:
    many = [Change("retired", f"g{n}") for n in range(1200)]
    assert Plan(many, stages=1, outputs=40, problems=2).summary() == (
        "1 stage, 40 outputs: 0 added, 0 changed, 0 unchanged, 1,200 retired, 2 problems"
    )
