"""Two sources name one address: the first keeps its datasets until a sysadmin hands them over, and they stay untold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ckan import model

from ckanext.mlops.core import Selection, read_repository
from ckanext.mlops.tool.render import read_json

URL = "https://git.internal.example/lab/titanic.git"
SECRET = "Unpublished"


@pytest.fixture
def create(api: Any, people: Any) -> Any:
    """Create a source as an editor of its organization."""

    def create(person: Any, owner: dict[str, Any], name: str, url: Any, **options: Any) -> str:
        values = {"name": name, "title": name.title(), "url": str(url), "source_type": "dvc", "owner_org": owner["id"]}
        return str(api("harvest_source_create", person, **values, config=json.dumps(options))["id"])

    return create


@pytest.mark.parametrize("private", [False, True])
def test_another_organization_gets_nothing_of_a_harvested_address(
    private: bool, repo: Any, create: Any, harvest: Any, api: Any, people: Any, catalog: Any, page: Any
) -> None:
    create(people.editor, people.organization, "secret-source", repo.path, private_datasets=private)
    harvest("secret-source")
    api("package_patch", people.editor, id="titanic-train", title=SECRET, name="unpublished-model")
    second = create(people.outsider, people.other, "second", repo.path, branches=["main"])
    before = catalog(exact=True)
    preview = api("mlops_harvest_preview", people.outsider, id="second")
    assert (preview["counts"]["added"], preview["counts"]["problems"], preview["changes"]) == (0, 3, [])
    report = harvest("second")
    assert report.counts()["failed"] == 3
    assert sorted(preview["problems"]) == sorted(result.reason.partition(": ")[2] for result in report.results)
    for result in report.results:
        assert "Ask a sysadmin of the portal to hand it over" in result.reason
        assert "option exclude" in result.reason
        assert not any(word in result.reason for word in (SECRET, "unpublished-model", "Secret-Source", "The Lab"))
    assert catalog(exact=True) == before
    seen = json.dumps(api("harvest_source_show_status", people.outsider, id=second))
    job = json.loads(seen)["last_job"]["id"]
    seen += page(f"/harvest/second/job/{job}", people.outsider).body + page("/harvest/second", people.outsider).body
    assert "hand it over" in seen
    if private:
        assert SECRET not in seen
        assert "unpublished-model" not in seen


def test_another_organization_gets_nothing_of_a_pushed_address(
    repo: Any, create: Any, harvest: Any, api: Any, people: Any, catalog: Any
) -> None:
    records = json.loads("".join(read_json(read_repository(repo.path / ".git", url=URL, selection=Selection()))))
    create(people.editor, people.organization, "first", URL, push=True)
    api("mlops_repository_push", people.editor, id="first", records=records)
    harvest("first")
    create(people.outsider, people.other, "second", URL, push=True, branches=["main"])
    before = catalog(exact=True)
    api("mlops_repository_push", people.outsider, id="second", records=records)
    report = harvest("second")
    assert report.counts()["failed"] == 3
    assert all("not a dataset of this source's organization" in each.reason for each in report.results)
    assert catalog(exact=True) == before


def test_a_deleted_source_leaves_its_datasets_to_its_organization(
    repo: Any, create: Any, harvest: Any, api: Any, people: Any, show: Any
) -> None:
    first = create(people.editor, people.organization, "first", repo.path)
    harvest("first")
    api("harvest_source_delete", people.sysadmin, id=first)
    create(people.outsider, people.other, "second", repo.path, branches=["main"])
    assert harvest("second").counts()["failed"] == 3
    for name in ("titanic-train", "titanic-prepare", "titanic-data-raw-csv"):
        api("package_patch", people.sysadmin, id=name, owner_org=people.other["id"])
    assert harvest("second").counts()["failed"] == 0
    assert show("titanic-train")["owner_org"] == people.other["id"]


def test_a_sysadmin_hands_datasets_over_with_their_source(
    repo: Any, create: Any, harvest: Any, api: Any, people: Any, show: Any, refused: Any
) -> None:
    first = create(people.editor, people.organization, "first", repo.path)
    harvest("first")
    api("package_patch", people.editor, id="titanic-train", title="A title of ours")
    values = {"id": first, "name": "first", "title": "First", "url": str(repo.path), "source_type": "dvc"}
    values |= {"owner_org": people.other["id"], "config": ""}
    for person in (people.anonymous, people.outsider, people.member, people.editor, people.admin):
        with pytest.raises(refused) as caught:
            api("harvest_source_update", person, **values)
        assert caught.value.status in (403, 409)
        model.Session.rollback()
    api("harvest_source_update", people.sysadmin, **values)
    assert harvest("first").counts()["failed"] == 0
    train = show("titanic-train")
    assert (train["owner_org"], train["title"]) == (people.other["id"], "A title of ours")
    assert api("mlops_version_list", people.outsider, id="titanic-train")["count"] == 2
    assert api("harvest_source_show", people.outsider, id=first)["owner_org"] == people.other["id"]
