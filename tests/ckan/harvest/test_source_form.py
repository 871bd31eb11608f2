"""The configuration of a source as fields of its form."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ckan import model
from ckan.tests import helpers
from ckanext.harvest.model import HarvestSource

from ckanext.mlops.harvesting import source_form
from ckanext.mlops.harvesting.source_config import OPTIONS


@pytest.fixture
def browser(people: Any, sign_in: Any) -> Any:
    return sign_in(people.editor)


def send(browser: Any, people: Any, page: str = "/harvest/new", **values: str) -> Any:
    body = browser.get(page, status=200).body
    token = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"', body)
    assert token is not None
    data = {
        "_csrf_token": token[1],
        "url": "https://example.org/lab/titanic",
        "title": "Titanic",
        "name": "titanic",
        "source_type": "dvc",
        "frequency": "MANUAL",
        "owner_org": people.organization["id"],
        "mlops_form": "1",
        "config": "{}",
        **values,
    }
    return browser.post(page, data=data, follow_redirects=False)


def config() -> Any:
    model.Session.remove()
    source = model.Session.query(HarvestSource).one()
    return json.loads(source.config or "{}")


def test_the_fields_become_the_configuration(browser: Any, people: Any) -> None:
    answer = send(
        browser,
        people,
        mlops_branches="main\r\n release-* \r\n\r\n!release-old",
        mlops_commits="20",
        mlops_private_datasets="true",
        mlops_tags_added="titanic",
        mlops_title_template="{project}: {stage}",
        mlops_approval="true",
    )
    assert answer.status_code == 302
    assert config() == {
        "branches": ["main", "release-*", "!release-old"],
        "commits": 20,
        "private_datasets": True,
        "tags_added": ["titanic"],
        "title_template": "{project}: {stage}",
        "approval": True,
    }


def test_every_option_is_a_field_with_help() -> None:
    fields = [field for _, members in source_form.groups() for field in members]
    assert sorted(field.name for field in fields) == sorted(OPTIONS)
    assert all(field.label and field.help.endswith(".") for field in fields)


def test_an_empty_form_is_the_default(browser: Any, people: Any) -> None:
    assert send(browser, people).status_code == 302
    assert config() == {}


def test_fields_are_shown_and_emptied(browser: Any, people: Any) -> None:
    send(browser, people, mlops_branches="main", mlops_approval="true", mlops_subfolder="data/<raw>")
    body = browser.get("/harvest/edit/titanic", status=200).body
    assert re.search(r'name="mlops_branches"[^>]*>main</textarea>', body)
    assert re.search(r'name="mlops_approval" value="true" checked', body)
    assert 'value="data/&lt;raw&gt;"' in body
    assert "as JSON" not in body
    send(browser, people, "/harvest/edit/titanic", mlops_subfolder="data")
    assert config() == {"subfolder": "data"}


def test_each_wrong_field_says_what_is_wrong_and_keeps_what_was_typed(browser: Any, people: Any) -> None:
    answer = send(
        browser,
        people,
        mlops_subfolder="../up",
        mlops_commits="many",
        mlops_credential="nobody",
        mlops_mlflow_experiment="titanic",
        mlops_branches="main",
    )
    assert answer.status_code == 200
    for name, text in (("subfolder", "without .."), ("commits", "all"), ("credential", "no credential named")):
        field = re.search(rf'name="mlops_{name}".*?(?=name="mlops_)', answer.body, re.DOTALL)
        assert field is not None
        assert text in field[0].split('role="alert"')[1], name
    assert re.search(r'name="mlops_branches"[^>]*>main</textarea>', answer.body)


def test_a_password_is_refused(browser: Any, people: Any) -> None:
    answer = send(browser, people, mlops_include="ghp_abcdefghijklmnopqrstuvwxyz0123456789")
    assert answer.status_code == 200
    assert "looks like a password" in answer.body


def test_credentials_are_chosen_by_name(browser: Any, people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKANEXT__MLOPS__CREDENTIAL__LAB__TOKEN", "only-for-tests-secret")
    body = browser.get("/harvest/new", status=200).body
    assert "<option>lab</option>" in body
    assert "only-for-tests-secret" not in body
    send(browser, people, mlops_credential="lab")
    assert config() == {"credential": "lab"}


def test_programs_send_json_as_before(people: Any, api: Any) -> None:
    values = {"name": "titanic", "title": "T", "url": "https://example.org/o/r", "source_type": "dvc"}
    options = {"branches": ["main"], "approval": True}
    owner = people.organization["id"]
    api("harvest_source_create", people.editor, **values, owner_org=owner, config=json.dumps(options))
    assert config() == options
    api("harvest_source_patch", people.editor, id="titanic", config='{"branches": ["dev"]}')
    assert config() == {"branches": ["dev"]}
    assert helpers.call_action("harvest_source_show", id="titanic")["url"] == "https://example.org/o/r"
