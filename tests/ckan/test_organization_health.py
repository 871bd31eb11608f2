"""Data health of an organization, and how new data is: what is stale, which harvests fail, who is told of it."""

from __future__ import annotations

import datetime

import pytest
from ckan import model
from ckan.lib import search
from ckan.tests import helpers
from ckanext.harvest.model import HarvestGatherError, HarvestJob

from ckanext.mlops.core import naming
from ckanext.mlops.model import versions
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.model.transfers import Content

URL = "https://example.org/o/titanic.git"


@pytest.fixture
def world(people, make_dataset):
    """A fresh, an old, a retired and a private old dataset; two sources, of which one fails."""
    days = {"fresh": 3, "old": 400, "gone": 500, "secret": 800}
    for name, age in days.items():
        package = make_dataset(
            name=name,
            title=name.title(),
            private=name == "secret",
            dvc_repository=URL,
            dvc_stage=f"stage-{name}",
            dvc_retired="2020-01-01" if name == "gone" else "",
            data_access="on_request" if name == "old" else "open",
            resources=[{"url": "https://example.org/x.csv", "hash": "a" * 32, "dvc_path": "x.csv", "format": "CSV"}],
        )
        when = (utc_now() - datetime.timedelta(days=age)).isoformat() + "Z"
        row = {"id": f"v-{name}", "digest": "x", "commit": "c" * 40, "committed": when, "current": True}
        versions.store(model.Session(), package["id"], [row])
        profile = {"kind": "table", "rows": 1309, "complete": name != "gone", "columns": []}
        for path in ("x.csv", "before/x.csv"):  # where an earlier version had it
            model.Session.add(Content(package_id=package["id"], path=path, hash="a" * 32, profile=profile))
        model.Session.commit()
        search.rebuild(package["id"])
    for name, url in (
        ("well", URL),
        ("broken", "https://example.org/o/broken.git"),
        ("unused", "https://example.org/n"),
    ):
        source = helpers.call_action(
            "harvest_source_create",
            {"user": people.sysadmin.name},
            name=name,
            title=name.title(),
            url=url,
            source_type="dvc",
            owner_org=people.organization["id"],
        )
        if name != "unused":
            values = {"source_id": source["id"], "run": False}
            job = model.Session.get(
                HarvestJob, helpers.call_action("harvest_job_create", {"user": "root"}, **values)["id"]
            )
            job.status, job.finished = "Finished", utc_now()
            model.Session.commit()
            if name == "broken":
                HarvestGatherError.create("password in here", job)


def test_what_is_stale_and_what_fails(world, people, api, page, refused):
    found = api("mlops_organization_health", people.anonymous, id="lab")
    assert (found["count"], found["hidden"]) == (3, 1)
    assert [each["name"] for each in found["stale"]["results"]] == ["old"]
    assert [(each["name"], each["state"], each["problems"]) for each in found["sources"]] == [
        ("broken", "failed", 1),
        ("unused", "never", 0),
        ("well", "fine", 0),
    ]
    assert [
        each["name"] for each in api("mlops_organization_health", people.member, id="lab", days=30)["stale"]["results"]
    ] == [
        "secret",
        "old",
    ]
    assert api("mlops_organization_health", people.member, id="lab", days=1000)["stale"]["count"] == 0
    body = (
        page("/organization/lab/health?days=365", status=200).body
        + page("/organization/lab/health?part=gaps", status=200).body
    )
    assert "Secret" not in body
    assert "password in here" not in body
    assert "/job/" not in body
    assert f"/repository/{naming.repository_slug(URL)}" in body
    assert "/harvest/broken/job/" in page("/organization/lab/health", people.editor, status=200).body
    assert "<strong>180 days</strong>" in page("/organization/lab/health?days=-1", status=200).body
    with pytest.raises(refused):
        api("mlops_organization_health", people.member, id="lab", days=0)


def test_an_empty_organization_says_the_next_step(people, sign_in):
    body = sign_in(people.editor).get("/organization/lab/health?part=gaps", status=200).body
    assert "No repository is harvested into this organization" in body
    assert 'href="/harvest/new"' in body
    assert "This organization has no datasets yet" in body


def test_freshness_is_a_facet(world, people, api, page):
    def asked(person, **more):
        found = api("package_search", person, include_private=True, **{"facet.field": ["vocab_freshness"], **more})
        items = found["search_facets"]["vocab_freshness"]["items"]
        return [each["name"] for each in found["results"]], {each["name"]: each["count"] for each in items}

    assert asked(people.anonymous)[1] == {"week": 1, "month": 1, "year": 1, "older": 2}
    assert asked(people.member)[1] == {"week": 1, "month": 1, "year": 1, "older": 3}
    assert asked(people.anonymous, fq='vocab_freshness:"week"')[0] == ["fresh"]
    assert asked(people.anonymous, fq_list=['vocab_freshness:"older"'], q="old")[0] == ["old"]
    body = page("/dataset/?vocab_freshness=week", status=200).body
    assert "in the last week" in body
    assert "/dataset/fresh" in body
    assert "/dataset/old" not in body
    assert "in the last week" in page("/organization/lab", status=200).body


def test_cards_tell_rows_unless_files_are_on_request(world, people, page):
    body = page("/dataset/", status=200).body
    assert "1,309 rows" in body.split("/dataset/fresh", 1)[1].split("</li>\n</ul>", 1)[0]
    assert body.count("1,309 rows") == 2
    assert body.count("more than 1,309 rows") == 1


def test_the_repository_page_leads_into_the_search(world, people, page):
    slug = naming.repository_slug(URL)
    body = page(f"/repository/{slug}", status=200).body
    assert "Find in this repository" in body
    assert "vocab_dvc_stage=stage-fresh" in body
    assert "res_format=CSV" in body
    assert "stage-secret" not in body
    assert "stage-secret" in page(f"/repository/{slug}", people.member, status=200).body


def test_of_a_long_list_the_first_ten_are_seen_at_once(make_dataset, people, page):
    for number in range(12):
        make_dataset(name=f"lonely-{number}")
    body = page(f"/organization/{people.organization['name']}/health?part=gaps", status=200).body
    first, _, rest = body[body.index('id="gap-consumer"') :].partition("<summary>2 more</summary>")
    assert (first.count("<li>"), rest.count("<li>") >= 2) == (10, True)
