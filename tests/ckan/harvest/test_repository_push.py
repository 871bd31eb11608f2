"""Records of a repository that the portal cannot reach, sent by somebody who can: the same datasets."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from ckan import model
from ckan.common import config as ckan_settings
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from ckanext.mlops.core import Selection, read_repository
from ckanext.mlops.harvesting import foreground
from ckanext.mlops.tool.render import read_json

URL = "https://git.internal.example/lab/titanic.git"


def records(repo: Any, url: str = URL) -> dict[str, Any]:
    """What ``ckan-mlops read --json`` says of the checkout."""
    text = "".join(read_json(read_repository(repo.path / ".git", url=url, selection=Selection())))
    return dict(json.loads(text))


@pytest.fixture
def pushed(repo: Any, source: Any, harvest: Any, people: Any) -> Any:
    source(URL, push=True)

    def push(document: Any = None, user: str = "root") -> foreground.Report:
        document = records(repo) if document is None else document
        context = {"user": user, "ignore_auth": False}
        answer = helpers.call_action("mlops_repository_push", context, id="titanic", records=document)
        assert answer["job"]
        return harvest()

    return push


def test_a_push_is_harvested_like_a_repository(pushed: Any, repo: Any, show: Any, harvest: Any) -> None:
    assert pushed().counts()["added"] == 3
    train = show("titanic-train")
    assert train["dvc_repository"] == URL
    assert [each["name"] for each in train["resources"]] == ["model.pkl", "metrics.json"]
    assert helpers.call_action("mlops_version_list", id="titanic-train")["count"] == 2
    assert harvest().counts()["unchanged"] == 3
    repo.edit("dvc.lock", train["resources"][0]["hash"], "0" * 32)
    repo.commit("A better model")
    assert pushed().counts()["changed"] == 1


def test_a_stage_that_is_not_pushed_any_more_is_retired(pushed: Any, repo: Any) -> None:
    pushed()
    document = records(repo)
    for snapshot in document["snapshots"]:
        snapshot["stages"] = [each for each in snapshot["stages"] if each["name"] != "train"]
    assert pushed(document).counts()["retired"] == 1


def test_a_file_and_text_are_taken_as_well(pushed: Any, repo: Any) -> None:
    text = json.dumps(records(repo))
    assert pushed(FileStorage(io.BytesIO(gzip.compress(text.encode())), "records.json.gz")).counts()["added"] == 3
    assert pushed(text).counts()["unchanged"] == 3


def test_rights_are_those_of_the_source(pushed: Any, repo: Any, api: Any, people: Any, refused: Any) -> None:
    for person, status in ((people.outsider, 403), (people.member, 403), (people.anonymous, 403)):
        with pytest.raises(refused) as caught:
            api("mlops_repository_push", person, id="titanic", records=records(repo))
        assert caught.value.status == status
    assert api("mlops_repository_push", people.editor, id="titanic", records=records(repo))["stages"] == 6


def test_hostile_records_are_refused(pushed: Any, repo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = FileStorage(io.BytesIO(gzip.compress(b" " * 3_000_000)), "records.json.gz")
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.push.max_bytes", 1_000_000)
    cases = [
        (bomb, "limit: ckanext.mlops.push.max_bytes"),
        (FileStorage(io.BytesIO(b"\x1f\x8bnot gzip"), "x"), "not sound gzip"),
        ("{", "not JSON"),
        ({"schema": "x"}, "schema must be"),
        (records(repo, "https://github.com/somebody/else.git"), "the records are of github.com/somebody/else"),
    ]
    for document, said in cases:
        with pytest.raises(helpers.logic.ValidationError, match=said):
            helpers.call_action("mlops_repository_push", {"user": "root"}, id="titanic", records=document)
    model.Session.rollback()


def test_a_source_that_fetches_takes_no_push(repo: Any, source: Any) -> None:
    source(repo.path)
    with pytest.raises(helpers.logic.ValidationError, match="fetches its repository"):
        helpers.call_action("mlops_repository_push", {"user": "root"}, id="titanic", records=records(repo))


def test_nothing_pushed_yet_is_said(source: Any, harvest: Any) -> None:
    source(URL, push=True)
    report = harvest()
    assert not report.read
    assert "Nothing was pushed to this source yet" in report.problems[0]
