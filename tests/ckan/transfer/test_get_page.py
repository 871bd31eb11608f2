"""The box "Get this data", the page of a recipe, and the page on which access is asked for and given."""

from __future__ import annotations

import html
import io
import re
import subprocess

import pytest
from ckan import model
from ckan.common import config
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.model import versions

DATA = b"a,b\n1,2\n"
HOSTILE = "data/it's $(touch pwned) <b>.csv"


@pytest.fixture
def dataset(make_dataset, tmp_path, monkeypatch, version_id):
    def make(path="data/train.csv", **values):
        digest = Md5(DATA).hexdigest()
        key = f"files/md5/{digest[:2]}/{digest[2:]}"
        (tmp_path / "remote" / key).parent.mkdir(parents=True)
        (tmp_path / "remote" / key).write_bytes(DATA)
        monkeypatch.setitem(config, "ckanext.mlops.storage.x.url", str(tmp_path / "remote"))
        monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "*")
        package = make_dataset(
            name="titanic",
            dvc_repository="https://git.example/lab/titanic",
            resources=[{"name": "train", "dvc_path": path, "url": ""}],
            **values,
        )
        out = {"path": path, "hash": digest, "algorithm": "md5", "size": len(DATA), "storage": key, "remote": "store"}
        facts = {"address": "dvc.yaml:prepare", "file": "dvc.yaml", "command": "python p.py", "outs": [out]}
        rows = [
            {"id": version_id(package, str(number)), "digest": str(number), "commit": commit * 40,
             "current": number == 2, "position": number, "facts": facts}
            for number, commit in enumerate("ab", start=1)
        ]  # fmt: skip
        versions.store(model.Session(), package["id"], rows)
        model.Session.commit()
        return package | {"versions": [row["id"] for row in rows]}

    return make


def codes(body):
    return [html.unescape(each) for each in re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", body, re.DOTALL)]


def test_dataset_version_and_resource_pages_give_their_own_version(dataset, page):
    package = dataset()
    old, new = package["versions"]
    resource = package["resources"][0]["id"]
    shown = {
        "/dataset/titanic": ("b" * 40, "ckan-mlops get titanic --file"),
        f"/dataset/titanic/resource/{resource}": ("b" * 40, "ckan-mlops get titanic --file"),
        f"/dataset/titanic/versions/{old}": ("a" * 40, f"ckan-mlops get titanic@{old} --file"),
        f"/dataset/titanic/versions/{new}": ("b" * 40, f"ckan-mlops get titanic@{new} --file"),
    }
    for url, (commit, command) in shown.items():
        found = codes(page(url).body)
        assert any(command in code for code in found)
        dvc = [code for code in found if "dvc get" in code or "dvc.api" in code]
        assert dvc
        assert all(commit in code for code in dvc)


def test_the_shown_download_is_run_by_a_shell(dataset, page, live, people, tmp_path, monkeypatch):
    package = dataset(private=True)
    (curl,) = (code for code in codes(page("/dataset/titanic", people.member).body) if code.startswith("curl"))
    curl = curl.replace("http://portal.test", live)
    for token, code in ((people.member.token, 0), ("", 22)):
        variables = {"CKAN_API_TOKEN": token, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(["bash", "-c", curl], cwd=tmp_path, env=variables,
                              capture_output=True, check=False)  # fmt: skip
        assert done.returncode == code, done.stderr
    assert (tmp_path / "train.csv").read_bytes() == DATA
    assert package["private"]


def test_the_shown_python_reads_a_frame(dataset, page, live, people, monkeypatch):
    dataset(private=True)
    (code,) = (each for each in codes(page("/dataset/titanic", people.member).body) if "requests.get" in each)
    monkeypatch.setenv("CKAN_API_TOKEN", people.member.token)
    found: dict = {}
    exec(code.replace("http://portal.test", live), found)  # noqa: S102 what the reader pastes
    assert found["frame"].to_dict("records") == [{"a": 1, "b": 2}]


def test_a_portal_below_a_path_of_its_host_gives_its_own_addresses(dataset, page, monkeypatch):
    dataset()
    monkeypatch.setitem(config, "ckan.root_path", "/data/{{LANG}}")
    body = page("/dataset/titanic").body
    (curl,) = (code for code in codes(body) if code.startswith("curl"))
    assert "http://portal.test/data/dataset/titanic/" in curl
    (link,) = (each for each in re.findall(r'href="([^"]+)" rel="nofollow"', body) if "data%2Ftrain.csv" in each)
    assert link.startswith("/data/dataset/titanic/")


def test_a_hostile_name_is_only_a_name(dataset, page, tmp_path, live):
    dataset(HOSTILE)
    body = page("/dataset/titanic").body
    assert "<b>.csv" not in body
    (curl,) = (code for code in codes(body) if code.startswith("curl"))
    work = tmp_path / "work"
    work.mkdir()
    curl = curl.replace("http://portal.test", live)
    subprocess.run(["bash", "-c", curl], cwd=work, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True)
    assert [each.name for each in work.iterdir()] == [HOSTILE.rsplit("/", 1)[-1]]


def test_the_recipe_of_a_version(dataset, page):
    old = dataset()["versions"][0]
    body = page(f"/dataset/titanic/versions/{old}/recipe").body
    assert f"git checkout --detach {'a' * 40} --" in html.unescape(body)
    found = page(f"/dataset/titanic/versions/{old}/recipe?format=json").json
    assert (found["stage"], found["outputs"][0]["hash"]) == ("dvc.yaml:prepare", Md5(DATA).hexdigest())


def test_files_on_request_are_asked_for_and_given(dataset, sign_in, people, page, api, app):
    package = dataset(data_access="on_request")
    address = f"/dataset/titanic/resource/{package['resources'][0]['id']}/download"
    outsider = people.outsider
    assert page(address, outsider, follow_redirects=False).status_code == 403
    assert page(address, people.member).data == DATA
    assert "/dataset/titanic/access" in page("/dataset/titanic", outsider).body
    sign_in(outsider)
    form = app.get("/dataset/titanic/access").body
    token = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"', form)[1]
    app.post("/dataset/titanic/access", data={"reason": "A survey", "_csrf_token": token}, status=200)
    (request,) = api("mlops_access_list", people.editor, id="titanic")
    assert (request["user"], request["reason"], request["state"]) == ("outsider", "A survey", "open")
    assert "A survey" in page("/dataset/titanic/access", people.editor).body
    api("mlops_access_decide", people.editor, id=request["id"], grant=True)
    assert page(address, outsider).data == DATA
    api("mlops_access_decide", people.editor, id=request["id"], grant=False, answer="The survey is over")
    assert page(address, outsider, follow_redirects=False).status_code == 403
    events = [each["event"] for each in api("mlops_audit_list", people.editor, id="titanic")["results"]]
    assert events == ["access_denied", "download", "access_granted", "access_asked", "download"]


def test_a_private_dataset_is_asked_for_and_shared(dataset, people, api, refused, monkeypatch):
    dataset(private=True)
    request = api("mlops_access_ask", people.outsider, id="titanic", reason="please")
    assert set(request) == {"id", "package_id", "user", "reason", "state", "asked", "decided", "answer"}
    with pytest.raises(refused, match="collaborators"):
        api("mlops_access_decide", people.editor, id=request["id"], grant=True)
    monkeypatch.setitem(config, "ckan.auth.allow_dataset_collaborators", True)
    api("mlops_access_decide", people.editor, id=request["id"], grant=True)
    assert api("package_show", people.outsider, id="titanic")["name"] == "titanic"
    api("mlops_access_decide", people.editor, id=request["id"], grant=False)
    with pytest.raises(refused):
        api("package_show", people.outsider, id="titanic")


def test_what_was_granted_is_taken_back_while_the_dataset_is_public(dataset, people, api, refused, monkeypatch):
    dataset(private=True)
    monkeypatch.setitem(config, "ckan.auth.allow_dataset_collaborators", True)
    request = api("mlops_access_ask", people.outsider, id="titanic")
    api("mlops_access_decide", people.editor, id=request["id"], grant=True)
    api("package_patch", people.editor, id="titanic", private=False)
    api("mlops_access_decide", people.editor, id=request["id"], grant=False)
    api("package_patch", people.editor, id="titanic", private=True)
    with pytest.raises(refused):
        api("package_show", people.outsider, id="titanic")


def test_uploaded_files_are_given_on_request_as_well(make_dataset, people, api, app):
    package = make_dataset(name="survey", data_access="on_request")
    upload = {"upload": FileStorage(io.BytesIO(DATA), "a.csv"), "name": "a.csv"}
    context = {"user": "editor", "ignore_auth": False}
    resource = helpers.call_action("resource_create", context, package_id=package["id"], **upload)
    for address in ("download", "download/a.csv"):
        address = f"/dataset/survey/resource/{resource['id']}/{address}"
        assert app.get(address, headers=people.member.headers).data == DATA
        for person in (people.outsider, people.anonymous):
            assert app.get(address, headers=person.headers, follow_redirects=False).status_code == 403
    request = api("mlops_access_ask", people.outsider, id="survey")
    api("mlops_access_decide", people.editor, id=request["id"], grant=True)
    assert app.get(address, headers=people.outsider.headers).data == DATA


def test_what_the_portal_cannot_give_is_not_offered(dataset, page, monkeypatch):
    dataset()
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "git.example/other/*")
    body = page("/dataset/titanic").body
    assert "This portal is not told how to read the DVC remote &#34;store&#34; of the repository." in body
    assert "data%2Ftrain.csv" not in body  # no address that answers 404
    found = codes(body)
    assert not any("ckan-mlops" in code or "curl" in code or "requests.get" in code for code in found)
    assert any("dvc get" in code for code in found)
