"""What a harvest puts into the catalog, and that a second one writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ckan.tests import helpers


def test_stages_and_files_become_datasets(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    source(repo.path, tags_added=["shipwreck"])
    report = harvest()
    assert report.summary == "3 stages, 4 outputs: 3 added, 0 changed, 0 unchanged"
    assert {result.name: result.kind for result in report.results} == {
        "titanic-data-raw-csv": "added",
        "titanic-prepare": "added",
        "titanic-train": "added",
    }
    train = show("titanic-train")
    assert train["title"] == "Titanic: train"
    assert train["dvc_revision"] == "main"
    assert train["dvc_commit"] == repo.git("rev-parse", "HEAD")
    assert train["dvc_command"].startswith("echo model")
    assert [tag["name"] for tag in train["tags"]] == ["forest", "scikit-learn", "shipwreck"]
    model, metrics = train["resources"]
    assert (model["name"], model["dvc_kind"], model["description"]) == ("model.pkl", "model", "A forest.")
    assert model["dvc_storage_path"].startswith("s3://lab-data/titanic/files/md5/")
    assert model["hash_algorithm"] == "md5"
    assert int(model["size"]) == 6
    assert (metrics["name"], metrics["dvc_kind"], metrics.get("dvc_values", "")) == ("metrics.json", "metrics", "")
    assert show("titanic-prepare")["notes"] == "Leaves out passengers without an age."


def test_lineage_follows_the_pipeline(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    source(repo.path)
    harvest()
    raw, prepare, train = (show(f"titanic-{name}") for name in ("data-raw-csv", "prepare", "train"))
    assert [entry["dataset"] for entry in train["derived_from"]] == [prepare["id"]]
    assert [entry["dataset"] for entry in prepare["derived_from"]] == [raw["id"]]
    graph = helpers.call_action("mlops_lineage_show", id="titanic-train", direction="upstream")
    assert {node["name"] for node in graph["nodes"]} == {"titanic-train", "titanic-prepare", "titanic-data-raw-csv"}


def test_versions_hold_every_state(repo: Any, source: Any, harvest: Any) -> None:
    source(repo.path)
    harvest()
    train = helpers.call_action("mlops_version_list", id="titanic-train")
    assert train["count"] == 2
    assert [[ref["name"] for ref in version["refs"]] for version in train["results"]] == [["main"], ["v1"]]
    [prepare] = helpers.call_action("mlops_version_list", id="titanic-prepare")["results"]
    assert [ref["name"] for ref in prepare["refs"]] == ["main", "v1"]


def test_a_second_harvest_writes_nothing(repo: Any, source: Any, harvest: Any, catalog: Any) -> None:
    source(repo.path)
    harvest()
    before = catalog(exact=True)
    report = harvest()
    assert report.counts()["unchanged"] == 3
    assert catalog(exact=True) == before


def test_a_commit_that_leaves_the_data_alone_only_moves_the_branch(
    repo: Any, source: Any, harvest: Any, catalog: Any
) -> None:
    source(repo.path)
    harvest()
    before = catalog(exact=True)
    commit = repo.commit("Only words")
    assert harvest().counts()["unchanged"] == 3
    assert catalog(exact=True) == before
    for each in before["packages"]:
        version = helpers.call_action("mlops_version_list", id=each["id"])["results"][0]
        assert {"name": "main", "kind": "branch", "commit": commit} in version["refs"]
        [head] = [ref for ref in helpers.call_action("mlops_ref_list", id=each["id"]) if ref["name"] == "main"]
        assert head["commit"] == commit
        assert helpers.call_action("mlops_file_list", id=each["id"], version=commit[:10])["version"] == version["id"]
    assert harvest().counts()["unchanged"] == 3
    assert catalog(exact=True) == before


def test_a_changed_stage_is_one_change(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    source(repo.path)
    harvest()
    others = {name: show(name)["metadata_modified"] for name in ("titanic-prepare", "titanic-data-raw-csv")}
    hashes = {resource["name"]: resource["hash"] for resource in show("titanic-train")["resources"]}
    repo.edit("dvc.lock", hashes["model.pkl"], "0" * 32)
    repo.commit("A better model")
    report = harvest()
    assert {result.name: result.kind for result in report.results}["titanic-train"] == "changed"
    assert report.counts()["unchanged"] == 2
    assert show("titanic-train")["resources"][0]["hash"] == "0" * 32
    assert {name: show(name)["metadata_modified"] for name in others} == others


def test_a_value_that_git_no_longer_has_is_cleared(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    source(repo.path)
    harvest()
    repo.edit("dvc.yaml", "        desc: A forest.\n", "")
    (repo.path / "dvc.lock").unlink()
    repo.commit("Nothing was run")
    harvest()
    model = show("titanic-train")["resources"][0]
    assert not model.get("hash")
    assert not model.get("size")
    assert not model.get("description")


def test_selection_of_stages_and_revisions(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    source(repo.path, branches=["main"], git_tags=["!v*"], exclude=["*.csv.dvc"], groups_added=[])
    report = harvest()
    assert sorted(result.name for result in report.results) == ["titanic-prepare", "titanic-train"]
    assert helpers.call_action("mlops_version_list", id="titanic-train")["count"] == 1
    assert "derived_from" not in show("titanic-prepare")


@pytest.mark.parametrize("name", ["mlops-titanic", "example-get-started", "dataset-registry", "vscode-dvc-demo"])
def test_real_repositories(
    name: str, bundle: Callable[[str], Path], source: Any, harvest: Any, catalog: Any, show: Any
) -> None:
    source(bundle(name), experiments=True)
    report = harvest()
    assert report.counts()["failed"] == 0, [result for result in report.results if result.kind == "failed"]
    assert report.counts()["added"] == len(report.results) > 0
    before = catalog(exact=True)
    assert len(before["indexed"]) == len(report.results)
    assert harvest().counts()["unchanged"] == len(report.results)
    assert catalog(exact=True) == before
    if name == "mlops-titanic":
        _founding_project(show)


def _founding_project(show: Any) -> None:
    names = ("mlops-titanic-dvc-01-fetch-data", "mlops-titanic-dvc-02-prepare-data", "mlops-titanic-dvcfile")
    fetch, prepare, train = (show(name) for name in names)
    assert prepare["id"] in [entry["dataset"] for entry in train["derived_from"]]
    assert fetch["id"] in [entry["dataset"] for entry in prepare["derived_from"]]
    [metrics] = train["resources"]
    assert (metrics["name"], metrics["dvc_values"]) == ("metrics.json", "not in Git, remote unreachable")
    versions = helpers.call_action("mlops_version_list", id=train["name"])["results"]
    shown = {ref["name"] for version in versions for ref in version["refs"]}
    assert {"baseline", "overfitting", "master", "tensorflow", "mlflow"} <= shown
    stages = helpers.call_action("package_search", q="", fq="dataset_type:dataset", rows=100)["results"]
    every = set()
    for stage in stages:
        for version in helpers.call_action("mlops_version_list", id=stage["name"])["results"]:
            every |= {ref["name"] for ref in version["refs"]}
    assert every >= {"baseline", "overfitting", "wrong-baseline", "master", "tensorflow", "mlflow"}
