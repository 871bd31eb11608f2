"""Register data that lives in DVC: a worker reads a revision, the dataset form comes filled, its files can be taken."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ckan import model
from ckan.common import config
from ckan.lib import jobs
from ckan.tests import helpers

from ckanext.mlops.logic.action.registrations import MAX_AT_ONCE
from ckanext.mlops.model import FileHash, Version


def work() -> int:
    """Do what a worker of `ckan jobs worker` finds in its queue."""
    queue, number = jobs.get_queue(), 0
    while job := next(iter(queue.jobs), None):
        queue.remove(job)
        job.perform()
        model.Session.remove()
        number += 1
    return number


@pytest.fixture
def browser(people: Any, sign_in: Any) -> Any:
    return sign_in(people.editor)


@pytest.fixture
def read(api: Any, people: Any) -> Any:
    """Ask for a reading, let a worker do it, and give what it found."""

    def ask(url: Any, path: str = "", person: Any = None, **values: str) -> dict[str, Any]:
        person = person or people.editor
        made = api("mlops_registration_create", person, url=str(url), path=path, **values)
        assert made["state"] == "waiting", "nothing is read in the request"
        assert work() == 1
        found: dict[str, Any] = api("mlops_registration_show", person, id=made["id"])
        return found

    return ask


def form_of(body: str, ending: str) -> tuple[str, dict[str, str]]:
    """Address and fields of the form whose address ends so, as a browser would send it untouched."""
    found = re.search(rf'<form[^>]*action="([^"]*{ending})"[^>]*>(.*?)</form>', body, re.DOTALL)
    if found is None and ending == "":
        found = re.search(r'<form id="dataset-edit"[^>]*action="([^"]*)"[^>]*>(.*?)</form>', body, re.DOTALL)
    assert found is not None, ending
    inside = re.sub(r'<div name="repeating-template".*?</div>\s*</fieldset>', "", found[2], flags=re.DOTALL)
    values = {}
    for tag in re.findall(r"<input[^>]*>", inside):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and 'type="checkbox"' not in tag:
            values[name[1]] = value[1] if value else ""
    values |= dict(re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', inside, re.DOTALL))
    return found[1], values


def test_the_form_comes_filled_and_becomes_a_dataset(repo: Any, browser: Any, people: Any, show: Any) -> None:
    address, values = form_of(browser.get("/dataset/new/dvc", status=200).body, "/dataset/new/dvc")
    values |= {"url": str(repo.path), "path": "data/prepared.csv", "revision": "v1"}
    asked = browser.post(address, data=values, follow_redirects=True)
    assert 'mlops_registration_show" data-mlops-id="' in asked.body, "the page follows the worker"
    page = asked.request.path
    assert work() == 1
    body = browser.get(page, status=200).body
    assert 'value="Titanic: prepare"' in body
    _, values = form_of(body, "")
    values |= {"owner_org": people.organization["id"], "title": "Passengers with an age", "private": "False"}
    done = browser.post(page, data=values, follow_redirects=False, status=302)
    name = done.headers["Location"].rsplit("/", 1)[-1]
    package = show(name)
    assert package["title"] == "Passengers with an age"
    assert package["state"] == "active"
    assert package["notes"] == "Leaves out passengers without an age."
    assert (package["dvc_revision"], package["dvc_stage"]) == ("v1", "prepare")
    assert package["dvc_commit"] == repo.git("rev-parse", "v1")
    assert package["dvc_command"] == "cp data/raw.csv data/prepared.csv"
    resource = package["resources"][0]
    assert (resource["dvc_path"], resource["hash_algorithm"], resource["size"]) == ("data/prepared.csv", "md5", 18)
    assert resource["dvc_storage_path"].startswith("s3://lab-data/titanic/files/md5/")
    assert package["derived_from"] == [
        {"url": "file://titanic#data/raw.csv", "label": "data/raw.csv.dvc", "origin": "asserted"}
    ]


def test_the_way_in_is_beside_add_dataset(browser: Any) -> None:
    for page in ("/dataset/", "/organization/lab", "/dashboard/datasets"):
        body = browser.get(page, status=200).body
        assert re.search(r'href="/dataset/new/dvc(\?group=[^"]*)?"', body), page
        assert re.search(r'href="/dataset/new(\?group=[^"]*)?"', body), page


def test_its_version_is_kept_and_its_files_are_given(
    repo: Any, read: Any, api: Any, people: Any, app: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    store = tmp_path / "store"
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.url", str(store))
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "*")
    repo.edit(".dvc/config", "s3://lab-data/titanic", str(store))
    repo.commit("Another remote")
    found = read(repo.path, "data/raw.csv")
    made = api("mlops_dataset_register", people.editor, id=found["id"], package={"owner_org": "lab"})
    version = model.Session.query(Version).filter_by(package_id=made["id"]).one()
    assert version.current
    assert [each["name"] for each in version.refs] == ["main"]
    digest = made["resources"][0]["hash"]
    content = store / "files" / "md5" / digest[:2] / digest[2:]
    content.parent.mkdir(parents=True)
    content.write_text("name,age\nAllen,29\n")
    files = api("mlops_file_list", people.editor, id=made["id"])["files"]
    assert app.get(files[0]["address"]).body == "name,age\nAllen,29\n"


def test_inputs_become_datasets_where_they_are_known(
    repo: Any, source: Any, harvest: Any, read: Any, people: Any, api: Any
) -> None:
    raw = read(repo.path, "data/raw.csv")
    first = api("mlops_dataset_register", people.editor, id=raw["id"], package={"owner_org": "lab", "private": True})
    found = read(repo.path, "prepare")["dataset"]["derived_from"]
    assert found == [{"dataset": first["id"], "label": "data/raw.csv.dvc"}], "by its content"
    other = read(repo.path, "prepare", people.outsider)["dataset"]["derived_from"]
    assert other == [{"url": "file://titanic#data/raw.csv", "label": "data/raw.csv.dvc"}], "hidden is not told"


def test_a_harvest_makes_its_own_datasets_beside_it(
    repo: Any, source: Any, harvest: Any, read: Any, people: Any, api: Any, show: Any
) -> None:
    found = read(repo.path, "prepare")
    made = api("mlops_dataset_register", people.editor, id=found["id"], package={"owner_org": "lab"})
    source(repo.path)
    harvest()
    assert show(made["id"])["title"] == made["title"]
    again = read(repo.path, "prepare")
    assert again["known"]["dataset"]["title"] == "Titanic: prepare"
    assert made["id"] != again["known"]["dataset"]["id"]
    rows = model.Session.query(FileHash).filter_by(package_id=made["id"], path="data/prepared.csv").all()
    assert [row.resource_id for row in rows] == [None], "never a resource of the other dataset"


def test_without_a_path_there_is_a_choice(repo: Any, browser: Any) -> None:
    address, values = form_of(browser.get("/dataset/new/dvc?group=lab", status=200).body, "/dataset/new/dvc")
    page = browser.post(address, data=values | {"url": str(repo.path)}, follow_redirects=True).request.path
    work()
    body = browser.get(page, status=200).body
    assert "3 steps at main" in body
    address, values = form_of(body, "/dataset/new/dvc")
    assert values["path"] == "data/raw.csv.dvc"
    page = browser.post(address, data=values, follow_redirects=True).request.path
    work()
    assert 'value="Titanic: data/raw.csv"' in browser.get(page, status=200).body


@pytest.mark.parametrize(
    ("path", "revision", "said"),
    [
        ("data/prepare.csv", "", "it has data/prepared.csv"),
        ("", "v9", "no branch, tag or commit v9; it has main, v1"),
        ("README.md", "", "only Git holds"),
    ],
)
def test_what_is_not_there_is_named(repo: Any, read: Any, path: str, revision: str, said: str) -> None:
    found = read(repo.path, path, revision=revision)
    assert (found["state"], said in found["progress"]) == ("failed", True), found["progress"]


def test_the_rules_of_harvest_sources_hold(
    root: Any, read: Any, api: Any, people: Any, refused: Any, tmp_path: Any
) -> None:
    assert "operator's configured folders" in read(tmp_path)["progress"]
    assert "refused" in read("http://127.0.0.1:1/o/r")["progress"], "no private address"
    with pytest.raises(refused) as caught:
        api("mlops_registration_create", people.editor, url="https://ada:secret@git.example/o/r")
    assert "user name or password" in str(caught.value)
    with pytest.raises(refused) as caught:
        api("mlops_registration_create", people.editor, url="https://git.example/o/r", credential="nobody")
    assert "No credential" in str(caught.value)


def test_one_person_does_not_fill_the_queue(root: Any, api: Any, people: Any, refused: Any) -> None:
    for _ in range(MAX_AT_ONCE):
        api("mlops_registration_create", people.editor, url="https://git.example/o/r")
    with pytest.raises(refused):
        api("mlops_registration_create", people.editor, url="https://git.example/o/r")
    api("mlops_registration_create", people.admin, url="https://git.example/o/r")


def test_only_who_asked_sees_it_and_roles_decide(repo: Any, read: Any, api: Any, people: Any, refused: Any) -> None:
    found = read(repo.path, "train")
    for person in (people.anonymous, people.member, people.admin):
        with pytest.raises(refused) as caught:
            api("mlops_registration_show", person, id=found["id"])
        assert caught.value.status == 403
    with pytest.raises(refused) as caught:
        api("mlops_dataset_register", people.editor, id=found["id"], package={"owner_org": people.other["id"]})
    assert caught.value.status in (403, 409)
    with pytest.raises(refused):
        api("mlops_dataset_register", people.editor, id=found["id"], package={"owner_org": "lab", "id": found["id"]})


def test_a_form_with_errors_keeps_what_was_typed(repo: Any, read: Any, browser: Any, people: Any) -> None:
    found = read(repo.path, "train")
    page = f"/dataset/new/dvc/{found['id']}"
    _, values = form_of(browser.get(page, status=200).body, "")
    values |= {"title": "Mine", "name": "!!", "owner_org": people.organization["id"]}
    body = browser.post(page, data=values, status=200).body
    assert 'value="Mine"' in body
    assert "model.pkl" in body
    assert not helpers.call_action("package_search", q="Mine")["count"]


def test_a_credential_is_used_for_who_may_create_datasets_of_its_organizations(
    read: Any, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"token": "s3cr3t-token", "hosts": "git.invalid", "organizations": "lab"}
    for option, value in options.items():
        monkeypatch.setitem(config, f"ckanext.mlops.credential.hub.{option}", value)
    said = {
        person.name: read("https://git.invalid/o/r", person=person, credential="hub")["progress"]
        for person in (people.outsider, people.editor)
    }
    assert "is for other organizations" in said["outsider"]
    assert "does not resolve" in said["editor"]
