"""What the API says about a dataset's links, and how they end."""

from __future__ import annotations

import pytest


def test_links_come_newest_first_and_in_pages(api, people, dataset, tracking):
    experiment = tracking.experiment()
    made = [
        api("mlops_link_create", people.editor, id="titanic", server="lab", target=tracking.run(experiment))["id"]
        for _ in range(3)
    ]
    whole = api("mlops_link_list", id=dataset["id"])
    assert whole["count"] == 3
    assert [link["id"] for link in whole["results"]] == made[::-1]
    part = api("mlops_link_list", id="titanic", limit=1, offset=1)
    assert part["count"] == 3
    assert [link["id"] for link in part["results"]] == [made[1]]
    assert api("mlops_link_list", id="titanic", limit=0) == {"count": 3, "results": []}


def test_a_removed_link_is_gone_and_its_facts_stay_for_others(api, people, dataset, make_dataset, tracking, refused):
    make_dataset(name="other")
    run = tracking.run(tracking.experiment(), "shared")
    made = api("mlops_link_create", people.editor, id="titanic", server="lab", target=run)
    api("mlops_link_create", people.editor, id="other", server="lab", target=run)
    assert api("mlops_link_delete", people.editor, id=made["id"]) is None
    assert api("mlops_link_list", id="titanic") == {"count": 0, "results": []}
    assert api("mlops_link_list", id="other")["results"][0]["run"]["name"] == "shared"
    with pytest.raises(refused) as caught:
        api("mlops_link_delete", people.editor, id=made["id"])
    assert caught.value.status == 404


def test_the_experiment_that_a_dataset_declares_is_listed_before_and_after_its_first_sync(
    api, people, make_dataset, tracking, sync
):
    experiment = tracking.experiment()
    tracking.run(experiment, "declared run")
    name = tracking.name_of(experiment)
    make_dataset(name="titanic", mlflow_server="lab", mlflow_experiment=name)
    [before] = api("mlops_link_list", id="titanic")["results"]
    assert (before["id"], before["origin"], before["target"]) == (None, "declared", name)
    assert (before["experiment"], before["facts_at"], before["stale"]) == (None, None, "never copied")
    assert sync()["errors"] == []
    [after] = api("mlops_link_list", id="titanic")["results"]
    assert (after["id"], after["origin"], after["target"]) == (None, "declared", experiment)
    assert [run["name"] for run in after["runs"]] == ["declared run"]
    assert api("mlops_run_list", id="titanic")["count"] == 1


def test_a_declared_experiment_that_is_also_linked_is_one_link(api, people, make_dataset, tracking):
    experiment = tracking.experiment()
    make_dataset(name="titanic", mlflow_server="lab", mlflow_experiment=tracking.name_of(experiment))
    made = api("mlops_link_create", people.editor, id="titanic", server="lab", kind="experiment", target=experiment)
    found = api("mlops_link_list", id="titanic")
    assert found["count"] == 1
    assert found["results"][0]["id"] == made["id"]


def test_a_declared_link_is_paged_with_the_others(api, people, make_dataset, tracking):
    make_dataset(name="titanic", mlflow_server="lab", mlflow_experiment="not there")
    run = tracking.run(tracking.experiment())
    api("mlops_link_create", people.editor, id="titanic", server="lab", target=run)
    pages = [api("mlops_link_list", id="titanic", limit=1, offset=offset) for offset in range(3)]
    assert [page["count"] for page in pages] == [2, 2, 2]
    assert [[link["origin"] for link in page["results"]] for page in pages] == [["declared"], ["asserted"], []]


def test_making_and_removing_a_link_is_in_the_activity_stream(api, people, dataset, tracking, page):
    run = tracking.run(tracking.experiment(), "<i>forest</i>")
    made = api("mlops_link_create", people.editor, id="titanic", server="lab", target=run, relation="trained_on")
    api("mlops_link_create", people.editor, id="titanic", server="lab", target=run, relation="trained_on")
    api("mlops_link_delete", people.editor, id=made["id"])
    stream = api("package_activity_list", people.editor, id="titanic")
    assert [item["activity_type"] for item in stream] == [
        "deleted mlflow link",
        "new mlflow link",
        "new package",
    ]
    assert stream[0]["data"]["link"]["name"] == "<i>forest</i>"
    body = page("/dataset/activity/titanic", people.editor).body
    assert "removed the link of" in body
    assert "&lt;i&gt;forest&lt;/i&gt;" in body
    assert "<i>forest</i>" not in body


def test_links_do_not_break_the_stream_of_changes(api, people, dataset, tracking, page):
    run = tracking.run(tracking.experiment())
    api("mlops_link_create", people.editor, id="titanic", server="lab", target=run)
    api("package_patch", people.editor, id="titanic", title="New title")
    latest = api("package_activity_list", people.editor, id="titanic")[0]
    assert latest["activity_type"] == "changed package"
    assert "New title" in page(f"/dataset/changes/{latest['id']}", people.editor).body
