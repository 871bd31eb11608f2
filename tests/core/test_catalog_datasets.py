"""Records become datasets: identity, titles, current state, versions, lineage, resources."""

from __future__ import annotations

import json
import re

import pytest

from ckanext.mlops.catalog.datasets import MAX_RESOURCES, NOT_IN_GIT, Dataset, Options
from ckanext.mlops.catalog.drafts import describe
from ckanext.mlops.catalog.edges import Upstream
from ckanext.mlops.catalog.plan import Known, plan
from ckanext.mlops.core import naming
from ckanext.mlops.core.records import (
    Dependency,
    Metric,
    Output,
    Repository,
    Revision,
    Snapshot,
    SourceHint,
    Stage,
)

URL = "https://github.com/lab/titanic"
REPOSITORY = Repository(URL, "titanic", "main")
MAIN = Revision("main", "branch", "a" * 40, date="2024-03-01T00:00:00Z", author="Ada", message="Tune")
NO_OPTIONS = Options()
BASELINE = Revision("baseline", "tag", "b" * 40, date="2024-01-01T00:00:00Z", author="Ada", message="Start")
FETCH = Stage("fetch", "dvc.yaml", "fetch", command="python fetch.py", outs=(Output("data/raw.csv", "r1", "md5"),))


def train(data: str = "r1", model: str = "m1", **values: object) -> Stage:
    fields = {
        "command": "python train.py",
        "deps": (Dependency("data/raw.csv", hash=data), Dependency("train.py", hash="c1")),
        "outs": (Output("model.pkl", model, "md5", size=10, kind="model"),),
    }
    return Stage("train", "dvc.yaml", "train", **{**fields, **values})  # type: ignore[arg-type]


def by_stage(
    *snapshots: Snapshot, options: Options = NO_OPTIONS, repository: Repository = REPOSITORY
) -> dict[str, Dataset]:
    found = describe(repository, snapshots, options)
    return {dataset.package["dvc_stage"]: dataset for dataset in found}


def test_identity_is_repository_and_stage() -> None:
    dataset = by_stage(Snapshot((MAIN,), (train(),)))["train"]
    assert dataset.guid == "github.com/lab/titanic#train"
    assert dataset.package["id"] == naming.package_id(dataset.guid)
    assert dataset.package["name"] == "titanic-train"
    assert dataset.package["resources"][0]["id"] == naming.resource_id(dataset.guid, "model.pkl")


def test_title_says_project_and_stage() -> None:
    readme = "![badge](x)\n\n# The *Titanic*\n\nWho survived, and why, told by a model.\n"
    package = by_stage(Snapshot((MAIN,), (train(), FETCH), readme=readme))["train"].package
    assert package["title"] == "The Titanic: train"
    assert package["notes"] == "Who survived, and why, told by a model."
    assert by_stage(Snapshot((MAIN,), (train(),)))["train"].package["title"] == "Titanic: train"


def test_notes_prefer_the_description_of_the_stage() -> None:
    stage = train(desc="Fits the model.", outs=(Output("model.pkl", "m", desc="A forest.", labels=("forest",)),))
    package = by_stage(Snapshot((MAIN,), (stage,), readme="# T\n\nSome words about the project.\n"))["train"].package
    assert package["notes"] == "Fits the model.\n\nA forest."
    assert package["tags"] == [{"name": "forest"}]


def test_default_branch_is_the_current_state() -> None:
    later = Revision("next", "branch", "c" * 40, date="2025-01-01T00:00:00Z")
    dataset = by_stage(
        Snapshot((later,), (train(model="m3"),)),
        Snapshot((MAIN,), (train(model="m2"),)),
        Snapshot((BASELINE,), (train(),)),
    )["train"]
    assert dataset.package["dvc_revision"] == "main"
    assert dataset.package["resources"][0]["hash"] == "m2"
    assert [version["current"] for version in dataset.versions] == [False, True, False]
    assert [version["refs"][0]["name"] for version in dataset.versions] == ["next", "main", "baseline"]
    assert [version["position"] for version in dataset.versions] == [3, 2, 1]


def test_what_the_default_branch_lacks_is_shown_as_of_its_newest_revision() -> None:
    old = Revision("old", "tag", "d" * 40, date="2023-01-01T00:00:00Z")
    found = by_stage(Snapshot((MAIN,), (train(),)), Snapshot((old,), (FETCH,)), Snapshot((BASELINE,), (FETCH, train())))
    assert found["fetch"].package["dvc_revision"] == "baseline"
    assert found["train"].package["dvc_revision"] == "main"


def test_a_state_at_many_revisions_is_one_version() -> None:
    dataset = by_stage(Snapshot((MAIN,), (train(), FETCH)), Snapshot((BASELINE,), (train(desc="other words"),)))[
        "train"
    ]
    [version] = dataset.versions
    assert [ref["name"] for ref in version["refs"]] == ["main", "baseline"]
    assert (version["commit"], version["message"]) == ("b" * 40, "Start")
    assert version["facts"]["outs"][0]["path"] == "model.pkl"


def test_edges_lead_to_the_stage_that_wrote_the_input() -> None:
    dataset = by_stage(Snapshot((MAIN,), (FETCH, train())))["train"]
    guid = naming.dataset_guid(URL, "fetch")
    [edge] = dataset.edges
    assert edge == {
        "upstream_dataset": naming.package_id(guid),
        "upstream_resource": naming.resource_id(guid, "data/raw.csv"),
        "upstream_label": "fetch",
        "path": "data/raw.csv",
        "hash": "r1",
        "evidence": {"kind": "locked"},
        "version_id": dataset.versions[0]["id"],
        "current": True,
    }
    assert dataset.package["derived_from"] == [
        {"dataset": naming.package_id(guid), "label": "fetch", "origin": "harvested"}
    ]


@pytest.mark.parametrize("path", ["data/raw.csv", "data", "data/raw.csv/part"])
def test_edges_follow_folders_both_ways(path: str) -> None:
    stage = train(deps=(Dependency(path, hash="x"),))
    [edge] = by_stage(Snapshot((MAIN,), (FETCH, stage)))["train"].edges
    assert edge["upstream_label"] == "fetch"
    elsewhere = {} if path == "data/raw.csv" else {"output": "data/raw.csv"}
    assert edge["evidence"] == {"kind": "declared"} | elsewhere


def test_a_hash_that_is_none_is_shown_without_an_algorithm() -> None:
    outs = (Output("a.csv", "123", "md5"), Output("b", "0123456789abcdef0123456789abcdef.dir", "md5", is_dir=True))
    resources = by_stage(Snapshot((MAIN,), (train(outs=outs),)))["train"].package["resources"]
    assert [(each["hash"], each["hash_algorithm"]) for each in resources] == [
        ("123", ""),
        ("0123456789abcdef0123456789abcdef.dir", "md5"),
    ]


def test_edges_of_each_version_follow_that_revision() -> None:
    other = Stage("load", "dvc.yaml", "load", outs=(Output("data/raw.csv", "r0", "md5"),))
    dataset = by_stage(
        Snapshot((MAIN,), (FETCH, train())), Snapshot((BASELINE,), (other, train(data="r0", model="m0")))
    )["train"]
    assert [(edge["upstream_label"], edge["current"]) for edge in dataset.edges] == [("load", False), ("fetch", True)]


def test_outside_sources_are_named_without_private_paths() -> None:
    stage = train(
        deps=(
            Dependency("data/in.csv", "repo", source="git@gitlab.com:other/registry.git", rev_lock="f" * 40),
            Dependency("s3://bucket/a.csv", "url", source="s3://bucket/a.csv"),
            Dependency("/home/ada/secret/b.csv", "url", extra={"outside": True}),
        ),
        hints=(SourceHint("kaggle", "https://www.kaggle.com/c/titanic", "Kaggle titanic"),),
    )
    dataset = by_stage(Snapshot((MAIN,), (stage,)))["train"]
    assert [edge["upstream_uri"] for edge in dataset.edges] == [
        "https://gitlab.com/other/registry#data/in.csv",
        "s3://bucket/a.csv",
        "local:b.csv",
        "https://www.kaggle.com/c/titanic",
    ]
    assert dataset.edges[3]["evidence"] == {"kind": "hint", "hint": "kaggle"}
    assert "/home" not in json.dumps(dataset.package)


def test_an_import_from_a_harvested_repository_is_an_edge_to_its_dataset() -> None:
    dep = Dependency("data/in.csv", "repo", source="git@gitlab.com:other/registry.git", rev_lock="f" * 40)
    harvested = {("gitlab.com/other/registry", "data/in.csv"): Upstream("their-id", "their-resource", "registry")}
    [dataset] = describe(REPOSITORY, [Snapshot((MAIN,), (train(deps=(dep,)),))], Options(), harvested)
    [edge] = dataset.edges
    assert (edge["upstream_dataset"], edge["upstream_resource"]) == ("their-id", "their-resource")
    assert dataset.package["derived_from"][0]["dataset"] == "their-id"


def test_resource_url_is_readable() -> None:
    outs = (
        Output("a.csv", "1", storage="https://store.example/files/md5/1"),
        Output("b.csv", "2", storage="s3://bucket/files/md5/2", remote="cloud"),
        Output("c d.json", "3", cached=False, blob="f" * 40),
        Output("e", "4.dir", is_dir=True, storage="files/md5/4.dir"),
    )
    resources = by_stage(Snapshot((MAIN,), (train(outs=outs),)))["train"].package["resources"]
    page = f"{URL}/blob/{MAIN.commit}"
    assert [resource["url"] for resource in resources] == [
        "https://store.example/files/md5/1",
        f"{page}/dvc.yaml",
        f"{page}/c%20d.json",
        f"{page}/dvc.yaml",
    ]
    assert [resource["format"] for resource in resources] == ["CSV", "CSV", "JSON", ""]
    assert resources[1]["dvc_storage_path"] == "s3://bucket/files/md5/2"
    assert resources[3]["name"] == "e/"


@pytest.mark.parametrize(
    ("state", "detail", "shown"),
    [("in-git", "", ""), ("not-in-git", "", NOT_IN_GIT), ("invalid", "no JSON", "no JSON")],
)
def test_metrics_say_where_their_values_are(state: str, detail: str, shown: str) -> None:
    stage = train(
        outs=(Output("scores.json", "5", kind="metrics"),),
        metrics=(Metric("scores.json", state, {"a": 1} if state == "in-git" else None, detail),),  # type: ignore[arg-type]
    )
    [resource] = by_stage(Snapshot((MAIN,), (stage,)))["train"].package["resources"]
    assert (resource["dvc_kind"], resource["dvc_values"]) == ("metrics", shown)


def test_colliding_names_are_told_apart_in_any_order() -> None:
    stages = [Stage(f"a{sep}b.dvc", f"a{sep}b.dvc", "", kind="data") for sep in "/-"]
    names = [
        sorted(
            dataset.package["name"] for dataset in describe(REPOSITORY, [Snapshot((MAIN,), tuple(order))], Options())
        )
        for order in (stages, stages[::-1])
    ]
    assert names[0] == names[1]
    assert len(set(names[0])) == 2
    assert all(re.fullmatch(r"titanic-a-b-[0-9a-f]{7}", name) for name in names[0])


def test_hostile_text_is_bounded_and_storable() -> None:
    nasty = "\x00\u202e<script>\ud800" * 5000
    name = "\u202e<script>/..\\'\"" * 60
    stage = Stage(
        name,
        "dvc.yaml",
        nasty,
        command=nasty,
        desc=nasty,
        outs=tuple(
            Output(f"{name}{n}", nasty[:2000], labels=(f"label {n} {nasty[:50]}",), desc=nasty[:9000])
            for n in range(700)
        ),
        metrics=(Metric("m.json", "in-git", {"auc": float("nan"), "x\x00": "\ud800", "deep": [[[1e400]]]}),),
    )
    [dataset] = describe(REPOSITORY, [Snapshot((MAIN,), (stage,), readme=nasty)], Options(tags=("mine", "!")))
    text = json.dumps(dataset.to_dict(), allow_nan=False)
    assert "\\u0000" not in text
    assert "\\ud800" not in text
    assert "\\u202e" not in json.dumps(dataset.package)
    package = dataset.package
    assert len(package["title"]) <= 200
    assert len(package["notes"]) <= 5000
    assert len(package["dvc_command"]) <= 8000
    assert len(package["tags"]) == 50
    assert all(re.fullmatch(r"[\w .-]{2,100}", tag["name"]) for tag in package["tags"])
    assert re.fullmatch(r"[a-z0-9_-]{2,100}", package["name"])
    assert len(package["resources"]) == MAX_RESOURCES
    assert (
        f"The first {MAX_RESOURCES} of 700 files are listed."
        in describe(REPOSITORY, [Snapshot((MAIN,), (Stage("s", "s.dvc", "", outs=stage.outs, desc="x"),))], Options())[
            0
        ].package["notes"]
        or len(package["notes"]) == 5000
    )


def test_a_path_that_is_written_twice_is_one_resource() -> None:
    stage = train(outs=(Output("m.pkl", "1"), Output("m.pkl", "2"), Output("n.pkl", "3")))
    resources = by_stage(Snapshot((MAIN,), (stage,)))["train"].package["resources"]
    assert [(resource["name"], resource["hash"]) for resource in resources] == [("m.pkl", "1"), ("n.pkl", "3")]


def test_ten_thousand_tags_of_one_state_stay_small() -> None:
    tags = tuple(Revision(f"v{n}", "tag", f"{n:040x}", date="2024-01-01T00:00:00Z") for n in range(10_000))
    dataset = by_stage(*(Snapshot((tag,), (FETCH,)) for tag in tags), Snapshot((MAIN,), (FETCH,)))["fetch"]
    [version] = dataset.versions
    assert len(version["refs"]) == 1000
    assert version["refs"][0]["name"] == "main"


def test_options_reach_the_package() -> None:
    options = Options("org", True, ("added",), ("group",), "lab", "titanic")
    package = by_stage(Snapshot((MAIN,), (train(),)), options=options)["train"].package
    assert (package["owner_org"], package["private"]) == ("org", True)
    assert package["tags"] == [{"name": "added"}]
    assert package["groups"] == [{"name": "group"}]
    assert (package["mlflow_server"], package["mlflow_experiment"]) == ("lab", "titanic")


def test_digest_ignores_commits_that_leave_the_stage_alone() -> None:
    moved = Revision("main", "branch", "9" * 40, date="2024-05-01T00:00:00Z", message="Fix a typo")
    one = by_stage(Snapshot((MAIN,), (FETCH, train())))["train"]
    two = by_stage(Snapshot((moved,), (FETCH, train())))["train"]
    assert one.package["dvc_commit"] != two.package["dvc_commit"]
    assert one.digest == two.digest
    assert one.refs_digest == two.refs_digest
    assert one.digest != by_stage(Snapshot((moved,), (FETCH, train(model="m2"))))["train"].digest


def test_round_trip_as_json() -> None:
    dataset = by_stage(Snapshot((MAIN,), (FETCH, train())))["train"]
    assert Dataset.from_dict(json.loads(json.dumps(dataset.to_dict()))) == dataset
    again = Dataset.from_dict(json.loads(json.dumps(dataset.to_dict())))
    known = {dataset.guid: Known(dataset.digest, dataset.refs_digest)}
    assert plan([again], known, lambda guid: dataset, today="2024-01-01").counts["unchanged"] == 1


def test_of_many_commits_a_version_keeps_the_newest() -> None:
    commits = tuple(
        Revision(
            f"{number:040x}", "commit", f"{number:040x}", date=f"2024-01-01T{number // 60:02}:{number % 60:02}:00Z"
        )
        for number in range(1200, 0, -1)
    )
    refs = by_stage(Snapshot((*commits, BASELINE, MAIN), (train(),)))["train"].versions[0]["refs"]
    assert [each["name"] for each in refs[:3]] == ["main", "baseline", f"{1200:040x}"]
    assert [int(each["name"], 16) for each in refs[2:]] == list(range(1200, 1200 - 998, -1))
