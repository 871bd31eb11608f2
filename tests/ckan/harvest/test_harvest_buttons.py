"""What begins, stops or clears a harvest is a button: a link that a person is led to changes nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import model
from ckan.lib.helpers import render_markdown
from ckan.tests import helpers
from ckanext.harvest.model import HarvestSource

CLEAR = "Clear this source?"
HOSTILE = (
    "![a](/x.png) !![e](/x.png) <img src=/x.png> ![b][c] <b>strong</b> !\\u200b[d](/x.png) <image src=/x.png> "
    "[seen](/d) <https://e.example> 1 < 2\\n\\n[c]: /x.png"
)


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


@pytest.mark.parametrize("who", ["editor", "sysadmin"])
def test_stop_is_a_form_with_a_token(job: Any, people: Any, sign_in: Any, who: str) -> None:
    """Whoever may harvest a source may stop it; ckanext-harvest leaves that to sysadmins."""
    browser = sign_in(getattr(people, who))
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


def test_who_may_not_harvest_it_may_not_stop_it(job: Any, people: Any, sign_in: Any, api: Any, refused: Any) -> None:
    browser = sign_in(people.member)
    token = re.search(r'name="_csrf_token" content="([^"]+)"', browser.get("/dataset/", status=200).body)
    assert token is not None
    path = f"/harvest/titanic/job/{job['id']}/stop"
    assert browser.post(path, data={"_csrf_token": token[1]}, follow_redirects=False).status_code == 403
    for person in (people.anonymous, people.outsider, people.member):
        with pytest.raises(refused) as error:
            api("harvest_job_abort", person, id=job["id"])
        assert error.value.status == 403
    assert status_of(job["id"]) == "Running"


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_link_changes_nothing(repo: Any, source: Any, harvest: Any, show: Any, browser: Any, by: str) -> None:
    source(repo.path)
    harvest()
    source_id = show("titanic")["id"]
    named = {"name": "titanic", "id": source_id}[by]
    before = helpers.call_action("harvest_job_list", {"user": "root"}, source_id=source_id)
    for path, asked in ((f"/harvest/refresh/{named}", "Harvest this source now?"), (f"/harvest/clear/{named}", CLEAR)):
        assert asked in browser.get(path, status=200).body
    assert helpers.call_action("harvest_job_list", {"user": "root"}, source_id=source_id) == before
    assert helpers.call_action("package_search", fq="dataset_type:dataset")["count"] == 3
    running = helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)
    assert "Stop this harvest?" in browser.get(f"/harvest/{named}/job/{running['id']}/abort", status=200).body
    assert status_of(running["id"]) == "Running"


@pytest.mark.parametrize("what", ["refresh", "clear"])
def test_the_page_that_asks_has_a_button_that_does_it(
    repo: Any, source: Any, harvest: Any, show: Any, browser: Any, what: str
) -> None:
    """As it must be where no script runs."""
    source(repo.path)
    harvest()
    source_id = show("titanic")["id"]
    page = BeautifulSoup(browser.get(f"/harvest/{what}/titanic", status=200).body, "html.parser")
    form = page.select_one(".mlops-decisions form")
    assert form is not None
    fields = {each["name"]: each["value"] for each in form.select("input[type=hidden]")}
    assert fields, "the token"
    browser.post(form["action"], data=fields, follow_redirects=False)
    jobs = helpers.call_action("harvest_job_list", {"user": "root"}, source_id=source_id)
    assert len(jobs) == {"refresh": 2, "clear": 0}[what]


def test_who_may_not_harvest_is_not_asked(repo: Any, source: Any, people: Any, sign_in: Any) -> None:
    source(repo.path)
    member = sign_in(people.member)
    for what in ("refresh", "clear"):
        member.get(f"/harvest/{what}/titanic", status=403)


def test_of_other_harvesters_only_the_stop_is_a_link(source: Any, repo: Any, browser: Any, show: Any) -> None:
    source(repo.path)
    source_id = show("titanic")["id"]
    model.Session.get(HarvestSource, source_id).type = "ckan"
    model.Session.commit()
    assert "Harvest this source now?" in browser.get(f"/harvest/refresh/{source_id}", status=200).body
    assert CLEAR in browser.get(f"/harvest/clear/{source_id}", status=200).body
    job = helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=False)
    answer = browser.get(f"/harvest/{source_id}/job/{job['id']}/abort", follow_redirects=False)
    assert answer.status_code == 403  # the page of ckanext-harvest, which lets sysadmins do it


def test_a_description_loads_nothing(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    """An image in it would be asked for by whoever looks at its dataset, as that person."""
    said = f'desc: "{HOSTILE}"\n'
    repo.write("hostile.csv.dvc", f"{said}outs:\n- path: hostile.csv\n  md5: {'a' * 32}\n  {said}")
    repo.commit()
    source(repo.path)
    harvest()
    package = show("titanic-hostile-csv")
    for text in (package["notes"], package["resources"][0]["description"]):
        page = str(render_markdown(text))
        assert "<img" not in page
        assert 'href="/d"' in page
        assert 'href="https://e.example"' in page
        assert "1 &lt; 2" in page
        assert "<b>strong</b>" in page
