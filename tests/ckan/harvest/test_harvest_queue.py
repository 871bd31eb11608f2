"""The real queue: messages in Redis, consumed by ckanext-harvest's own callbacks."""

from __future__ import annotations

from typing import Any

import pytest
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.tests import factories, helpers
from ckanext.harvest import queue
from ckanext.harvest.logic import HarvestJobExists
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource

from ckanext.mlops import harvester
from ckanext.mlops.harvester import DvcHarvester
from ckanext.mlops.harvesting import apply, batches, reading


@pytest.fixture
def run(consume: Any) -> Any:
    """Harvest a source as the workers do; the job."""

    def harvest(source_id: str) -> dict[str, Any]:
        job = helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)
        assert consume("gather") == 1
        consume("fetch")
        helpers.call_action("harvest_jobs_run", {"user": "root"}, source_id=source_id)
        return dict(helpers.call_action("harvest_job_show", {"user": "root"}, id=job["id"]))

    return harvest


def test_a_source_is_harvested_by_the_workers(repo: Any, source: Any, show: Any, run: Any) -> None:
    source(repo.path)
    source_id = show("titanic")["id"]
    job = run(source_id)
    assert job["status"] == "Finished"
    assert job["object_error_summary"] == []
    assert job["stats"] == {"added": 3, "updated": 0, "not modified": 0, "errored": 0, "deleted": 0}
    extras = {extra["key"]: extra["value"] for extra in show("titanic-train")["extras"]}
    assert extras["harvest_source_id"] == source_id

    repo.edit("dvc.lock", show("titanic-train")["resources"][0]["hash"], "0" * 32)
    repo.commit("A better model")
    job = run(source_id)
    assert job["stats"]["updated"] == 1
    assert len(job["gather_error_summary"]) == 0
    assert run(source_id)["stats"]["updated"] == 0


def test_a_job_that_is_done_stands_in_nobodys_way(
    repo: Any, source: Any, show: Any, consume: Any, api: Any, people: Any, jobs: Any
) -> None:
    """ckanext-harvest marks it as finished a minute or more later, when `ckan harvester run` looks."""
    source(repo.path)
    source_id = show("titanic")["id"]
    first = helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)
    consume("gather")
    with pytest.raises(HarvestJobExists):
        helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)
    consume("fetch")
    assert model.Session.get(HarvestJob, first["id"]).status == "Running"
    api("mlops_harvest_revert", people.editor, id=first["id"])
    assert jobs("Revert") == 1
    assert api("mlops_harvest_report", people.editor, id=first["id"])["stage"] == "reverted"
    second = helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)
    assert second["id"] != first["id"]
    assert model.Session.get(HarvestJob, first["id"], populate_existing=True).status == "Finished"
    consume("gather")
    consume("fetch")
    assert api("mlops_harvest_report", people.editor, id=second["id"])["counts"]["added"] == 3


def test_a_job_is_sent_by_who_may_change_the_source_and_only_while_it_is_active(
    repo: Any, source: Any, show: Any, consume: Any
) -> None:
    source(repo.path)
    harvest_source = HarvestSource.get(show("titanic")["id"])
    job = HarvestJob(source=harvest_source)
    job.save()
    send = "harvest_send_job_to_gather_queue"
    stranger = factories.User()
    with pytest.raises(tk.NotAuthorized):
        helpers.call_action(send, {"user": stranger["name"], "ignore_auth": False}, id=job.id)
    assert HarvestJob.get(job.id).status == "New"
    sent = helpers.call_action(send, {"user": "root"}, id=job.id)
    assert (sent["id"], sent["status"]) == (job.id, "Running")
    assert consume("gather") == 1

    helpers.call_action("harvest_source_delete", {"user": "root"}, id=harvest_source.id)
    later = HarvestJob(source=harvest_source)
    later.save()
    with pytest.raises(tk.ValidationError):
        helpers.call_action(send, {"user": "root"}, id=later.id)
    assert HarvestJob.get(later.id).status == "New"
    assert consume("gather") == 0


def test_the_same_message_twice_writes_once(repo: Any, source: Any, show: Any, catalog: Any, consume: Any) -> None:
    source(repo.path)
    source_id = show("titanic")["id"]
    helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)
    consume("gather")
    ids = [row.id for row in model.Session.query(HarvestObject.id)]
    consume("fetch")
    before = catalog(exact=True)
    for object_id in ids:
        queue.get_fetch_publisher().send({"harvest_object_id": object_id})
    assert consume("fetch") == 3
    assert catalog(exact=True) == before


def test_no_error_leaves_the_harvester(
    repo: Any, source: Any, run: Any, show: Any, monkeypatch: Any, caplog: Any
) -> None:
    """A fault that nobody foresaw is simulated, for a real one would be mended."""

    def fault(*arguments: Any, **options: Any) -> None:
        raise ZeroDivisionError("unforeseen")

    source(repo.path)
    source_id = show("titanic")["id"]
    for module in (harvester, batches):
        monkeypatch.setattr(module.log, "disabled", False)  # the settings of the tests' logging do that
    with monkeypatch.context() as patch:
        patch.setattr(apply, "_write_rows", fault)
        job = run(source_id)
    assert (job["status"], job["stats"]["errored"]) == ("Finished", 3)
    assert "unforeseen" in job["object_error_summary"][0]["message"]
    assert "Traceback" in caplog.text
    monkeypatch.setattr(reading, "read", fault)
    job = run(source_id)
    assert job["status"] == "Finished"
    assert "unforeseen" in job["gather_error_summary"][0]["message"]


def test_the_harvester_keeps_no_state_of_a_job() -> None:
    one = DvcHarvester()
    before = dict(vars(one))
    one.validate_config('{"branches": ["main"]}')
    assert vars(one) == before
