"""Copied facts follow the server: what is new, what is deleted, what came back."""

from __future__ import annotations

import datetime
import time

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.mlops.model import Experiment, Run, link_hints
from ckanext.mlops.tracking import links as mlflow_links
from ckanext.mlops.tracking import sync as mlflow_sync


@pytest.fixture
def linked(api, people, dataset, tracking):
    """An experiment of three runs that ended now, linked and swept."""
    experiment = tracking.experiment()
    now = int(time.time() * 1000)
    runs = [tracking.run(experiment, f"run{each}", metrics={"m": each}, start=now - 60_000) for each in range(3)]
    api("mlops_link_create", people.editor, id="titanic", server="lab", kind="experiment", target=experiment)
    return experiment, runs


def listed(api):
    return {run["name"]: run for run in api("mlops_run_list", id="titanic")["results"]}


def test_nothing_new_reads_little_and_changes_nothing(api, linked, sync):
    before = listed(api)
    sync()
    report = sync()
    assert report["errors"] == report["problems"] == []
    assert report["experiments"] > 0
    after = listed(api)
    for run in (*before.values(), *after.values()):
        del run["facts_at"]
    assert after == before


def test_new_running_and_finished_runs_arrive(api, linked, sync, tracking):
    experiment, _ = linked
    now = int(time.time() * 1000)
    running = tracking.run(experiment, "slow", status="RUNNING", start=now)
    sync()
    assert listed(api)["slow"]["status"] == "RUNNING"
    tracking.call("runs/update", run_id=running, status="FAILED", end_time=now + 1000)
    sync()
    assert listed(api)["slow"]["status"] == "FAILED"


def test_a_run_that_ended_by_a_slow_clock_is_seen_to_have_ended(api, linked, sync, tracking):
    experiment, _ = linked
    yesterday = int(time.time() * 1000) - 86_400_000
    running = tracking.run(experiment, "odd", status="RUNNING", start=yesterday)
    sync()
    assert listed(api)["odd"]["status"] == "RUNNING"
    tracking.call("runs/update", run_id=running, status="FINISHED", end_time=yesterday + 1000)
    sync()
    assert listed(api)["odd"]["status"] == "FINISHED"


def test_a_deleted_run_is_marked_and_a_restored_one_returns(api, linked, sync, tracking):
    _, runs = linked
    tracking.call("runs/delete", run_id=runs[1])
    assert sync()["deleted"] >= 1
    assert {name: run["lifecycle_stage"] for name, run in listed(api).items()} == {
        "run0": "active",
        "run1": "deleted",
        "run2": "active",
    }
    tracking.call("runs/restore", run_id=runs[1])
    sync()
    assert listed(api)["run1"]["lifecycle_stage"] == "active"


def test_a_run_linked_alone_is_renewed_marked_and_returns(api, people, dataset, tracking, sync):
    experiment = tracking.experiment()
    run = tracking.run(experiment, "alone")
    tracking.run(experiment, "not linked")
    api("mlops_link_create", people.editor, id="titanic", server="lab", target=run)
    for change, stage in (("runs/delete", "deleted"), ("runs/restore", "active")):
        tracking.call(change, run_id=run)
        assert sync()["errors"] == []
        assert {name: item["lifecycle_stage"] for name, item in listed(api).items()} == {"alone": stage}


def test_tags_that_were_set_later_come_with_a_full_sync(api, linked, sync, tracking):
    experiment, _ = linked
    old = tracking.run(experiment, "old", start=1_500_000_000_000)
    sync(full=True)
    tracking.call("runs/set-tag", run_id=old, key="dvc_data_md5", value="f" * 32)
    assert sync(full=True)["runs"] >= 4
    assert listed(api)["old"]["tags"] == {"dvc_data_md5": "f" * 32}


def test_a_day_later_everything_is_read_again(api, linked, sync, tracking):
    experiment, _ = linked
    tracking.run(experiment, "imported", start=1_500_000_000_000)
    sync()
    assert "imported" not in listed(api)
    row = model.Session.query(Experiment).filter_by(experiment_id=experiment).one()
    row.swept -= mlflow_sync.SWEEP_EVERY
    model.Session.commit()
    sync()
    assert "imported" in listed(api)


def test_a_large_experiment_is_linked_with_its_newest_runs_and_completed_by_the_sync(
    api, people, dataset, tracking, sync, monkeypatch
):
    monkeypatch.setattr(mlflow_sync, "FIRST_RUNS", 2)
    experiment = tracking.experiment()
    for each in range(5):
        tracking.run(experiment, f"r{each}", start=1_500_000_000_000 + each)
    made = api("mlops_link_create", people.editor, id="titanic", server="lab", kind="experiment", target=experiment)
    assert made["run_count"] == 2
    assert made["experiment"]["all_runs_copied"] is False
    sync()
    [link] = api("mlops_link_list", id="titanic")["results"]
    assert link["run_count"] == 5
    assert link["experiment"]["all_runs_copied"] is True


def test_a_server_that_is_away_is_reported_and_facts_stay(api, people, linked, sync, stop_lab):
    before = listed(api)
    stop_lab()
    answer = api("mlops_mlflow_sync", people.sysadmin)
    assert answer["ok"] is False
    [report] = answer["servers"]
    assert "MLflow server lab" in report["errors"][0]
    assert listed(api) == before
    assert api("mlops_link_list", id="titanic")["results"][0]["stale"] == "away"


def test_a_server_that_returns_is_no_longer_stale(api, linked, sync, stop_lab, configure, mlflow_process):
    stop_lab()
    sync()
    configure("lab", uri=mlflow_process)
    sync()
    assert api("mlops_link_list", id="titanic")["results"][0]["stale"] == ""


def test_one_broken_server_does_not_keep_the_others_from_being_read(api, people, linked, fault, configure, tracking):
    experiment, _ = linked
    fault.answer(b"nonsense")
    configure("nameless")
    tracking.run(experiment, "new", start=int(time.time() * 1000))
    answer = api("mlops_mlflow_sync", people.sysadmin)
    reports = {report["server"]: report for report in answer["servers"]}
    assert answer["ok"] is False
    assert "not that of MLflow's API" in reports["broken"]["errors"][0]
    assert "ckanext.mlops.mlflow.nameless.uri is not set" in reports["nameless"]["errors"][0]
    assert reports["lab"]["errors"] == []
    assert "new" in listed(api)


def test_facts_that_were_not_renewed_for_long_are_old(api, linked, monkeypatch):
    assert api("mlops_link_list", id="titanic")["results"][0]["stale"] == ""
    row = model.Session.query(Experiment).filter_by(experiment_id=linked[0]).one()
    row.facts_at -= mlflow_sync.SWEEP_EVERY * 3
    model.Session.commit()
    assert api("mlops_link_list", id="titanic")["results"][0]["stale"] == "old"


def test_an_experiment_deleted_in_mlflow_is_marked(api, linked, sync, tracking):
    tracking.call("experiments/delete", experiment_id=linked[0])
    sync()
    [link] = api("mlops_link_list", id="titanic")["results"]
    assert link["experiment"]["lifecycle_stage"] == "deleted"


def test_a_declared_experiment_that_does_not_exist_is_a_problem_with_a_remedy(api, make_dataset, tracking, sync):
    make_dataset(name="titanic", mlflow_server="lab", mlflow_experiment="misspelt")
    report = sync()
    assert report["errors"] == []
    [problem] = report["problems"]
    assert "'misspelt'" in problem
    assert "mlflow_experiment" in problem


def test_an_unknown_server_is_refused(api, people, tracking, refused):
    with pytest.raises(refused) as caught:
        api("mlops_mlflow_sync", people.sysadmin, server="nowhere")
    assert "nowhere" in caught.value.error["server"][0]


def test_without_news_no_run_is_looked_at_for_links_again(linked, sync):
    sync()
    assert mlflow_links.after_sync(model.Session(), "lab").runs == 0


def test_a_change_that_was_written_late_is_looked_at(linked, sync):
    """A person's link copies a run in a transaction of its own, which can end after a sync that began later."""
    sync()
    session = model.Session()
    moment = link_hints.mark(session, "server:lab").at - datetime.timedelta(minutes=1)
    session.execute(sa.update(Run).where(Run.run_id == linked[1][0]).values(changed=moment))
    session.commit()
    assert mlflow_links.after_sync(session, "lab").runs >= 1
    assert mlflow_links.after_sync(session, "lab").runs == 0
