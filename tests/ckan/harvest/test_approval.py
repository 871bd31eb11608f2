"""A source that waits for approval: its plan is kept, and written when somebody says so."""

from __future__ import annotations

from typing import Any

import pytest
from ckan import model
from ckan.tests import helpers
from ckanext.harvest.model import HarvestJob, HarvestObject

from ckanext.mlops.harvesting import approval, batches


@pytest.fixture
def held(repo: Any, source: Any, harvest: Any) -> str:
    source(repo.path, approval=True)
    report = harvest()
    assert report.counts()["added"] == 3
    return str(report.job)


def datasets() -> int:
    model.Session.remove()
    return int(helpers.call_action("package_search", fq="dataset_type:dataset")["count"])


def test_nothing_is_written_before(held: str) -> None:
    assert datasets() == 0
    assert approval.held(model.Session(), held) == 3
    helpers.call_action("harvest_jobs_run", {"user": "root"})
    assert batches.run(held, "root").applied == {}


def test_approved_it_is_written(held: str, consume: Any) -> None:
    assert approval.release(held) == 3
    assert model.Session.get(HarvestJob, held).status == "Running"
    consume("fetch")
    helpers.call_action("harvest_jobs_run", {"user": "root"})
    assert datasets() == 3
    assert model.Session.get(HarvestJob, held).status == "Finished"
    with pytest.raises(approval.NotHeld):
        approval.release(held)


def test_discarded_it_is_planned_again(held: str, harvest: Any) -> None:
    assert approval.discard(held, "Not now.") == 3
    assert datasets() == 0
    assert harvest().counts()["added"] == 3


def test_a_newer_plan_takes_its_place(held: str, repo: Any, harvest: Any) -> None:
    repo.commit("Nothing of DVC")
    newer = harvest().job
    session = model.Session()
    assert (approval.held(session, held), approval.held(session, newer)) == (0, 3)
    [message] = helpers.call_action("harvest_job_show", {"user": "root"}, id=held)["gather_error_summary"]
    assert f"Replaced by the newer plan of job {newer}" in message["message"]
    assert session.query(HarvestObject).count() == 3
