"""What begins, stops or clears a harvest is a button: a link that a person is led to changes nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ckan import model
from ckan.tests import helpers
from ckanext.harvest.model import HarvestSource


@pytest.fixture
def browser(people: Any, sign_in: Any) -> Any:
    return sign_in(people.editor)


@pytest.fixture
def job(repo: Any, source: Any, show: Any) -> Any:
    source(repo.path)
    return helpers.call_action("harvest_job_create", {"user": "root"}, source_id=show("titanic")["id"], run=True)


def status_of(job_id: str) -> str:
    model.Session.remove()
    return str(helpers.call_action("harvest_job_show", {"user": "root"}, id=job_id)["status"])


def test_stop_is_a_form_with_a_token(job: Any, people: Any, sign_in: Any) -> None:
    browser = sign_in(people.sysadmin)
    path = f"/harvest/titanic/job/{job['id']}/stop"
    for page in ("/harvest/admin/titanic", f"/harvest/titanic/job/{job['id']}"):
        body = browser.get(page, status=200).body
        form = re.search(rf'<form[^>]*method="post"[^>]*action="{path}"[^>]*>(.*?)</form>', body, re.DOTALL)
        assert form is not None, page
        assert "/abort" not in body
    assert browser.post(path, data={"_csrf_token": "x"}).status_code == 400
    assert status_of(job["id"]) == "Running"
    token = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"', form[1])
    assert token is not None
    answer = browser.post(path, data={"_csrf_token": token[1]}, follow_redirects=True)
    assert "Stopped. What was written by then stays." in answer.body
    assert status_of(job["id"]) == "Finished"


def test_who_may_not_stop_it_is_not_offered_it_and_refused(job: Any, browser: Any) -> None:
    """ckanext-harvest lets only sysadmins stop a job."""
    assert "/stop" not in browser.get("/harvest/admin/titanic", status=200).body
    token = re.search(r'name="_csrf_token" content="([^"]+)"', browser.get("/dataset/", status=200).body)
    assert token is not None
    path = f"/harvest/titanic/job/{job['id']}/stop"
    assert browser.post(path, data={"_csrf_token": token[1]}, follow_redirects=False).status_code == 403
    assert status_of(job["id"]) == "Running"


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_link_changes_nothing(repo: Any, source: Any, harvest: Any, show: Any, browser: Any, by: str) -> None:
    source(repo.path)
    harvest()
    source_id = show("titanic")["id"]
    named = {"name": "titanic", "id": source_id}[by]
    before = helpers.call_action("harvest_job_list", {"user": "root"}, source_id=source_id)
    for path in (f"/harvest/refresh/{named}", f"/harvest/clear/{named}"):
        assert "press the button here" in browser.get(path, status=200).body
    assert helpers.call_action("harvest_job_list", {"user": "root"}, source_id=source_id) == before
    assert helpers.call_action("package_search", fq="dataset_type:dataset")["count"] == 3
    running = helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)
    assert "press the button here" in browser.get(f"/harvest/{named}/job/{running['id']}/abort", status=200).body
    assert status_of(running["id"]) == "Running"


def test_sources_of_other_harvesters_are_left_alone(source: Any, repo: Any, browser: Any, show: Any) -> None:
    """Theirs are pages of ckanext-harvest, and its buttons lead there."""
    source(repo.path)
    source_id = show("titanic")["id"]
    model.Session.get(HarvestSource, source_id).type = "ckan"
    model.Session.commit()
    browser.get(f"/harvest/refresh/{source_id}", status=200)
    assert len(helpers.call_action("harvest_job_list", {"user": "root"}, source_id=source_id)) == 1
