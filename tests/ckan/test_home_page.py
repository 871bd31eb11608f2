"""The home page: newest versions, most used datasets, repositories; each reader sees what is theirs to see."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.lib import search
from ckan.tests import helpers
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestSource

from ckanext.mlops.core import naming
from ckanext.mlops.logic import overview
from ckanext.mlops.model import versions
from ckanext.mlops.model.tables import utc_now

URL = "https://example.org/o/titanic.git"


def remember(package, date):
    row = {"id": f"v-{package['name']}", "digest": "x", "commit": "c" * 40, "committed": date, "current": True}
    versions.store(model.Session(), package["id"], [row])
    model.Session.commit()
    search.rebuild(package["id"])


@pytest.fixture
def world(people, make_dataset):
    """Two public datasets and a private one that is both the newest and the most used."""
    raw = make_dataset(name="raw", title="Passengers", dvc_repository=URL, dvc_stage="fetch")
    model_ = make_dataset(name="model", title="Forest", dvc_repository=URL, derived_from=[{"dataset": raw["id"]}])
    secret = make_dataset(name="secret", title="Salaries", private=True, dvc_repository="https://example.org/o/pay.git")
    for number in range(2):
        make_dataset(name=f"made-{number}", private=True, derived_from=[{"dataset": secret["id"]}])
    remember(raw, "2020-01-01T00:00:00Z")
    remember(model_, "2021-01-01T00:00:00Z")
    remember(secret, "2022-01-01T00:00:00Z")
    for name, url in (("titanic", URL), ("pay", "https://example.org/o/pay.git")):
        source = helpers.call_action(
            "harvest_source_create",
            {"user": people.sysadmin.name},
            name=name,
            title=name,
            url=url,
            source_type="dvc",
            owner_org=people.organization["id"],
        )
        helpers.call_action("harvest_job_create", {"user": people.sysadmin.name}, source_id=source["id"])


def seen(api, person):
    found = api("mlops_overview", person)
    lists = {name: [each["name"] for each in found[name]] for name in ("newest", "most_used", "repositories")}
    return found["datasets"], lists


def test_everybody_sees_what_is_theirs(world, people, api):
    assert seen(api, people.anonymous) == (
        2,
        {"newest": ["model", "raw"], "most_used": ["raw"], "repositories": ["titanic"]},
    )
    count, lists = seen(api, people.member)
    assert count == 5
    assert lists["newest"] == ["secret", "model", "raw"]
    assert lists["most_used"] == ["secret", "raw"]
    assert sorted(lists["repositories"]) == ["pay", "titanic"]


def test_a_large_catalog_counts_uses_once_a_minute(people, make_dataset, api, monkeypatch):
    monkeypatch.setattr(overview, "_RANKINGS", {})
    monkeypatch.setattr(overview.time, "time", lambda: 6000.0)
    for number in range(6):
        make_dataset(name=f"used-{number}")
        make_dataset(name=f"user-{number}", derived_from=[{"dataset": f"used-{number}"}])

    def first():
        return [each["name"] for each in api("mlops_overview", people.anonymous, limit=1)["most_used"]]

    [before] = first()
    other = next(f"used-{number}" for number in range(6) if f"used-{number}" != before)
    for number in range(2):
        make_dataset(name=f"more-{number}", derived_from=[{"dataset": other}])
    assert first() == [before]
    monkeypatch.setattr(overview.time, "time", lambda: 6060.0)
    assert first() == [other]


def test_the_page_shows_it(world, page):
    body = page("/", status=200).body
    for text in ("Newest versions", "Most used datasets", "Repositories", "Passengers", "Forest", "being harvested"):
        assert text in body
    assert f"/repository/{naming.repository_slug(URL)}" in body
    assert "Salaries" not in body
    assert "pay" not in body.split("Repositories", 1)[1].split("</section>", 1)[0]
    assert "420x220" not in body, "no placeholder picture"


def test_a_harvest_that_failed_is_told(world, people, api, page):
    job = model.Session.scalars(
        sa.select(HarvestJob)
        .join(HarvestSource, HarvestSource.id == HarvestJob.source_id)
        .where(HarvestSource.url == URL)
    ).one()
    job.status, job.finished = "Finished", utc_now()
    model.Session.commit()
    assert [each["status"] for each in api("mlops_overview", people.anonymous)["repositories"]] == ["finished"]
    assert "not all was read" not in page("/", status=200).body
    HarvestGatherError.create("password in here", job)
    assert [each["status"] for each in api("mlops_overview", people.anonymous)["repositories"]] == ["failed"]
    body = page("/", status=200).body
    assert "not all was read" in body
    assert "password" not in body


def test_an_empty_portal_says_the_next_step(clean, people, sign_in, page):
    assert "Nothing was harvested yet" in page("/", status=200).body
    body = sign_in(people.sysadmin).get("/", status=200).body
    assert 'href="/harvest/new"' in body
