"""A sync that is killed goes on where it was; two at once do not get in each other's way."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.mlops.model import Experiment, Run, mlflow
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.tracking import sync as mlflow_sync


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def many(people, tracking, monkeypatch):
    """An experiment of seven runs, read in batches of two."""
    monkeypatch.setattr(mlflow_sync, "_BATCH", 2)
    experiment = tracking.experiment()
    for each in range(7):
        tracking.run(experiment, f"run{each}", start=1_600_000_000_000 + 10_000 * each)
    return experiment


def copied(experiment):
    return model.Session.query(Run).filter_by(server="lab", experiment_id=experiment).count()


def test_a_sync_that_was_killed_goes_on_where_it_was(many, sync, monkeypatch):
    sync()
    model.Session.query(Run).delete()
    model.Session.execute(sa.update(Experiment).values(swept=None))
    # Only this one, so that its batches are alone.
    keep = Experiment.experiment_id != many
    model.Session.execute(sa.update(Experiment).where(keep).values(swept=utc_now()))
    model.Session.commit()
    real, calls = mlflow.store_runs, []

    def dies(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return real(*arguments)

    monkeypatch.setattr(mlflow, "store_runs", dies)
    with pytest.raises(Killed):
        mlflow_sync.sync_server(model.Session(), mlflow_servers.client("lab"), utc_now)
    model.Session.rollback()
    monkeypatch.setattr(mlflow, "store_runs", real)
    assert copied(many) == 4
    row = model.Session.get(Experiment, ("lab", many))
    assert (row.swept, row.sweep_from) == (None, 1_600_000_000_000 + 30_000)
    asked = []
    ask = mlflow_servers.MlflowClient.runs

    def runs(self, ids, question="", *more, **options):
        asked.append(question)
        return ask(self, ids, question, *more, **options)

    monkeypatch.setattr(mlflow_servers.MlflowClient, "runs", runs)
    assert sync()["errors"] == []
    assert "attributes.start_time >= 1600000030000" in asked
    assert copied(many) == 7
    row = model.Session.get(Experiment, ("lab", many), populate_existing=True)
    assert (row.swept is not None, row.sweep_began, row.sweep_from) == (True, None, None)
    assert model.Session.query(Run).filter_by(experiment_id=many, lifecycle_stage="gone").count() == 0


def test_of_two_syncs_at_once_one_says_that_the_other_is_under_way(many, api, people, monkeypatch):
    inside, go_on, reports = threading.Event(), threading.Event(), []
    real = mlflow.store_runs

    def slow(*arguments):
        inside.set()
        go_on.wait(30)
        return real(*arguments)

    monkeypatch.setattr(mlflow, "store_runs", slow)
    client = mlflow_servers.client("lab")
    engine = sa.inspect(model.Session().get_bind()).engine

    def first():
        with sa.orm.Session(engine) as session:
            reports.append(mlflow_sync.sync_server(session, client, utc_now, full=True))

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert inside.wait(30)
        [second] = api("mlops_mlflow_sync", people.sysadmin, server="lab")["servers"]
        assert (second["busy"], second["runs"], second["errors"]) == (True, 0, [])
    finally:
        go_on.set()
        thread.join(60)
    [report] = reports
    assert (report.busy, report.errors) == (False, [])
    assert copied(many) == 7
    [third] = api("mlops_mlflow_sync", people.sysadmin, server="lab")["servers"]
    assert third["busy"] is False


def test_a_run_that_slipped_through_the_pages_is_not_taken_for_gone(many, sync, monkeypatch):
    """A run that is removed for good while pages are read moves the others; no real server does it on demand."""
    sync()
    real = mlflow_servers.MlflowClient.runs
    slipped = model.Session.query(Run).filter_by(server="lab", experiment_id=many).first().run_id

    def runs(self, ids, question="", *more, **options):
        for run in real(self, ids, question, *more, **options):
            if run.run_id != slipped or "run_id IN" in question:
                yield run

    monkeypatch.setattr(mlflow_servers.MlflowClient, "runs", runs)
    report = sync(full=True)
    assert (report["errors"], report["gone"]) == ([], 0)
    assert model.Session.get(Run, ("lab", slipped), populate_existing=True).lifecycle_stage == "active"


def test_an_experiment_that_slipped_through_is_not_taken_for_gone(many, sync, monkeypatch):
    sync()
    real = mlflow_servers.MlflowClient.experiments

    def experiments(self, **options):
        return (found for found in real(self, **options) if found.experiment_id != many)

    monkeypatch.setattr(mlflow_servers.MlflowClient, "experiments", experiments)
    assert sync()["errors"] == []
    assert model.Session.get(Experiment, ("lab", many), populate_existing=True).lifecycle_stage == "active"
