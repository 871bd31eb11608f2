"""One chain for one step: from stage files to dvc.yaml, and through renames that a hash proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ckanext.mlops.catalog.datasets import Dataset, Options
from ckanext.mlops.catalog.drafts import describe
from ckanext.mlops.catalog.plan import Change, Known, plan
from ckanext.mlops.core.records import Output, Repository, Revision, Snapshot, Stage

REPOSITORY = Repository("https://github.com/lab/titanic", "titanic", "main")
OLD = Revision("v0", "tag", "a" * 40, date="2019-09-02T00:00:00Z")
MIDDLE = Revision("v1", "tag", "b" * 40, date="2022-01-01T00:00:00Z")
MAIN = Revision("main", "branch", "c" * 40, date="2024-03-01T00:00:00Z")


def out(path: str, content: str, **values: object) -> Output:
    return Output(path, content * 32 if len(content) == 1 else content, "md5", **values)  # type: ignore[arg-type]


def file_stage(address: str, *outs: Output) -> Stage:
    return Stage(address, address, address, command="make", outs=outs)


def stage(name: str, *outs: Output) -> Stage:
    return Stage(name, "dvc.yaml", name, command="make", outs=outs)


def tracked(path: str, content: str) -> Stage:
    return Stage(f"{path}.dvc", f"{path}.dvc", "", kind="data", outs=(out(path, content),))


def read(*trees: tuple[Revision, Sequence[Stage]]) -> dict[str, Dataset]:
    snapshots = [Snapshot((revision,), tuple(stages)) for revision, stages in trees]
    found = describe(REPOSITORY, snapshots, Options(), earlier=earlier)
    return {dataset.package["dvc_stage"]: dataset for dataset in found}


def earlier(one: str, two: str) -> bool:
    return one <= two


def chain(datasets: dict[str, Dataset]) -> dict[str, str]:
    ids = {dataset.package["id"]: address for address, dataset in datasets.items()}
    return {
        address: ids[dataset.package["dvc_moved_from"]]
        for address, dataset in datasets.items()
        if dataset.package["dvc_moved_from"]
    }


def test_a_stage_file_goes_on_as_the_stage_that_writes_the_same_file() -> None:
    found = read((OLD, [file_stage("Dvcfile", out("model.pkl", "1"))]), (MAIN, [stage("train", out("model.pkl", "2"))]))
    assert chain(found) == {"train": "Dvcfile"}
    assert found["Dvcfile"].package["dvc_moved_to"] == found["train"].package["id"]
    assert found["train"].package["dvc_moved_why"] == (
        "Dvcfile: both write model.pkl, first as a stage file, then as a stage of dvc.yaml"
    )


def test_a_rename_is_followed_when_a_hash_proves_it() -> None:
    found = read((OLD, [stage("fit", out("a.pkl", "1"))]), (MAIN, [stage("train", out("b.pkl", "1"))]))
    assert chain(found) == {"train": "fit"}
    assert found["train"].package["dvc_moved_why"] == f"fit: both wrote b.pkl with the hash {'1' * 32}"


def test_a_rename_that_only_the_path_suggests_is_not_followed() -> None:
    assert chain(read((OLD, [stage("fit", out("m", "1"))]), (MAIN, [stage("train", out("m", "2"))]))) == {}
    assert chain(read((OLD, [tracked("m", "1")]), (MAIN, [stage("train", out("m", "2"))]))) == {}


def test_two_steps_of_one_tree_are_two() -> None:
    both = [stage("copy", out("a", "1")), tracked("raw", "1")]
    assert chain(read((OLD, both), (MAIN, [*both, stage("again", out("b", "1"))]))) == {}


@pytest.mark.parametrize(
    "content", ["d41d8cd98f00b204e9800998ecf8427e", "d751713988987e9331980363e24189ce.dir"], ids=["file", "folder"]
)
def test_what_is_empty_proves_nothing(content: str) -> None:
    assert chain(read((OLD, [stage("fit", out("a", content))]), (MAIN, [stage("train", out("b", content))]))) == {}


def test_equal_metrics_of_other_files_prove_nothing() -> None:
    one, two = out("a.json", "1", kind="metrics"), out("b.json", "1", kind="metrics")
    assert chain(read((OLD, [stage("fit", one)]), (MAIN, [stage("train", two)]))) == {}
    two = replace(two, path="a.json")
    assert chain(read((OLD, [stage("fit", one)]), (MAIN, [stage("train", two)]))) == {"train": "fit"}


def test_a_chain_has_every_step_in_its_order() -> None:
    found = read(
        (OLD, [file_stage("code/Dvcfile", out("m", "1"))]),
        (MIDDLE, [file_stage("Dvcfile", out("m", "1"))]),
        (MAIN, [stage("train", out("m", "1"))]),
    )
    assert chain(found) == {"Dvcfile": "code/Dvcfile", "train": "Dvcfile"}


def test_a_step_that_was_split_goes_on_as_the_one_that_has_more_of_it() -> None:
    data, model, metrics = out("d", "1"), out("m", "2"), out("s.json", "3", kind="metrics")
    found = read(
        (OLD, [file_stage("Dvcfile", model, metrics)]), (MAIN, [stage("train", model), stage("metrics", metrics)])
    )
    assert chain(found) == {"train": "Dvcfile"}
    halves = [stage("one", data), stage("two", model)]
    assert chain(read((OLD, [file_stage("Dvcfile", data, model)]), (MAIN, halves))) == {}


def test_branches_of_their_own_are_no_chain() -> None:
    snapshots = [
        Snapshot((OLD,), (stage("fit", out("a", "1")),)),
        Snapshot((MAIN,), (stage("train", out("b", "1")),)),
    ]
    found = describe(REPOSITORY, snapshots, Options(), earlier=lambda one, two: False)
    assert [dataset.package["dvc_moved_from"] for dataset in found] == ["", ""]


class Catalog:
    def __init__(self) -> None:
        self.datasets: dict[str, Dataset] = {}
        self.known: dict[str, Known] = {}

    def harvest(self, *trees: tuple[Revision, Sequence[Stage]]) -> dict[str, Change]:
        made = plan(read(*trees).values(), self.known, self.datasets.__getitem__, today="2024-04-01")
        for change in made.work:
            assert change.after is not None
            self.datasets[change.guid] = change.after
            retired = change.kind == "retired"
            self.known[change.guid] = Known(change.after.digest, change.after.refs_digest, retired, change.title)
        return {change.guid.split("#")[1]: change for change in made.changes}


def test_what_left_the_repository_goes_on_under_its_new_address_for_good() -> None:
    catalog = Catalog()
    catalog.harvest((MAIN, [stage("fit", out("a", "1"))]))
    renamed = (MAIN, [stage("train", out("b", "1"))])
    changes = catalog.harvest(renamed)
    assert {address: change.kind for address, change in changes.items()} == {"fit": "retired", "train": "added"}
    assert changes["fit"].reason == "at none of the revisions any more; it goes on as train"
    assert "goes on from fit" in changes["train"].reason
    before, after = (catalog.datasets[changes[name].guid].package for name in ("fit", "train"))
    assert (before["dvc_moved_to"], after["dvc_moved_from"]) == (after["id"], before["id"])
    assert {change.kind for change in catalog.harvest(renamed).values()} == {"unchanged"}
    more = catalog.harvest((MAIN, [stage("train", out("b", "2"))]))["train"]
    assert more.kind == "changed"
    assert more.after is not None
    assert more.after.package["dvc_moved_from"] == before["id"]
