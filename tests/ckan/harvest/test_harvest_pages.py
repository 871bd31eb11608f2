"""Previews, approval, reports and reverts as people see them; nothing long happens in a request."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ckan import model
from ckan.lib import jobs
from ckan.tests import helpers


def work() -> int:
    """Do what a worker of `ckan jobs worker` finds in its queue."""
    queue = jobs.get_queue()
    number = 0
    while job := next(iter(queue.jobs), None):
        queue.remove(job)
        job.perform()
        model.Session.remove()
        number += 1
    return number


def press(browser: Any, page: str, action: str, **values: str) -> Any:
    """Send the form of a page that goes to ``action``, as a browser does."""
    body = browser.get(page, status=200).body
    form = re.search(rf'<form[^>]*action="[^"]*{action}"[^>]*>(.*?)</form>', body, re.DOTALL)
    assert form is not None, action
    token = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"', form[1])
    assert token is not None
    path = re.search(r'action="([^"]+)"', form[0])
    assert path is not None
    return browser.post(path[1], data={"_csrf_token": token[1], **values}, follow_redirects=True)


@pytest.fixture
def browser(people: Any, sign_in: Any) -> Any:
    return sign_in(people.editor)


def test_the_preview_is_made_by_a_worker(repo: Any, source: Any, browser: Any, catalog: Any) -> None:
    source(repo.path)
    before = catalog(exact=True)
    assert "mlops_preview_show" in press(browser, "/harvest/titanic/preview", "preview").body, "the page follows it"
    assert work() == 1
    body = browser.get("/harvest/titanic/preview", status=200).body
    assert "3 stages, 4 outputs: 3 added, 0 changed, 0 unchanged" in body
    assert "Titanic: train" in body
    assert catalog(exact=True) == before


def test_two_people_who_ask_share_one_preview(repo: Any, source: Any, api: Any, people: Any) -> None:
    source(repo.path)
    first = api("mlops_preview_create", people.editor, id="titanic")
    assert api("mlops_preview_create", people.admin, id="titanic")["id"] == first["id"]
    assert work() == 1
    shown = api("mlops_preview_show", people.admin, id="titanic")
    assert (shown["state"], shown["plan"]["counts"]["added"]) == ("planned", 3)


def test_a_preview_that_fails_says_why(root: Any, source: Any, api: Any, people: Any, browser: Any) -> None:
    source(root / "nothing")
    api("mlops_preview_create", people.editor, id="titanic")
    work()
    assert api("mlops_preview_show", people.editor, id="titanic")["state"] == "failed"
    body = browser.get("/harvest/titanic/preview", status=200).body
    assert re.search(r'role="alert">[^<]*nothing', body)


def test_the_job_page_names_every_dataset(repo: Any, source: Any, harvest: Any, browser: Any, show: Any) -> None:
    source(repo.path)
    first = harvest()
    page = f"/harvest/titanic/job/{first.job}"
    body = browser.get(page, status=200).body
    for text in (
        "3 stages, 4 outputs: 3 added",
        "Titanic: prepare",
        "found at main",
        "The source has 3, the catalog has 3",
    ):
        assert text in body, text
    repo.edit("dvc.yaml", "A forest.", "A <b>tree</b>.")
    repo.commit()
    second = harvest()
    body = browser.get(f"/harvest/titanic/job/{second.job}", status=200).body
    assert "model.pkl/description" in body
    assert "A &lt;b&gt;tree&lt;/b&gt;." in body
    assert body.count("mlops-happened-unchanged") == 2
    assert "mlops-happened-changed" not in browser.get(f"/harvest/titanic/job/{second.job}?what=unchanged").body
    assert "of it" not in browser.get(page, status=200).body.split("Datasets")[0], "an older job is not compared"


def test_a_report_is_in_the_language_of_its_reader(repo: Any, source: Any, harvest: Any, browser: Any) -> None:
    source(repo.path)
    body = browser.get(f"/de/harvest/titanic/job/{harvest().job}", status=200).body
    assert "3 Stages, 4 Ausgaben: 3 hinzugefügt, 0 geändert, 0 unverändert" in body
    assert "gefunden in main" in body
    assert "found at main" not in body.split("mlops-report", 1)[1].split("<details>", 1)[0]


def test_the_report_as_json(repo: Any, source: Any, harvest: Any, api: Any, people: Any) -> None:
    source(repo.path)
    report = api("mlops_harvest_report", people.editor, id=harvest().job, limit=2)
    assert (report["stage"], report["count"], len(report["datasets"])) == ("done", 3, 2)
    assert report["check"] == {"source": 3, "catalog": 3, "equal": True, "missing": []}
    assert {each["kind"] for each in report["datasets"]} == {"added"}
    helpers.call_action("package_delete", {"user": "root"}, id="titanic-train")
    check = api("mlops_harvest_report", people.editor, id=report["job"])["check"]
    assert check == {"source": 3, "catalog": 2, "equal": False, "missing": ["Titanic: train: deleted in the portal"]}


def test_what_was_not_read_is_said(root: Any, source: Any, harvest: Any, api: Any, people: Any) -> None:
    source(root / "nothing")
    report = api("mlops_harvest_report", people.editor, id=harvest().job)
    assert report["stage"] == "failed"
    assert "nothing" in report["problems"][0]


def test_a_plan_waits_for_approval(repo: Any, source: Any, harvest: Any, browser: Any, catalog: Any, api: Any) -> None:
    source(repo.path, approval=True)
    job = harvest().job
    assert catalog()["packages"] == []
    page = f"/harvest/titanic/job/{job}"
    body = browser.get(page, status=200).body
    assert "This plan waits for approval" in body
    assert "Titanic: train" in body
    assert "Rejected" in press(browser, page, "reject", why="Not <now>").body
    body = browser.get(page, status=200).body
    assert "Rejected: Not &lt;now&gt;" in body
    assert "waits for approval" not in body
    job = harvest().job
    assert "Approved" in press(browser, f"/harvest/titanic/job/{job}", "approve").body
    helpers.call_action("harvest_jobs_run", {"user": "root"}, source_id=None)


def test_a_source_says_what_comes_next(
    repo: Any, source: Any, harvest: Any, page: Any, sign_in: Any, people: Any
) -> None:
    source(repo.path, approval=True)
    assert "shows what a harvest would add" not in page("/harvest/titanic").body, "visitors cannot"
    browser = sign_in(people.editor)
    for address in ("/harvest/titanic", "/harvest/admin/titanic"):
        assert "shows what a harvest would add" in browser.get(address, status=200).body
    harvest()
    body = browser.get("/harvest/admin/titanic", status=200).body
    assert "Waits for approval: 3 stages, 4 outputs: 3 added" in body
    assert "Look at the plan and decide" in body
    harvest()
    body = browser.get("/harvest/titanic/job", status=200).body
    assert body.count("Waits for approval: 3 stages") == 1
    assert body.count("/harvest/titanic/job/") == 2
    assert "Job: " not in body, "people do not read ids"


def test_a_draft_is_not_said_to_be_deleted(repo: Any, source: Any, harvest: Any, api: Any, people: Any) -> None:
    source(repo.path)
    job = harvest().job
    helpers.call_action("package_patch", {"user": "root"}, id="titanic-train", state="draft")
    check = api("mlops_harvest_report", people.editor, id=job)["check"]
    assert check["missing"] == ["Titanic: train: a draft in the portal"]


def test_a_button_takes_a_harvest_back(repo: Any, source: Any, harvest: Any, browser: Any, catalog: Any) -> None:
    source(repo.path)
    page = f"/harvest/titanic/job/{harvest().job}"
    assert "Being taken back" in press(browser, page, "revert").body
    assert work() == 1
    assert "3 datasets were taken back by editor" in browser.get(page, status=200).body
    assert catalog()["packages"] == []


def test_a_refused_revert_says_what_stands_in_the_way(repo: Any, source: Any, harvest: Any, browser: Any) -> None:
    source(repo.path)
    page = f"/harvest/titanic/job/{harvest().job}"
    helpers.call_action("package_patch", {"user": "root"}, id="titanic-train", title="Mine")
    press(browser, page, "revert")
    work()
    body = browser.get(page, status=200).body
    assert "<li>Titanic: train: changed since: title</li>" in body
    press(browser, page, "revert", partly="true")
    work()
    assert "2 datasets were taken back" in browser.get(page, status=200).body


def test_only_those_who_may_change_the_source(repo: Any, source: Any, harvest: Any, page: Any, people: Any) -> None:
    source(repo.path)
    job = harvest().job
    for person in (people.anonymous, people.outsider, people.member):
        page("/harvest/titanic/preview", person, status=403)
        page(f"/harvest/titanic/job/{job}", person, status=403)
    page("/harvest/nothing/preview", people.editor, status=404)
