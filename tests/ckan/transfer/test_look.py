"""Looking at contents: there or not, what is in them, shown, found, compared, and known again by their hash."""

from __future__ import annotations

import datetime

import pytest
from ckan import model
from ckan.common import config

from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.model import versions
from ckanext.mlops.transfers import looking

OLD, NEW = b"Age,Cabin\n1,a\n2,\n", b"Age,Fare,Sex\n1.5,7,m\n,8,f\n3.5,9,f\n"


@pytest.fixture
def dataset(make_dataset, tmp_path, monkeypatch, version_id):
    def key(data):
        digest = Md5(data).hexdigest()
        return digest, f"files/md5/{digest[:2]}/{digest[2:]}"

    for data in (OLD, NEW):
        path = tmp_path / key(data)[1]
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.url", str(tmp_path))
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "*")

    def out(path, data):
        return {"path": path, "hash": key(data)[0], "algorithm": "md5", "storage": key(data)[1], "remote": "s"}

    package = make_dataset(
        name="titanic",
        dvc_repository="https://git.example/lab/titanic",
        resources=[{"name": "train", "dvc_path": "train.csv", "url": ""}],
    )
    states = [[out("train.csv", OLD), out("model.pkl", b"never pushed")], [out("train.csv", NEW)]]
    rows = [
        {"id": version_id(package, str(number)), "digest": str(number), "commit": "ab"[number] * 40,
         "current": number == 1,
         "position": number, "facts": {"outs": outs}, "refs": [{"name": f"v{number}", "kind": "tag", "commit": "c"}]}
        for number, outs in enumerate(states)
    ]  # fmt: skip
    versions.store(model.Session(), package["id"], rows)
    model.Session.commit()
    return package


def test_a_worker_looks_and_everybody_sees(dataset, api, people, page, tmp_path):
    done = looking.look(dataset["id"])
    assert (done.pushed, done.missing, done.unknown, done.profiled) == (2, 1, 0, 2)
    found = api("mlops_profile_show", id="titanic", path="train.csv", against="v0")
    assert found["state"] == "pushed"
    assert found["difference"] == [
        {"name": "Age", "before": "integer", "after": "number"},
        {"name": "Fare", "before": None, "after": "integer"},
        {"name": "Sex", "before": None, "after": "text"},
        {"name": "Cabin", "before": "text", "after": None},
    ]
    age = found["profile"]["columns"][0]
    assert (age["missing"], age["distinct"], age["min"], age["max"]) == (1, 2, 1.5, 3.5)
    assert sum(count for _, count in age["histogram"]) == 2
    assert api("mlops_profile_show", id="titanic", path="model.pkl", version="v0")["state"] == "missing"
    body = page(f"/dataset/titanic/resource/{dataset['resources'][0]['id']}").body
    assert "mlops-histogram" in body
    assert ">pushed</span>" in body
    assert (
        "missing" in page(f"/dataset/titanic/versions/{versions.page(model.Session(), [dataset['id']], 5)[1].id}").body
    )
    assert api("package_search", q="column:Fare")["count"] == 1
    assert api("package_search", q="column:Nothing")["count"] == 0
    again = looking.look(dataset["id"])
    assert (again.known, again.pushed, again.profiled) == (2, 0, 0)
    later = datetime.datetime.now() + looking.AGAIN * 2  # noqa: DTZ005
    assert looking.look(dataset["id"], now=later).pushed == 2


@pytest.mark.with_plugins("mlops_preview")
def test_a_preview_is_there_once_with_a_view_of_it_and_without(dataset, api, people, page):
    looking.look(dataset["id"])
    resource = dataset["resources"][0]["id"]
    address = f"/dataset/titanic/resource/{resource}"
    assert page(address).body.count('id="mlops-profile-heading"') == 1
    api("resource_view_create", people.editor, resource_id=resource, title="Preview", view_type="mlops_preview")
    assert page(address).body.count('id="mlops-profile-heading"') == 1


def test_the_comparison_of_versions_shows_columns_to_who_may_take_the_files(dataset, api, people, page):
    looking.look(dataset["id"])
    after, before = (row.id for row in versions.page(model.Session(), [dataset["id"]], 5))
    (table,) = api("mlops_file_diff", before=before, after=after)["columns"]
    assert table["path"] == "train.csv"
    assert {"name": "Age", "before": "integer", "after": "number"} in table["differences"]
    body = page(f"/dataset/titanic/versions/compare?before={before}&after={after}").body
    assert "Columns of train.csv" in body
    assert "whole number" in body, "not the word of the API"
    assert "<code>Cabin</code></th><td>text</td>" in body
    api("package_patch", people.editor, id="titanic", data_access="on_request")
    assert api("mlops_file_diff", people.outsider, before=before, after=after)["columns"] == []
    assert "Cabin" not in page(f"/dataset/titanic/versions/compare?before={before}&after={after}", people.outsider).body


def test_a_storage_that_is_away_is_unknown_and_not_missing(dataset, api, tmp_path, monkeypatch):
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.url", str(tmp_path / "unmounted"))
    assert looking.look(dataset["id"]).unknown == 3
    found = api("mlops_profile_show", id="titanic", path="train.csv")
    assert (found["state"], found["profile"]) == ("unknown", None)


def test_profiles_of_files_on_request_are_for_who_may_take_them(dataset, api, people, refused):
    looking.look(dataset["id"])
    api("package_patch", people.editor, id="titanic", data_access="on_request")
    with pytest.raises(refused):
        api("mlops_profile_show", people.outsider, id="titanic", path="train.csv")
    assert api("mlops_profile_show", people.member, id="titanic", path="train.csv")["profile"]
    assert api("package_search", q="column:Fare")["count"] == 0


def test_the_check_is_a_background_job(dataset, api, people):
    from ckan.lib import jobs

    job = api("mlops_content_check", people.editor, id="titanic")["job"]
    assert jobs.job_from_id(job).args == ([dataset["id"]],) or jobs.job_from_id(job).args[0] == dataset["id"]
