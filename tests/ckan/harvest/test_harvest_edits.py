"""What people do in the portal survives the next harvest."""

from __future__ import annotations

from typing import Any

import pytest
from ckan import model
from ckan.tests import helpers


def patch(dataset: str, **values: Any) -> None:
    helpers.call_action("package_patch", {"user": "root"}, id=dataset, **values)


@pytest.fixture
def harvested(repo: Any, source: Any, harvest: Any) -> Any:
    source(repo.path)
    harvest()
    return repo


def new_model(repo: Any, show: Any) -> None:
    repo.edit("dvc.lock", show("titanic-train")["resources"][0]["hash"], "0" * 32)
    repo.commit("A better model")


def test_an_edited_title_stays_and_the_rest_follows(harvested: Any, harvest: Any, show: Any) -> None:
    patch("titanic-train", title="Survival model", notes="By hand.")
    new_model(harvested, show)
    assert harvest().counts()["changed"] == 1
    train = show("titanic-train")
    assert (train["title"], train["notes"]) == ("Survival model", "By hand.")
    assert train["resources"][0]["hash"] == "0" * 32


def test_a_conflict_is_reported_with_the_field(harvested: Any, harvest: Any, show: Any) -> None:
    patch("titanic-prepare", notes="By hand.")
    harvested.edit("dvc.yaml", "Leaves out passengers without an age.", "Leaves out nobody.")
    harvested.commit("Other words")
    report = harvest()
    [result] = [each for each in report.results if each.name == "titanic-prepare"]
    assert (result.kind, result.kept) == ("changed", ("notes",))
    assert show("titanic-prepare")["notes"] == "By hand."
    assert harvest().counts()["unchanged"] == 3


def test_a_resource_and_a_tag_added_by_hand_stay(harvested: Any, harvest: Any, show: Any) -> None:
    helpers.call_action(
        "resource_create", {"user": "root"}, package_id="titanic-train", name="paper.pdf", url="https://lab.test/p.pdf"
    )
    patch("titanic-train", tags=[{"name": "mine"}, {"name": "forest"}])
    new_model(harvested, show)
    harvest()
    train = show("titanic-train")
    assert [resource["name"] for resource in train["resources"]] == ["model.pkl", "metrics.json", "paper.pdf"]
    assert [tag["name"] for tag in train["tags"]] == ["forest", "mine"]


def test_an_asserted_source_stays(harvested: Any, harvest: Any, show: Any) -> None:
    asserted = {"url": "https://www.kaggle.com/c/titanic", "label": "Kaggle"}
    patch("titanic-train", derived_from=[*show("titanic-train")["derived_from"], asserted])
    new_model(harvested, show)
    harvest()
    origins = {entry.get("url", "dataset"): entry["origin"] for entry in show("titanic-train")["derived_from"]}
    assert origins == {"dataset": "harvested", "https://www.kaggle.com/c/titanic": "asserted"}


def test_a_renamed_dataset_keeps_its_address(harvested: Any, harvest: Any, show: Any) -> None:
    patch("titanic-train", name="survival")
    harvested.edit("dvc.yaml", "A forest.", "A tree.")
    harvested.commit()
    harvest()
    assert show("survival")["resources"][0]["description"] == "A tree."


def test_a_deleted_dataset_stays_deleted(harvested: Any, harvest: Any, show: Any) -> None:
    new_model(harvested, show)
    helpers.call_action("package_delete", {"user": "root"}, id="titanic-train")
    assert harvest().counts()["failed"] == 0
    assert show("titanic-train")["state"] == "deleted"


def test_a_purged_dataset_is_harvested_anew(harvested: Any, harvest: Any, show: Any) -> None:
    before = show("titanic-train")["id"]
    helpers.call_action("dataset_purge", {"user": "root"}, id="titanic-train")
    model.Session.remove()
    assert harvest().counts()["added"] == 1
    assert show("titanic-train")["id"] == before


def test_edits_survive_when_the_history_of_harvests_was_cleared(harvested: Any, harvest: Any, show: Any) -> None:
    patch("titanic-train", title="Survival model")
    source_id = show("titanic")["id"]
    helpers.call_action("harvest_source_job_history_clear", {"user": "root"}, id=source_id)
    new_model(harvested, show)
    report = harvest()
    assert report.counts()["failed"] == 0
    train = show("titanic-train")
    assert train["title"] == "Survival model"
    assert train["resources"][0]["hash"] == "0" * 32


def test_a_name_that_is_taken_is_told_apart(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    helpers.call_action("package_create", {"user": "root"}, name="titanic-train", owner_org="lab")
    source(repo.path)
    report = harvest()
    [name] = [result.name for result in report.results if result.title == "Titanic: train"]
    assert name.startswith("titanic-train-")
    assert "dvc_stage" not in show("titanic-train")
