"""Three-way merge: what nobody edited follows Git, what a person edited stays theirs."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.mlops.catalog.ownership import RESOURCE, Conflict, changed, differing, label, merge, still


def package(**values: Any) -> dict[str, Any]:
    fields = {
        "id": "p",
        "name": "titanic-train",
        "type": "dataset",
        "title": "Titanic: train",
        "notes": "",
        "private": False,
        "dvc_commit": "a1",
        "dvc_retired": "",
        "tags": [{"name": "forest"}],
        "groups": [],
        "derived_from": [{"dataset": "raw", "label": "fetch", "origin": "harvested"}],
        "resources": [{"id": "r1", "name": "model.pkl", "hash": "1", "size": 10, "description": ""}],
    }
    return {**fields, **values}


def in_portal(harvested: dict[str, Any], **values: Any) -> dict[str, Any]:
    """As CKAN gives it back: more fields, blanks as None, numbers as text."""
    shown = deepcopy(harvested) | {"state": "active", "author": None, "num_tags": 1}
    shown["notes"] = shown["notes"] or None
    shown["tags"] = [{"id": "t", "display_name": tag["name"], "state": "active", **tag} for tag in shown["tags"]]
    shown["resources"] = [
        {**resource, "position": n, "package_id": "p", "description": resource["description"] or None}
        for n, resource in enumerate(shown["resources"])
    ]
    return {**shown, **values}


def test_nothing_new_writes_nothing() -> None:
    merged, conflicts = merge(package(), package(), in_portal(package()))
    assert not changed(merged, in_portal(package()))
    assert conflicts == []


def test_what_nobody_edited_follows_git() -> None:
    git = package(title="Titanic 2: train", dvc_commit="b2")
    merged, conflicts = merge(package(), git, in_portal(package()))
    assert (merged["title"], merged["dvc_commit"]) == ("Titanic 2: train", "b2")
    assert conflicts == []
    assert merged["state"] == "active"


def test_an_edited_field_stays_and_only_a_real_difference_is_a_conflict() -> None:
    portal = in_portal(package(), title="Survival model")
    merged, conflicts = merge(package(), package(dvc_commit="b2"), portal)
    assert (merged["title"], merged["dvc_commit"]) == ("Survival model", "b2")
    assert conflicts == []
    merged, conflicts = merge(package(), package(title="New"), portal)
    assert merged["title"] == "Survival model"
    assert conflicts == [Conflict("title", "Titanic: train", "New", "Survival model")]
    assert json.loads(json.dumps(conflicts[0].to_dict()))["portal"] == "Survival model"


def test_an_emptied_field_is_an_edit_too() -> None:
    merged, _ = merge(package(notes="Old"), package(notes="New"), in_portal(package(notes="Old"), notes=""))
    assert merged["notes"] == ""


def test_the_address_of_a_dataset_never_changes() -> None:
    merged, conflicts = merge(package(), package(name="other"), in_portal(package()))
    assert merged["name"] == "titanic-train"
    assert conflicts == []


@pytest.mark.parametrize("field", ["tags", "groups"])
def test_tags_and_groups_of_both_sides_live_together(field: str) -> None:
    base = package(**{field: [{"name": "old"}, {"name": "kept"}, {"name": "unloved"}]})
    git = package(**{field: [{"name": "kept"}, {"name": "unloved"}, {"name": "new"}]})
    portal = in_portal(base, **{field: [{"name": "old"}, {"name": "kept"}, {"name": "mine"}]})
    merged, _ = merge(base, git, portal)
    assert {item["name"] for item in merged[field]} == {"kept", "mine", "new"}


def test_asserted_upstreams_stay_and_harvested_ones_follow_git() -> None:
    mine = {"dataset": "mine", "label": "", "origin": "asserted"}
    git = package(derived_from=[{"dataset": "raw2", "label": "load", "origin": "harvested"}])
    portal = in_portal(package(), derived_from=[*package()["derived_from"], mine])
    merged, _ = merge(package(), git, portal)
    assert [entry["dataset"] for entry in merged["derived_from"]] == ["mine", "raw2"]


def test_an_upstream_that_a_person_took_over_stays() -> None:
    asserted = {"dataset": "raw", "label": "fetch", "origin": "asserted"}
    merged, _ = merge(package(), package(derived_from=[]), in_portal(package(), derived_from=[asserted]))
    assert merged["derived_from"] == [asserted]


def test_resources_follow_git_by_id_and_those_added_by_hand_stay() -> None:
    git = package(
        resources=[
            {"id": "r1", "name": "model.pkl", "hash": "2", "size": 11, "description": ""},
            {"id": "r2", "name": "log.txt", "hash": "3", "size": 1, "description": ""},
        ]
    )
    portal = in_portal(package())
    portal["resources"][0] |= {"description": "The good one", "size": "10"}
    portal["resources"].insert(0, {"id": "hand", "name": "paper.pdf", "url": "https://x"})
    merged, conflicts = merge(package(), git, portal)
    assert [resource["id"] for resource in merged["resources"]] == ["hand", "r1", "r2"]
    model = merged["resources"][1]
    assert (model["hash"], model["size"], model["description"]) == ("2", 11, "The good one")
    assert conflicts == []


def test_a_resource_that_left_git_goes_and_one_that_a_person_removed_stays_away() -> None:
    merged, _ = merge(package(), package(resources=[]), in_portal(package()))
    assert merged["resources"] == []
    changed_in_git = package(resources=[{**package()["resources"][0], "hash": "9"}])
    merged, _ = merge(package(), changed_in_git, in_portal(package(), resources=[]))
    assert merged["resources"] == []


def test_a_removed_resource_of_which_git_says_something_new_is_a_conflict() -> None:
    portal = in_portal(package(), resources=[])
    moved = package(resources=[{**package()["resources"][0], "url": "https://x/commit"}])
    assert merge(package(), moved, portal)[1] == []
    new = package(resources=[{**package()["resources"][0], "hash": "9"}])
    merged, [conflict] = merge(package(), new, portal)
    assert merged["resources"] == []
    assert (conflict.field, conflict.resource, conflict.portal) == (RESOURCE, "r1", None)
    assert label(conflict.to_dict()) == "model.pkl"
    assert still([conflict], [], new, portal) == [conflict]
    assert still([conflict], [], new, in_portal(new)) == []


def test_a_resource_that_a_person_wrote_about_stays_when_it_leaves_git() -> None:
    portal = in_portal(package())
    portal["resources"][0] |= {"description": "The good one", "dvc_path": "model.pkl"}
    merged, [conflict] = merge(package(), package(resources=[]), portal)
    assert [each["id"] for each in merged["resources"]] == ["r1"]
    assert (conflict.field, conflict.resource, conflict.git) == (RESOURCE, "r1", None)
    [difference] = differing(package(resources=[]), portal)
    assert (difference.field, difference.git, difference.path) == (RESOURCE, None, "model.pkl")
    again, conflicts = merge(package(resources=[]), package(resources=[]), merged)
    assert [each["id"] for each in again["resources"]] == ["r1"]
    assert still([conflict], conflicts, package(resources=[]), merged) == [conflict]


def test_tags_differ_when_a_person_took_one_away() -> None:
    git = package(tags=[{"name": "forest"}, {"name": "kept"}])
    portal = in_portal(git, tags=[{"name": "kept"}, {"name": "mine"}])
    [difference] = differing(git, portal)
    assert (difference.field, difference.git, difference.portal) == ("tags", ["forest", "kept"], ["kept", "mine"])
    assert differing(git, in_portal(git, tags=[*git["tags"], {"name": "mine"}])) == []


def test_without_a_memory_words_are_the_persons_and_facts_are_gits() -> None:
    portal = in_portal(package(), title="Mine", notes=None, dvc_commit="old")
    portal["resources"][0]["hash"] = "old"
    merged, conflicts = merge(None, package(notes="From Git"), portal)
    assert (merged["title"], merged["notes"], merged["dvc_commit"]) == ("Mine", "From Git", "a1")
    assert merged["resources"][0]["hash"] == "1"
    assert conflicts == []


FIELDS = ("title", "notes", "dvc_commit", "private")
VALUES = st.fixed_dictionaries(
    {
        "title": st.sampled_from(["A", "B", "C"]),
        "notes": st.sampled_from(["", "x", "y"]),
        "dvc_commit": st.sampled_from(["1", "2"]),
        "private": st.booleans(),
        "tags": st.lists(st.sampled_from("abcd"), unique=True).map(lambda names: [{"name": n} for n in names]),
        "resources": st.lists(st.sampled_from("rst"), unique=True)
        .flatmap(lambda ids: st.fixed_dictionaries({key: st.sampled_from("12") for key in ids}))
        .map(lambda found: [{"id": key, "hash": value, "description": ""} for key, value in found.items()]),
    }
)


@given(VALUES, VALUES, VALUES)
def test_law_a_persons_value_is_never_overwritten(base: Any, git: Any, portal: Any) -> None:
    merged, conflicts = merge(package(**base), package(**git), in_portal(package(**portal)))
    for field in FIELDS:
        edited = portal[field] != base[field]
        assert merged[field] == (portal[field] if edited else git[field]) or (not merged[field] and not portal[field])
        said = any(conflict.field == field and not conflict.resource for conflict in conflicts)
        assert said == (edited and git[field] not in (base[field], portal[field]))
    names = {tag["name"] for tag in merged["tags"]}
    mine = {tag["name"] for tag in portal["tags"]} - {tag["name"] for tag in base["tags"]}
    refused = {tag["name"] for tag in base["tags"]} - {tag["name"] for tag in portal["tags"]}
    assert mine <= names
    assert not refused & names
    by_hand = {each["id"] for each in portal["resources"]} - {each["id"] for each in base["resources"]}
    assert by_hand <= {each["id"] for each in merged["resources"]}


@given(VALUES, VALUES)
def test_law_an_unchanged_repository_changes_nothing(git: Any, portal: Any) -> None:
    shown = in_portal(package(**portal))
    merged, conflicts = merge(package(**git), package(**git), shown)
    assert not changed(merged, shown)
    assert conflicts == []


@given(VALUES, VALUES, VALUES)
def test_law_merging_again_changes_nothing(base: Any, git: Any, portal: Any) -> None:
    once, _ = merge(package(**base), package(**git), in_portal(package(**portal)))
    twice, _ = merge(package(**git), package(**git), once)
    assert not changed(twice, once)


@given(VALUES, VALUES)
def test_law_without_edits_the_portal_is_what_git_says(base: Any, git: Any) -> None:
    merged, conflicts = merge(package(**base), package(**git), in_portal(package(**base)))
    assert conflicts == []
    for field in FIELDS:
        assert merged[field] == git[field] or (not merged[field] and not git[field])
    assert {tag["name"] for tag in merged["tags"]} == {tag["name"] for tag in git["tags"]}
    assert {(each["id"], each["hash"]) for each in merged["resources"]} == {
        (each["id"], each["hash"]) for each in git["resources"]
    }
