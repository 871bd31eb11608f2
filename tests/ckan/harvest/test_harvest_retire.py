"""Retired, never deleted; and only by a complete reading."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ckan.tests import helpers

BROKEN = "stages:\n  prepare: [this is no stage\n"


@pytest.fixture
def single(repo: Any) -> Any:
    """Without the tag, so that a removed stage is at no revision any more."""
    repo.git("tag", "--delete", "v1")
    return repo


def without_train(repo: Any) -> None:
    text = (repo.path / "dvc.yaml").read_text()
    repo.write("dvc.yaml", text[: text.index("  train:")])
    lock = (repo.path / "dvc.lock").read_text()
    repo.write("dvc.lock", lock[: lock.index("  train:")])


def test_a_removed_stage_is_retired_and_lives_again(
    single: Any, source: Any, harvest: Any, show: Any, catalog: Any
) -> None:
    source(single.path)
    harvest()
    before = catalog()
    without_train(single)
    single.commit("No model")
    report = harvest()
    assert report.counts()["retired"] == 1
    train = show("titanic-train")
    assert train["dvc_retired"] == datetime.datetime.now(datetime.UTC).date().isoformat()
    assert train["state"] == "active"
    assert len(train["resources"]) == 2
    [version, *_] = helpers.call_action("mlops_version_list", id="titanic-train")["results"]
    assert version["refs"] == []
    unchanged = catalog(exact=True)
    assert harvest().counts()["unchanged"] == 3
    assert catalog(exact=True) == unchanged

    single.git("revert", "--no-edit", "HEAD")
    report = harvest()
    assert report.counts()["changed"] == 1
    assert not show("titanic-train").get("dvc_retired")
    after = catalog()
    for package in (*before["packages"], *after["packages"]):
        package.pop("dvc_commit")
    assert after["packages"] == before["packages"]


def test_a_stage_that_a_tag_still_has_is_not_retired(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    source(repo.path)
    harvest()
    without_train(repo)
    repo.commit("No model")
    assert harvest().counts()["retired"] == 0
    assert show("titanic-train")["dvc_revision"] == "v1"


def test_a_broken_file_retires_nothing_and_is_reported(single: Any, source: Any, harvest: Any, catalog: Any) -> None:
    source(single.path)
    harvest()
    before = catalog()
    single.write("dvc.yaml", BROKEN)
    (single.path / "dvc.lock").unlink()
    single.commit("Oops")
    report = harvest()
    assert report.counts()["retired"] == 0
    assert report.counts()["failed"] == 0
    assert any("dvc.yaml" in problem and "main" in problem for problem in report.problems)
    after = catalog()
    assert after["packages"] == before["packages"]
    assert len(after["versions"]) == len(before["versions"])


def test_one_bad_stage_does_not_stop_the_others(single: Any, source: Any, harvest: Any, show: Any) -> None:
    single.edit("dvc.yaml", "stages:\n", "stages:\n  bad:\n    cmd: {not: a command}\n    outs: 7\n")
    single.write("broken/data.csv.dvc", "outs:\n- md5: [\n")
    single.commit("One of them is bad")
    source(single.path)
    report = harvest()
    added = {result.name for result in report.results if result.kind == "added"}
    assert {"titanic-prepare", "titanic-train", "titanic-data-raw-csv"} <= added
    assert any("broken/data.csv.dvc" in problem for problem in report.problems)
    job = helpers.call_action("harvest_job_show", {"user": "root"}, id=report.job)
    assert job["status"] == "Finished"
    assert any("broken/data.csv.dvc" in error["message"] for error in job["gather_error_summary"])


def test_a_repository_that_cannot_be_read_changes_nothing(repo: Any, source: Any, harvest: Any, catalog: Any) -> None:
    source(repo.path)
    harvest()
    before = catalog(exact=True)
    (repo.path / ".git").rename(repo.path / "gone")
    report = harvest()
    assert not report.read
    assert len(report.problems) == 1
    assert catalog(exact=True) == before


def test_an_emptied_repository_retires_everything_at_once(single: Any, source: Any, harvest: Any, show: Any) -> None:
    source(single.path)
    harvest()
    single.git("rm", "--quiet", "-r", ".")
    single.commit("All gone")
    assert harvest().counts()["retired"] == 3
    assert show("titanic-train")["dvc_retired"]
