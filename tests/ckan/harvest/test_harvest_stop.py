"""Stop a harvest: what is written stays, the rest is not, its page says who stopped it, and the next one goes on."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import helpers
from ckanext.harvest import queue
from ckanext.harvest.model import HarvestObject

from ckanext.mlops.harvesting import batches, planning


@pytest.fixture
def job(repo: Any, source: Any, show: Any) -> Any:
    source(repo.path)
    return helpers.call_action("harvest_job_create", {"user": "root"}, source_id=show("titanic")["id"], run=True)


def stop(job_id: str) -> None:
    helpers.call_action("harvest_job_abort", {"user": "root"}, id=job_id)


def report_of(job_id: str) -> dict[str, Any]:
    model.Session.remove()
    return dict(helpers.call_action("mlops_harvest_report", {"user": "root"}, id=job_id))


def test_stopped_while_it_is_read(
    job: Any, consume: Any, harvest: Any, people: Any, sign_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planning.plan

    def stopped(*arguments: Any, **options: Any) -> Any:
        stop(job["id"])
        return plan(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(planning, "plan", stopped)
        consume("gather")
    assert consume("fetch") == 0
    assert model.Session.scalar(sa.select(sa.func.count()).select_from(HarvestObject)) == 0
    report = report_of(job["id"])
    assert (report["stage"], report["stopped"]["by"], report["problems"]) == ("aborted", "root", [])
    assert "Stopped by root" in sign_in(people.editor).get(f"/harvest/titanic/job/{job['id']}", status=200).body
    assert harvest().counts()["added"] == 3


def test_stopped_between_batches(
    job: Any, consume: Any, harvest: Any, catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "SIZE", 1)
    monkeypatch.setattr(batches, "LANES", 1)
    monkeypatch.setattr(batches.run, "__kwdefaults__", {**batches.run.__kwdefaults__, "size": 1})
    consume("gather")
    fetching = queue.get_fetch_consumer()
    queue.fetch_callback(fetching, *fetching.basic_get(queue=None))
    stop(job["id"])
    consume("fetch")
    report = report_of(job["id"])
    assert report["stage"] == "aborted"
    assert (report["counts"]["added"], report["counts"]["failed"], report["counts"]["waiting"]) == (1, 2, 0)
    assert len(catalog()["packages"]) == 1
    counts = harvest().counts()
    assert (counts["added"], counts["unchanged"]) == (2, 1)
    stop(job["id"])  # of what is over nothing is left
    assert report_of(job["id"])["counts"]["added"] == 1


def test_a_job_that_is_over_is_not_gathered_again(job: Any, consume: Any, catalog: Any, repo: Any) -> None:
    """ckanext-harvest sends a message anew that nobody acknowledged, hours later."""
    consume("gather")
    consume("fetch")
    before = catalog(exact=True)
    repo.edit("dvc.yaml", "A forest.", "A tree.")
    repo.commit("News")
    for finished in (False, True):
        if finished:
            helpers.call_action("harvest_jobs_run", {"user": "root"}, source_id=job["source_id"])
        queue.get_gather_publisher().send({"harvest_job_id": job["id"]})
        consume("gather")
        assert consume("fetch") == 0
        assert catalog(exact=True) == before
    assert report_of(job["id"])["stage"] == "done"
