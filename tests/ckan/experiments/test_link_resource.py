"""A link can be about one resource of its dataset."""

from __future__ import annotations

import pytest


@pytest.fixture
def files(make_dataset):
    """A dataset of two resources, and another dataset's."""
    urls = [{"url": "https://example.org/train.csv", "name": "train.csv"}, {"url": "https://example.org/test.csv"}]
    made = make_dataset(name="titanic", title="Titanic", resources=urls)
    other = make_dataset(name="other", title="Other", resources=urls[:1])
    return [each["id"] for each in made["resources"]], other["resources"][0]["id"]


def test_a_link_names_a_resource(api, app, people, files, tracking):
    (train, test), _ = files
    run = tracking.run(tracking.experiment())
    given = {"id": "titanic", "server": "lab", "target": run}
    made = api("mlops_link_create", people.editor, **given, resource=train)
    assert (made["resource"], made["resource_name"]) == (train, "train.csv")
    assert api("mlops_link_create", people.editor, **given)["resource"] == train
    assert api("mlops_link_list", id="titanic", resource=train)["count"] == 1
    assert api("mlops_link_list", id="titanic", resource=test)["count"] == 0
    page = app.get("/dataset/titanic/experiments")
    assert f"/resource/{train}" in page.text
    changed = api("mlops_link_update", people.editor, id=made["id"], resource=test, relation="evaluated_on")
    assert changed["resource_name"] == "https://example.org/test.csv"
    assert api("mlops_link_show", id=changed["id"])["resource"] == test
    assert api("mlops_link_update", people.editor, id=changed["id"], resource="")["resource"] is None


def test_a_resource_that_is_removed_leaves_the_link(api, people, files, tracking):
    (train, _), _ = files
    run = tracking.run(tracking.experiment())
    api("mlops_link_create", people.editor, id="titanic", server="lab", target=run, resource=train)
    api("resource_delete", people.editor, id=train)
    [link] = api("mlops_link_list", id="titanic")["results"]
    assert link["target"] == run
    assert link["resource_name"] is None


def test_a_resource_of_another_dataset_is_refused(api, people, files, tracking, refused):
    with pytest.raises(refused) as caught:
        api("mlops_link_create", people.editor, id="titanic", server="lab", target="x", resource=files[1])
    assert "no such resource" in caught.value.error["resource"][0]
