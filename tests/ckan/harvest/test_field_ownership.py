"""A person's value stays, both are shown to those who may edit, and one click takes the other, and goes back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ckan import model
from ckan.tests import helpers
from ckanext.harvest.model import HarvestObject


def patch(dataset: str, **values: Any) -> None:
    helpers.call_action("package_patch", {"user": "editor"}, id=dataset, **values)


@pytest.fixture
def edited(repo: Any, source: Any, harvest: Any) -> Any:
    """The notes are edited in the portal, then in Git."""
    source(repo.path)
    harvest()
    patch("titanic-prepare", notes="By <hand>.")
    repo.edit("dvc.yaml", "Leaves out passengers without an age.", "Leaves out nobody.")
    repo.commit("Other words")
    harvest()
    return repo


def fields(api: Any, people: Any) -> list[dict[str, Any]]:
    return list(api("mlops_field_list", people.editor, id="titanic-prepare")["results"])


def test_both_values_are_shown_and_the_person_keeps_theirs(edited: Any, api: Any, people: Any, show: Any) -> None:
    [field] = fields(api, people)
    assert (field["field"], field["portal"], field["git"]) == ("notes", "By <hand>.", "Leaves out nobody.")
    assert field["conflict"]
    assert show("titanic-prepare")["notes"] == "By <hand>."


def test_a_conflict_stays_one_until_somebody_decides(edited: Any, api: Any, people: Any, harvest: Any) -> None:
    edited.edit("dvc.yaml", "cp data/raw.csv data/prepared.csv", "cp  data/raw.csv data/prepared.csv")
    edited.commit("Another command")
    harvest()
    [field] = fields(api, people)
    assert field["conflict"]


def test_one_click_takes_what_git_says_and_back(
    edited: Any, api: Any, people: Any, show: Any, harvest: Any, catalog: Any
) -> None:
    before = catalog()
    api("mlops_field_take", people.editor, id="titanic-prepare", field="notes")
    assert show("titanic-prepare")["notes"] == "Leaves out nobody."
    indexed = helpers.call_action("package_search", q="name:titanic-prepare")["results"]
    assert indexed[0]["notes"] == "Leaves out nobody."
    [field] = fields(api, people)
    assert (field["taken"], field["kept"]) == (True, "By <hand>.")
    api("mlops_field_restore", people.editor, id="titanic-prepare", field="notes")
    assert catalog() == before
    assert harvest().counts()["unchanged"] == 3


def test_what_was_taken_follows_git(edited: Any, api: Any, people: Any, show: Any, harvest: Any) -> None:
    api("mlops_field_take", people.editor, id="titanic-prepare", field="notes")
    edited.edit("dvc.yaml", "Leaves out nobody.", "Leaves out everybody.")
    edited.commit()
    harvest()
    assert show("titanic-prepare")["notes"] == "Leaves out everybody."
    assert fields(api, people) == []


def test_a_field_of_a_resource(edited: Any, api: Any, people: Any, show: Any) -> None:
    resources = show("titanic-train")["resources"]
    resources[0]["description"] = "Mine."
    patch("titanic-train", resources=resources)
    [field] = api("mlops_field_list", people.editor, id="titanic-train")["results"]
    assert (field["path"], field["conflict"]) == ("model.pkl", False)
    values = {"id": "titanic-train", "field": "description", "resource": field["resource"]}
    api("mlops_field_take", people.editor, **values)
    assert show("titanic-train")["resources"][0]["description"] == "A forest."
    api("mlops_field_restore", people.editor, **values)
    assert show("titanic-train")["resources"][0]["description"] == "Mine."


def test_tags_that_a_person_removed_come_back_and_theirs_stay(
    edited: Any, api: Any, people: Any, show: Any, harvest: Any
) -> None:
    def tags() -> list[str]:
        return [tag["name"] for tag in show("titanic-train")["tags"]]

    assert tags() == ["forest", "scikit-learn"]
    patch("titanic-train", tags=[{"name": "mine"}])
    [field] = api("mlops_field_list", people.editor, id="titanic-train")["results"]
    assert (field["field"], field["git"], field["portal"]) == ("tags", ["forest", "scikit-learn"], ["mine"])
    api("mlops_field_take", people.editor, id="titanic-train", field="tags")
    assert tags() == ["forest", "mine", "scikit-learn"]
    assert harvest().counts()["unchanged"] == 3
    api("mlops_field_restore", people.editor, id="titanic-train", field="tags")
    assert tags() == ["mine"]


def test_groups_that_a_person_removed_come_back(
    repo: Any, source: Any, api: Any, people: Any, show: Any, harvest: Any
) -> None:
    helpers.call_action("group_create", {"user": "root"}, name="passengers", users=[{"name": "editor"}])
    source(repo.path, groups_added=["passengers"])
    harvest()
    patch("titanic-train", groups=[])
    [field] = api("mlops_field_list", people.editor, id="titanic-train")["results"]
    assert (field["field"], field["git"], field["portal"]) == ("groups", ["passengers"], [])
    api("mlops_field_take", people.editor, id="titanic-train", field="groups")
    assert [group["name"] for group in show("titanic-train")["groups"]] == ["passengers"]
    api("mlops_field_restore", people.editor, id="titanic-train", field="groups")
    assert show("titanic-train")["groups"] == []


def test_a_file_that_a_person_removed_comes_back(
    edited: Any, api: Any, people: Any, show: Any, harvest: Any, page: Any
) -> None:
    whole = show("titanic-train")["resources"]
    patch("titanic-train", resources=whole[1:])
    edited.edit("dvc.lock", whole[0]["hash"], "0" * 32)
    edited.commit("A better model")
    [result] = [each for each in harvest().results if each.name == "titanic-train"]
    assert result.kept == ("model.pkl",)
    [field] = api("mlops_field_list", people.editor, id="titanic-train")["results"]
    assert (field["field"], field["path"], field["portal"]) == ("resource", "model.pkl", None)
    assert field["conflict"]
    assert "the file itself" in page("/dataset/titanic-train", people.editor).body
    values = {"id": "titanic-train", "field": "resource", "resource": field["resource"]}
    api("mlops_field_take", people.editor, **values)
    resources = show("titanic-train")["resources"]
    assert [each["name"] for each in resources] == ["model.pkl", "metrics.json"]
    assert (resources[0]["id"], resources[0]["hash"]) == (whole[0]["id"], "0" * 32)
    api("mlops_field_restore", people.editor, **values)
    assert [each["name"] for each in show("titanic-train")["resources"]] == ["metrics.json"]
    api("mlops_field_take", people.editor, **values)
    edited.edit("dvc.lock", "0" * 32, "1" * 32)
    edited.commit("The best model")
    harvest()
    assert show("titanic-train")["resources"][0]["hash"] == "1" * 32


def test_a_file_that_left_git_is_kept_with_what_a_person_wrote(
    edited: Any, api: Any, people: Any, show: Any, harvest: Any
) -> None:
    resources = show("titanic-train")["resources"]
    resources[0]["description"] = "The good one."
    patch("titanic-train", resources=resources)
    edited.edit("dvc.yaml", "    - model.pkl:\n        desc: A forest.\n        labels: [forest, scikit-learn]\n", "")
    edited.edit("dvc.yaml", "    outs:\n    metrics:", "    metrics:")
    lock = (edited.path / "dvc.lock").read_text()
    start = lock.index("    - path: model.pkl")
    following = lock.find("    - path:", start + 1)
    edited.write("dvc.lock", lock[:start] + (lock[following:] if following > 0 else ""))
    edited.commit("No model any more")
    [result] = [each for each in harvest().results if each.name == "titanic-train"]
    assert result.kept == ("model.pkl",)
    [field] = api("mlops_field_list", people.editor, id="titanic-train")["results"]
    assert (field["field"], field["git"], field["conflict"]) == ("resource", None, True)
    before = {each["name"]: each.get("description") for each in show("titanic-train")["resources"]}
    assert before["model.pkl"] == "The good one."
    values = {"id": "titanic-train", "field": "resource", "resource": field["resource"]}
    api("mlops_field_take", people.editor, **values)
    assert [each["name"] for each in show("titanic-train")["resources"]] == ["metrics.json"]
    api("mlops_field_restore", people.editor, **values)
    assert {each["name"]: each.get("description") for each in show("titanic-train")["resources"]} == before


def test_there_is_nothing_to_take_or_to_go_back_to(edited: Any, api: Any, people: Any, refused: Any) -> None:
    for action, field in (("take", "title"), ("restore", "notes"), ("take", "name"), ("take", "id")):
        with pytest.raises(refused) as caught:
            api(f"mlops_field_{action}", people.editor, id="titanic-prepare", field=field)
        assert "there is nothing" in str(caught.value.error["field"])


def test_the_page_shows_it_to_editors_only(edited: Any, people: Any, sign_in: Any, page: Any) -> None:
    for person in (people.anonymous, people.outsider, people.member):
        assert "Leaves out nobody" not in page("/dataset/titanic-prepare", person, status=200).body
    browser = sign_in(people.editor)
    body = browser.get("/dataset/titanic-prepare", status=200).body
    assert "By &lt;hand&gt;." in body
    assert "Git says something new of 1 field" in body
    token = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"', body)
    assert token is not None
    data = {"_csrf_token": token[1], "field": "notes", "resource": ""}
    body = browser.post("/dataset/titanic-prepare/field/take", data=data, follow_redirects=True).body
    assert "Put back" in body
    stream = browser.get("/dataset/activity/titanic-prepare", status=200).body
    assert re.search(r"took what Git says for\s+notes", stream)


def test_what_was_harvested_is_shown_to_those_who_may_see_the_dataset(
    repo: Any, source: Any, harvest: Any, api: Any, people: Any, refused: Any
) -> None:
    source(repo.path, private_datasets=True)
    harvest()
    harvest_object = model.Session.query(HarvestObject.id).filter_by(guid=f"file://{repo.path}#train").scalar()
    for person in (people.anonymous, people.outsider):
        with pytest.raises(refused) as caught:
            api("harvest_object_show", person, id=harvest_object)
        assert caught.value.status == 403
    assert api("harvest_object_show", people.member, id=harvest_object)["content"]
