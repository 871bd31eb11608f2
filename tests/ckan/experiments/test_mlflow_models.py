"""Registered models, all their versions and logged models are copied, and follow the registry."""

from __future__ import annotations

import uuid

import pytest
from ckan import model

from ckanext.mlops.model import mlflow, mlflow_models
from ckanext.mlops.model.tables import LoggedModel, RegisteredModel


@pytest.fixture
def registered(people, tracking):
    """A model of three versions, two of them of one run; ``champion`` is the first."""
    name = f"model {uuid.uuid4().hex[:8]} ü"
    runs = [tracking.run(tracking.experiment(), "train", tags={"dvc": "d" * 32}) for _ in range(2)]
    tracking.call("registered-models/create", name=name, description="Who survives")
    for run, source in (
        (runs[0], "s3://u:p@bucket/m"),
        (runs[0], "gs://bucket/m"),
        (runs[1], f"runs:/{runs[1]}/model"),
    ):
        tracking.call("model-versions/create", name=name, source=source, run_id=run)
    tracking.call("registered-models/alias", name=name, alias="champion", version="1")
    return name, runs


def versions(name):
    return mlflow_models.versions_of_model(model.Session(), "lab", name)


def test_all_versions_come_with_run_source_and_alias(registered, sync):
    name, runs = registered
    report = sync()
    assert report["errors"] == []
    assert (report["models"] > 0, report["model_versions"] >= 3) == (True, True)
    assert [(row.version, row.run_id, row.aliases, row.facts.get("source", "")) for row in versions(name)] == [
        ("3", runs[1], [], f"runs:/{runs[1]}/model"),
        ("2", runs[0], [], "gs://bucket/m"),
        ("1", runs[0], ["champion"], "s3://bucket/m"),
    ]
    found = mlflow_models.versions_of_runs(model.Session(), [("lab", run) for run in runs])
    assert {key[1]: [row.version for row in rows] for key, rows in found.items()} == {
        runs[0]: ["2", "1"],
        runs[1]: ["3"],
    }
    row = mlflow_models.registered_models(model.Session(), [("lab", name)])["lab", name]
    assert (row.facts["description"], row.facts["aliases"]) == ("Who survives", {"champion": "1"})


def test_a_moved_alias_a_new_tag_and_a_deleted_version_are_seen_at_the_next_sync(registered, sync, tracking):
    name, _ = registered
    sync()
    tracking.call("registered-models/alias", name=name, alias="champion", version="3")
    tracking.call("model-versions/set-tag", name=name, version="3", key="checked", value="yes")
    tracking.request("DELETE", "model-versions/delete", name=name, version="2")
    sync()
    third, second, first = versions(name)
    assert (third.aliases, first.aliases) == (["champion"], [])
    assert third.facts["tags"] == {"checked": "yes"}
    assert [row.lifecycle_stage for row in (third, second, first)] == ["active", "gone", "active"]


def test_a_deleted_model_is_marked_and_kept(registered, sync, tracking):
    name, _ = registered
    sync()
    tracking.request("DELETE", "registered-models/delete", name=name)
    sync()
    assert {row.lifecycle_stage for row in versions(name)} == {"gone"}
    assert model.Session.get(RegisteredModel, ("lab", name)).lifecycle_stage == "gone"


def test_a_logged_model_leads_from_a_version_to_its_run(people, tracking, sync):
    experiment = tracking.experiment()
    run = tracking.run(experiment)
    made = tracking.call("logged-models", experiment_id=experiment, name="model", source_run_id=run)["model"]
    model_id, name = made["info"]["model_id"], f"of-logged-{uuid.uuid4().hex[:8]}"
    tracking.call("registered-models/create", name=name)
    tracking.call("model-versions/create", name=name, source=f"models:/{model_id}", model_id=model_id)
    sync()
    [version] = versions(name)
    assert (version.model_id, version.run_id) == (model_id, run)
    logged = model.Session.get(LoggedModel, ("lab", model_id))
    assert (logged.name, logged.experiment_id) == ("model", experiment)


def test_runs_are_found_by_what_they_say_about_data(registered, sync):
    _, runs = registered
    sync()
    found = {run.run_id for run in mlflow.runs_with_hashes(model.Session(), ["d" * 32, "e" * 32])}
    assert set(runs) <= found
    assert list(mlflow.runs_with_hashes(model.Session(), ["e" * 32])) == []
    assert list(mlflow.runs_with_commits(model.Session(), ["c" * 40])) == []


def test_only_what_differs_counts_as_changed(people, tracking, sync):
    experiment = tracking.experiment()
    run = tracking.run(experiment)
    sync()
    [row] = mlflow.runs(model.Session(), [("lab", run)]).values()
    changed, copied = row.changed, row.facts_at
    sync(full=True)
    [row] = mlflow.runs(model.Session(), [("lab", run)]).values()
    assert (row.changed, row.facts_at > copied) == (changed, True)
    tracking.call("runs/set-tag", run_id=run, key="note", value="new")
    sync(full=True)
    assert run in {row.run_id for row in mlflow.runs_changed(model.Session(), "lab", copied)}
    tracking.call("runs/delete", run_id=run)
    sync()
    [row] = mlflow.runs(model.Session(), [("lab", run)]).values()
    assert (row.lifecycle_stage, row.changed > changed) == ("deleted", True)
