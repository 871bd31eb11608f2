"""Sources: their form, their configuration, what the operator allows, and who owns a dataset."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ckan.common import config as ckan_settings
from ckan.tests import helpers
from ckanext.harvest.model import HarvestObject

from ckanext.mlops.harvester import DvcHarvester
from ckanext.mlops.harvesting import foreground, repositories
from ckanext.mlops.harvesting.source_config import OPTIONS

REFUSED = [
    ("file:///etc", "only where they exist below one of the operator"),
    ("http://127.0.0.1/x.git", "http is not among the allowed schemes"),
    ("https://127.0.0.1/x.git", "not on the public network"),
    ("https://user:hunter2@github.com/o/r", "holds a user name or password"),
    ("ext::sh -c date", "run commands"),
]
FORM = {"title": "Titanic", "name": "titanic", "url": "https://github.com/lab/titanic", "source_type": "dvc"}


def create(api: Any, person: Any, **values: Any) -> Any:
    return api("harvest_source_create", person, **{**FORM, **values})


def test_the_form_offers_and_explains_the_type(page: Any, people: Any) -> None:
    body = page("/harvest/new", people.sysadmin).body
    assert 'value="dvc"' in body
    assert "DVC repository" in body
    assert "name a credential, never write a password" in body


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"brnches": []}', "did you mean branches?"),
        ('{"token": "ghp_0123456789abcdefghij"}', "secrets are refused"),
        ("{", "not JSON, line 1"),
        ('{"credential": "nobody"}', "no credential named"),
    ],
)
def test_a_wrong_configuration_is_refused_in_words(config: str, said: str, api: Any, people: Any, refused: Any) -> None:
    with pytest.raises(refused) as caught:
        create(api, people.sysadmin, owner_org=people.organization["id"], config=config)
    assert caught.value.status == 409
    assert said in json.dumps(caught.value.error)
    assert "ghp_" not in json.dumps(caught.value.error)


def test_a_form_with_a_wrong_configuration_says_so(app: Any, people: Any) -> None:
    values = {**FORM, "owner_org": people.organization["id"], "config": '{"brnches": []}', "save": "Save"}
    answer = app.post("/harvest/new", data=values, headers=people.sysadmin.headers)
    assert "did you mean branches?" in answer.body


def test_a_source_with_every_option_can_be_shown_and_edited(page: Any, api: Any, people: Any) -> None:
    config = json.dumps({"git_tags": ["v*"], "private_datasets": True, "tags_added": ["x y"], "groups_added": ["g"]})
    create(api, people.sysadmin, owner_org=people.organization["id"], config=config)
    for address in ("/harvest/titanic", "/harvest/edit/titanic", "/harvest/about/titanic", "/harvest"):
        assert page(address, people.sysadmin).status_code == 200
    shown = api("harvest_source_patch", people.sysadmin, id="titanic", title="Renamed")
    assert (shown["title"], shown["private"], shown["tags"]) == ("Renamed", False, [])


def test_no_option_is_called_like_a_field_of_a_source() -> None:
    fields = {
        *("id", "name", "title", "notes", "url", "tags", "groups", "private", "state", "type", "owner_org", "extras"),
        *("resources", "organization", "config", "frequency", "source_type", "status", "author", "version"),
    }
    assert not fields & set(OPTIONS)


@pytest.mark.parametrize(("url", "said"), REFUSED)
def test_what_the_operator_does_not_allow_is_one_clear_error(
    url: str, said: str, source: Any, harvest: Any, catalog: Any
) -> None:
    """Of a source that was made while the operator allowed it."""
    source("https://github.com/lab/titanic")
    made = foreground.find_source("titanic")
    made.url = url
    made.save()
    report = harvest()
    assert not report.read
    assert len(report.problems) == 1
    assert said in report.problems[0]
    assert "hunter2" not in report.problems[0]
    assert catalog()["packages"] == []


@pytest.mark.parametrize(("url", "said"), REFUSED)
def test_the_form_refuses_what_cannot_be_read(url: str, said: str, api: Any, people: Any, refused: Any) -> None:
    values = {"owner_org": people.organization["id"]}
    with pytest.raises(refused) as caught:
        create(api, people.editor, **values, url=url)
    [message] = caught.value.error["url"]
    assert said in message
    assert "hunter2" not in message
    with pytest.raises(refused):
        api("package_show", people.sysadmin, id="titanic")
    create(api, people.editor, **values)
    with pytest.raises(refused) as caught:
        api("harvest_source_patch", people.editor, id="titanic", url=url)
    assert said in caught.value.error["url"][0]
    assert api("harvest_source_show", people.editor, id="titanic")["url"] == FORM["url"]


def test_a_repository_that_sends_its_records_may_be_anywhere(api: Any, people: Any, refused: Any) -> None:
    values = {"owner_org": people.organization["id"], "config": '{"push": true}'}
    create(api, people.editor, **values, url="git@git.intern:lab/titanic.git")
    with pytest.raises(refused) as caught:
        create(api, people.editor, **values, name="other", url="https://ada:hunter2@git.intern/lab/other")
    assert "holds a user name or password" in caught.value.error["url"][0]


def test_a_folder_of_the_workers_is_no_mistake(root: Any, api: Any, people: Any) -> None:
    """It may be there on the machines that harvest, and not on this one."""
    url = str(root / "not" / "here")
    assert create(api, people.editor, owner_org=people.organization["id"], url=url)["url"] == url


def test_a_raised_limit_of_files_holds_for_mirrors_too(monkeypatch: Any) -> None:
    assert repositories.policy().blob_limit == "16m"
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.repository.limit.dvc_bytes", "50000000")
    assert repositories.policy().blob_limit == "50000000"


def test_a_credential_goes_to_its_hosts_only(source: Any, harvest: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.credential.lab.token", "s3cr3t-token")
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.credential.lab.hosts", "git.lab.test")
    source("https://evil.test/o/r.git", credential="lab")
    [problem] = harvest().problems
    assert "is not for evil.test" in problem
    assert "s3cr3t" not in problem


def test_a_credential_is_used_for_its_organizations_only(source: Any, harvest: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.credential.lab.token", "s3cr3t-token")
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.credential.lab.hosts", "git.invalid")
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.credential.lab.organizations", "elsewhere others")
    source("https://git.invalid/o/r.git", credential="lab")
    [problem] = harvest().problems
    assert "is for other organizations" in problem
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.credential.lab.organizations", "others lab")
    [problem] = harvest().problems
    assert "does not resolve" in problem


def test_private_datasets_and_groups(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    source(repo.path, private_datasets=True, groups_added=["survival"])
    [problem] = harvest().problems
    assert problem == "groups_added: this portal has no group survival; create it, or leave it out"
    helpers.call_action("group_create", {"user": "root"}, name="survival")
    assert harvest().counts()["added"] == 3
    train = show("titanic-train")
    assert train["private"] is True
    assert [group["name"] for group in train["groups"]] == ["survival"]
    assert harvest().counts()["unchanged"] == 3


def test_a_dataset_belongs_to_one_source(repo: Any, source: Any, harvest: Any, catalog: Any, show: Any) -> None:
    source(repo.path)
    source(repo.path, name="second", branches=["main"])
    harvest()
    before = catalog(exact=True)
    report = harvest("second")
    assert report.counts()["failed"] == 3
    assert 'is harvested by the source "Titanic"' in report.results[0].reason
    assert catalog(exact=True) == before
    helpers.call_action("harvest_source_delete", {"user": "root"}, id=show("titanic")["id"])
    assert harvest("second").counts()["failed"] == 0


def test_an_import_becomes_an_edge_whichever_side_comes_first(
    repo: Any, root: Any, built: Any, source: Any, harvest: Any, show: Any, monkeypatch: Any
) -> None:
    registry = type(repo)(root / "registry")
    registry.path.mkdir()
    registry.git("init", "--quiet", "--initial-branch=main")
    registry.write(".dvc/config", "")
    registry.write("names.csv.dvc", f"outs:\n- md5: {'1' * 32}\n  hash: md5\n  size: 3\n  path: names.csv\n")
    registry.commit()
    repo.write(
        "data/names.csv.dvc",
        f"frozen: true\ndeps:\n- path: names.csv\n  repo:\n    url: {registry.path}\n"
        f"    rev_lock: {registry.git('rev-parse', 'HEAD')}\nouts:\n- md5: {'1' * 32}\n  path: names.csv\n",
    )
    repo.commit("Import")
    source(repo.path)
    source(registry.path, name="registry")
    harvest()
    assert "url" in show("titanic-data-names-csv")["derived_from"][0]
    harvest("registry")
    report = harvest()
    [result] = [each for each in report.results if each.kind == "changed"]
    assert result.name == "titanic-data-names-csv"
    assert show(result.name)["derived_from"][0]["dataset"] == show("registry-names-csv")["id"]
    assert harvest().counts()["unchanged"] == len(report.results)


def test_preview_shows_and_writes_nothing(
    repo: Any, source: Any, harvest: Any, api: Any, people: Any, catalog: Any, refused: Any
) -> None:
    source(repo.path)
    plan = api("mlops_harvest_preview", people.admin, id="titanic")
    assert plan["counts"] == {"added": 3, "changed": 0, "unchanged": 0, "retired": 0, "problems": 0}
    assert plan["changes"][2]["reason"] == "found at main"
    assert catalog()["packages"] == []
    harvest()
    repo.edit("dvc.yaml", "A forest.", "A tree.")
    repo.commit()
    plan = api("mlops_harvest_preview", people.admin, id="titanic", limit=1)
    [change] = plan["changes"]
    assert {"field": "resources/model.pkl/description", "before": "A forest.", "after": "A tree."} in change["fields"]
    for person in (people.anonymous, people.outsider, people.member):
        with pytest.raises(refused) as caught:
            api("mlops_harvest_preview", person, id="titanic")
        assert caught.value.status == 403
    with pytest.raises(refused) as caught:
        api("mlops_harvest_preview", people.sysadmin, id="nothing")
    assert caught.value.status == 404


def test_the_original_is_the_file_at_the_commit(repo: Any, source: Any, harvest: Any) -> None:
    source(repo.path)
    harvest()
    [train] = [each for each in HarvestObject.filter(current=True) if each.guid.endswith("#train")]
    assert DvcHarvester().get_original_url(train.id) == f"file://{repo.path}"
    assert DvcHarvester().get_original_url("nothing") is None


def test_sources_are_found_by_name_id_and_url(repo: Any, source: Any, show: Any) -> None:
    source(repo.path)
    expected = show("titanic")["id"]
    assert {foreground.find_source(key).id for key in ("titanic", expected, str(repo.path))} == {expected}
    with pytest.raises(foreground.NoSource, match="There is no harvest source other"):
        foreground.find_source("other")
