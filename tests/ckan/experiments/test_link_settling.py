"""What a person says wins: corrections stay, what was removed does not come back, hints become links or go."""

from __future__ import annotations

import datetime
import json
import uuid

import pytest
from bs4 import BeautifulSoup
from ckan import model

from ckanext.mlops.core.mlflow_records import DatasetInput
from ckanext.mlops.core.mlflow_records import Run as RunFacts
from ckanext.mlops.model import Experiment, Link, LinkHint, ModelVersion, RegisteredModel, versions
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import links as mlflow_links

HASH = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


@pytest.fixture
def world(people, make_dataset):
    """A dataset of two versions, and a run that names the content of the first."""
    package = make_dataset(name="titanic", title="Titanic")["id"]
    ids = [str(uuid.uuid4()), str(uuid.uuid4())]
    rows = [
        {"id": id_, "digest": hash_, "commit": hash_ + "0" * 8, "facts": {"outs": [{"path": "t.csv", "hash": hash_}]}}
        for id_, hash_ in zip(ids, (HASH, OTHER), strict=True)
    ]
    rows[1]["current"] = True
    versions.store(model.Session(), package, rows)
    store("r1", {"dvc_data_md5": HASH})
    match()
    return ids


def store(run_id, tags, experiment="1", **values):
    run = RunFacts(run_id, experiment, name=run_id, status="FINISHED", tags=tags, **values)
    facts.store_runs(model.Session(), "lab", [run], utc_now())
    model.Session.commit()


def match():
    every = facts.runs_changed(model.Session(), "lab", datetime.datetime(1970, 1, 1))  # noqa: DTZ001 as CKAN stores it
    report = mlflow_links.match_runs(model.Session(), every)
    model.Session.commit()
    return report


def the_link():
    model.Session.expire_all()
    [link] = model.Session.query(Link).all()
    return link


def test_a_hash_makes_a_link_with_its_version_once(world):
    link = the_link()
    assert (link.origin, link.version_id, link.evidence["strength"]) == ("inferred", world[0], "exact")
    again = match()
    assert (again.added, again.changed, again.removed) == (0, 0, 0)


def test_a_correction_is_never_undone(world, api, people):
    made = api("mlops_link_update", people.editor, id=the_link().id, version=world[1], note="I looked")
    assert (made["origin"], made["version"], made["user_id"]) == ("asserted", world[1], people.editor.id)
    # What was found says otherwise: that is told at once, not when the run changes.
    assert [each["id"] for each in api("mlops_link_hint_list", id="titanic")["contradictions"]] == [made["id"]]
    match()
    link = the_link()
    assert (link.origin, link.version_id, link.note) == ("asserted", world[1], "I looked")
    # Evidence that says otherwise is shown beside it.
    assert link.evidence["found"]["choices"][0]["version"] == world[0]
    assert [each["id"] for each in api("mlops_link_hint_list", id="titanic")["contradictions"]] == [link.id]


def test_another_relation_replaces_the_link_that_was_found(world, api, people):
    api("mlops_link_update", people.editor, id=the_link().id, relation="evaluated_on")
    match()
    assert (the_link().relation, the_link().origin) == ("evaluated_on", "asserted")


@pytest.mark.parametrize("relation", ["trained_on", "evaluated_on"])
def test_what_a_script_says_takes_the_place_of_what_was_found(world, api, people, configure, relation):
    configure("lab", uri="http://127.0.0.1:9")  # known facts are enough
    found = the_link().evidence
    made = api(
        "mlops_link_create", people.editor, id="titanic", server="lab", target="r1", relation=relation, version=world[1]
    )
    link = the_link()
    assert (link.id, link.origin, link.relation, link.version_id) == (made["id"], "asserted", relation, world[1])
    assert link.evidence == {"found": found}
    assert [each["id"] for each in api("mlops_link_hint_list", id="titanic")["contradictions"]] == [link.id]
    again = match()
    assert (again.added, again.changed, again.removed) == (0, 0, 0)


def test_what_was_removed_does_not_come_back_but_can_be_made(world, api, people):
    api("mlops_link_delete", people.editor, id=the_link().id)
    assert match().added == 0
    assert model.Session.query(Link).count() == 0


def test_a_link_whose_evidence_is_gone_goes(world):
    store("r1", {})
    assert match().removed == 1
    assert model.Session.query(Link).count() == 0


def test_content_of_two_datasets_is_a_candidate_that_a_person_settles(world, api, people, make_dataset):
    other = make_dataset(name="copy")["id"]
    row = {
        "id": str(uuid.uuid4()),
        "digest": "x",
        "commit": "c" * 40,
        "facts": {"outs": [{"path": "c.csv", "hash": HASH}]},
    }
    versions.store(model.Session(), other, [row])
    store("r2", {"dvc_data_md5": HASH})
    match()
    of_run = {"target": "r2"}
    assert model.Session.query(Link).filter_by(**of_run).count() == 0
    [hint] = [each for each in api("mlops_link_hint_list", id="copy")["results"] if each["target"] == "r2"]
    assert (hint["state"], hint["evidence"]["strength"]) == ("candidate", "doubtful")
    made = api("mlops_link_hint_accept", people.editor, id=hint["id"], version=row["id"])
    assert (made["origin"], made["version"]) == ("asserted", row["id"])
    for left in api("mlops_link_hint_list", id="titanic")["results"]:
        assert api("mlops_link_hint_dismiss", people.editor, id=left["id"])["state"] == "dismissed"
    match()
    assert api("mlops_link_hint_list", id="titanic")["count"] == 0
    assert model.Session.query(Link).filter_by(**of_run).count() == 1


def test_a_name_is_a_suggestion_and_never_a_link(world, api, people):
    store("r3", {}, "2", inputs=(DatasetInput("t.csv", digest="0a1b2c3d", uri="/elsewhere/t.csv"),))
    match()
    [hint] = api("mlops_link_hint_list", id="titanic")["results"]
    assert (hint["state"], hint["kind"], hint["target"]) == ("suggestion", "experiment", "2")
    api("mlops_link_hint_dismiss", people.editor, id=hint["id"])
    match()
    assert api("mlops_link_hint_list", id="titanic")["count"] == 0
    assert model.Session.query(LinkHint).filter_by(state="dismissed").count() == 1


def test_what_is_deleted_in_mlflow_waits_to_be_restored(world, api):
    model.Session.add(Experiment(server="lab", experiment_id="2", name="two"))
    store("r3", {}, "2", inputs=(DatasetInput("t.csv", digest="0a1b2c3d"),))
    match()
    for stage, count in (("active", 1), ("deleted", 0), ("gone", 0), ("active", 1)):
        model.Session.get(Experiment, ("lab", "2")).lifecycle_stage = stage
        model.Session.commit()
        assert api("mlops_link_hint_list", id="titanic")["count"] == count


def test_a_disputed_link_names_the_version_that_was_found(world, api, people, page):
    api("mlops_link_update", people.editor, id=the_link().id, version=world[1])
    body = page("/dataset/titanic/experiments?version=all").body
    assert "asserted, disputed" in body
    soup = BeautifulSoup(body, "html.parser")
    for place in (".mlops-tie", "#mlops-hints ~ ul .mlops-link"):
        assert soup.select_one(f'{place} a[href$="/dataset/titanic/versions/{world[0]}"]'), place


def test_the_tab_lets_editors_settle_hints(world, page, people, sign_in):
    store("r3", {}, "2", inputs=(DatasetInput("t.csv", digest="0a1b2c3d"),))
    match()
    assert "Only a name says so: t.csv." in page("/dataset/titanic/experiments").body
    assert 'value="dismiss"' not in page("/dataset/titanic/experiments").body
    assert 'value="dismiss"' in page("/dataset/titanic/experiments", people.editor).body


def test_many_links_at_once_or_none(world, api, people, refused, configure):
    configure("lab", uri="http://127.0.0.1:9")
    model.Session.add(RegisteredModel(server="lab", name="forest"))
    model.Session.add(ModelVersion(server="lab", name="forest", version="3", run_id="r1"))
    model.Session.commit()
    good = [
        {"id": "titanic", "server": "lab", "kind": "registered_model", "target": "forest", "relation": "trained_on"},
        {"id": "titanic", "server": "lab", "kind": "model_version", "target": "forest/3", "relation": "trained_on"},
    ]
    before = model.Session.query(Link).count()
    with pytest.raises(refused) as caught:
        api("mlops_link_create_many", people.editor, links=json.dumps([*good, {**good[0], "target": "nothing"}]))
    assert caught.value.status == 409
    assert model.Session.query(Link).count() == before
    for created in (2, 0):
        found = api("mlops_link_create_many", people.editor, links=json.dumps(good))
        assert (found["created"], found["known"]) == (created, 2 - created)
    shown = api("mlops_link_show", id=found["ids"][1])
    assert shown["model"]["version"] == "3"
    assert {each["kind"] for each in api("mlops_link_list", id="titanic", origin="asserted")["results"]} == {
        "registered_model",
        "model_version",
    }


def test_a_run_search_asks_the_server_and_stays_within_its_bounds(api, people, tracking, refused):
    experiment = tracking.experiment()
    tracking.run(experiment, "good", metrics={"acc": 0.9})
    tracking.run(experiment, "bad", metrics={"acc": 0.1})
    options = {"server": "lab", "experiments": [experiment]}
    found = api("mlops_run_search", people.editor, **options, filter="metrics.acc > 0.5")["results"]
    assert [run["name"] for run in found] == ["good"]
    with pytest.raises(refused) as caught:
        api("mlops_run_search", people.editor, **options, filter="no such syntax'; DROP")
    assert caught.value.status == 409
    with pytest.raises(refused) as caught:
        api("mlops_run_search", people.editor, **options, limit=10_000)
    assert caught.value.status == 409
