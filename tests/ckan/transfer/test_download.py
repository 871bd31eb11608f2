"""Download through the portal, from a folder, S3 and a web server, at any version."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from ckan import model
from ckan.common import config
from moto.server import ThreadedMotoServer

from ckanext.mlops.client import get
from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.model import versions
from ckanext.mlops.model.transfers import Audit

REPOSITORY = "https://git.example/lab/titanic"
OLD, NEW = b"passenger,survived\n1,0\n", bytes(range(256)) * 4096
FOLDER = {"a.csv": b"a", "sub/b.csv": b"b" * 1000}


def md5(data):
    return Md5(data).hexdigest()


@pytest.fixture
def objects():
    """Key → content of the remote: files of two versions, and a folder."""
    listed = json.dumps([{"md5": md5(data), "relpath": name} for name, data in FOLDER.items()]).encode()
    contents = [OLD, NEW, *FOLDER.values()]
    found = {f"files/md5/{md5(data)[:2]}/{md5(data)[2:]}": data for data in contents}
    folder = md5(listed) + ".dir"
    return {**found, f"files/md5/{folder[:2]}/{folder[2:]}": listed}, folder


@pytest.fixture
def dataset(make_dataset, objects, version_id):
    """A dataset with two versions; ``storage`` of the outputs begins with ``base``."""

    def make(base="", **values):
        package = make_dataset(
            name="titanic",
            dvc_repository=REPOSITORY,
            resources=[
                {"name": "train.csv", "dvc_path": "data/train.csv", "url": ""},
                {"name": "images/", "dvc_path": "data/images", "url": ""},
            ],
            **values,
        )

        def out(path, digest, **more):
            storage = f"{base}files/md5/{digest[:2]}/{digest[2:]}"
            return {"path": path, "hash": digest, "algorithm": "md5", "storage": storage, "remote": "store", **more}

        def row(commit, position, refs, outs):
            return {
                "id": version_id(package, commit), "digest": commit, "commit": commit * 40, "author": "Ada",
                "position": position,
                "refs": [{"name": name, "kind": "tag", "commit": commit * 40} for name in refs],
                "current": position == 2, "facts": {"address": "prepare", "outs": outs},
            }  # fmt: skip

        images = out("data/images", objects[1], is_dir=True)
        rows = [
            row("a", 1, ["baseline"], [out("data/train.csv", md5(OLD)), images]),
            row("b", 2, ["newest"], [out("data/train.csv", md5(NEW)), images]),
        ]
        versions.store(model.Session(), package["id"], rows)
        model.Session.commit()
        return package

    return make


@pytest.fixture
def folder_storage(tmp_path, objects, monkeypatch):
    root = tmp_path / "remote"
    for key, data in objects[0].items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)
    configure(monkeypatch, "folder", url=str(root))
    return root


def configure(monkeypatch, name, **options):
    options = {"repositories": "git.example/lab/*", **options}
    for key, value in options.items():
        monkeypatch.setitem(config, f"ckanext.mlops.storage.{name}.{key}", value)


@pytest.fixture(scope="session")
def moto():
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(moto, objects):
    endpoint = "http://127.0.0.1:{1}".format(*moto.get_host_and_port())
    keys = {"aws_access_key_id": "reader", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=endpoint, **keys)
    client.create_bucket(Bucket="bucket")
    for key, data in objects[0].items():
        client.put_object(Bucket="bucket", Key=f"project/{key}", Body=data)
    return endpoint


@pytest.fixture
def s3_storage(s3, monkeypatch):
    configure(monkeypatch, "s3", url="s3://bucket/project", endpoint=s3, access_key="reader", secret_key="secret")
    return "s3://bucket/project/"


@pytest.fixture
def web_storage(folder_storage, monkeypatch):
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder_storage))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configure(monkeypatch, "web", url=f"http://127.0.0.1:{server.server_port}")
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def address(package, number=0, **query):
    resource = package["resources"][number]["id"]
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return f"/dataset/titanic/resource/{resource}/download" + (f"?{text}" if text else "")


@pytest.fixture(params=["folder_storage", "s3_storage", "web_storage"])
def stored(request, dataset):
    """The dataset, its data in each kind of storage."""
    found = request.getfixturevalue(request.param)
    return dataset("" if request.param == "folder_storage" else found)


def test_each_storage_gives_each_version(stored, page):
    now = page(address(stored))
    assert now.status_code == 200
    assert now.data == NEW
    assert now.headers["ETag"] == f'"{md5(NEW)}"'
    assert now.headers["Content-Length"] == str(len(NEW))
    assert "train.csv" in now.headers["Content-Disposition"]
    assert now.headers["Content-Type"].startswith("text/csv")
    assert now.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("baseline", "a" * 10):
        assert page(address(stored, version=name)).data == OLD
    assert page(address(stored, version="unknown")).status_code == 404


def test_ranges_and_what_the_reader_has(stored, app):
    def ask(**headers):
        return app.get(address(stored), headers={key.replace("_", "-"): value for key, value in headers.items()})

    tag = f'"{md5(NEW)}"'
    part = ask(Range="bytes=1000-1999")
    assert (part.status_code, part.data) == (206, NEW[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(NEW)}"
    assert ask(Range="bytes=-5").data == NEW[-5:]
    assert ask(Range="bytes=1048570-", If_Range=tag).data == NEW[1048570:]
    assert ask(Range="bytes=1-", If_Range='"another"').data == NEW
    assert ask(Range=f"bytes={len(NEW)}-").status_code == 416
    assert ask(If_None_Match=tag).status_code == 304


def test_a_folder_is_an_archive_a_list_and_its_files(stored, page):
    archive = zipfile.ZipFile(io.BytesIO(page(address(stored, 1)).data))
    assert {name: archive.read(name) for name in archive.namelist()} == FOLDER
    listed = page(address(stored, 1, manifest=1)).json["files"]
    assert [each["path"] for each in listed] == sorted(FOLDER)
    assert page(listed[1]["address"]).data == FOLDER["sub/b.csv"]
    assert page(address(stored, 1, file="../../a")).status_code == 404


def test_the_client_gets_a_version_and_continues_what_broke(stored, portal, tmp_path):
    target = tmp_path / "got"
    items = list(get(portal, "titanic", target, version="newest"))
    assert {each.status for each in items} == {"downloaded"}
    assert all(each.checked for each in items)
    assert (target / "data/train.csv").read_bytes() == NEW
    assert (target / "data/images/sub/b.csv").read_bytes() == FOLDER["sub/b.csv"]
    assert {each.status for each in get(portal, "titanic", target, version="newest")} == {"unchanged"}
    (target / "data/train.csv").unlink()
    (target / f"data/.train.csv.{md5(NEW)[:16]}.part").write_bytes(NEW[:5000])
    moved = []
    again = list(get(portal, "titanic", target, version="newest", only="data/train.csv", progress=moved.append))
    assert (again[0].status, sum(moved), moved[0]) == ("downloaded", len(NEW), 5000)
    assert (target / "data/train.csv").read_bytes() == NEW


def test_damaged_content_is_not_kept(folder_storage, dataset, portal, tmp_path):
    dataset()
    (folder_storage / f"files/md5/{md5(NEW)[:2]}/{md5(NEW)[2:]}").write_bytes(b"damaged")
    (item,) = get(portal, "titanic", tmp_path, only="data/train.csv")
    assert item.status == "failed"
    assert "another hash" in item.error
    assert not list((tmp_path / "data").iterdir())


def test_what_nobody_pushed_says_who_can(dataset, page, folder_storage):
    stored = dataset()
    (folder_storage / f"files/md5/{md5(OLD)[:2]}/{md5(OLD)[2:]}").unlink()
    answer = page(address(stored, version="baseline"))
    assert answer.status_code == 404
    assert "Ada or The Lab can push it: git checkout aaaaaaaaaaaa && dvc push -r store" in answer.body


def test_what_is_too_large_is_refused_with_the_limit(folder_storage, dataset, app, monkeypatch):
    package = dataset()
    monkeypatch.setitem(config, "ckanext.mlops.download.max_bytes", len(NEW) - 1)
    assert f"larger than this portal gives ({len(NEW) - 1} bytes)" in app.get(address(package), status=403).body
    monkeypatch.setitem(config, "ckanext.mlops.download.max_files", 1)
    assert "use 'ckan-mlops get'" in app.get(address(package, 1), status=403).body
    assert app.get(address(package, 1, file="a.csv")).data == FOLDER["a.csv"]


def test_signed_addresses(s3_storage, dataset, app, monkeypatch):
    import requests

    monkeypatch.setitem(config, "ckanext.mlops.storage.s3.signed", "true")
    answer = app.get(address(dataset(s3_storage)), follow_redirects=False)
    assert answer.status_code == 302
    assert "secret" not in answer.headers["Location"].replace("X-Amz-Security", "")
    assert requests.get(answer.headers["Location"], timeout=10).content == NEW


def test_a_storage_is_for_the_repositories_that_it_names(folder_storage, s3_storage, dataset, page, monkeypatch):
    for name in ("folder", "s3"):
        monkeypatch.setitem(config, f"ckanext.mlops.storage.{name}.repositories", "git.example/other/*")
    answer = page(address(dataset(s3_storage)))
    assert answer.status_code == 404
    assert "not told how to read" in answer.body


@pytest.mark.parametrize(
    "storage", ["../secret.txt", "files/md5/../../../secret.txt", "/etc/passwd", "s3://bucket/projectile/x"]
)
def test_no_repository_reaches_beyond_its_storage(folder_storage, s3_storage, make_dataset, version_id, page, storage):
    (folder_storage.parent / "secret.txt").write_text("secret")
    package = make_dataset(
        name="titanic", dvc_repository=REPOSITORY, resources=[{"name": "x", "dvc_path": "x", "url": ""}]
    )
    out = {"path": "x", "hash": "a" * 32, "storage": storage, "remote": "store"}
    row = {"id": version_id(package, "d"), "digest": "d", "commit": "c" * 40, "current": True, "facts": {"outs": [out]}}
    versions.store(model.Session(), package["id"], [row])
    model.Session.commit()
    answer = page(address(package))
    assert answer.status_code == 404
    assert "secret" not in answer.body


def test_private_data_is_for_its_organization(folder_storage, dataset, people, app):
    package = dataset(private=True)
    answers = {
        role: app.get(address(package), headers=person.headers, follow_redirects=False).status_code
        for role, person in people.all().items()
    }
    assert {role for role, status in answers.items() if status == 200} == {"member", "editor", "admin", "sysadmin"}


def test_what_is_uploaded_to_ckan_is_given_by_ckan(portal, people, tmp_path, page):
    from ckanext.mlops.client import DatasetRecord, FileRecord, upload

    (tmp_path / "x.csv").write_bytes(b"x\n1\n")
    list(upload(portal, [DatasetRecord("uploaded", owner_org="lab", files=(FileRecord("x.csv", tmp_path / "x.csv"),))]))
    (item,) = get(portal, "uploaded", tmp_path / "got")
    assert (item.status, item.checked, item.path.read_bytes()) == ("downloaded", True, b"x\n1\n")


def test_downloads_are_written_down(folder_storage, dataset, people, page, api, refused):
    package = dataset()
    page(address(package), people.member)
    page(address(package))
    found = api("mlops_audit_list", people.editor, id="titanic")
    assert sorted(str(each["user"]) for each in found["results"]) == ["None", "member"]
    assert {each["details"]["path"] for each in found["results"]} == {"data/train.csv"}
    assert model.Session.query(Audit).count() == 2
    with pytest.raises(refused):
        api("mlops_audit_list", people.member, id="titanic")


def test_what_git_lfs_keeps_is_named_with_the_command_that_gives_it(make_dataset, version_id, app):
    package = make_dataset(name="titanic", dvc_repository=REPOSITORY)
    out = {"path": "data/a b.bin", "hash": "c" * 64, "algorithm": "sha256", "size": 100}
    facts = {"address": "data", "kind": "lfs", "outs": [out]}
    row = {"id": version_id(package, "a"), "digest": "a", "commit": "a" * 40, "current": True, "position": 1,
           "facts": facts}  # fmt: skip
    versions.store(model.Session(), package["id"], [row])
    model.Session.commit()
    answer = app.get(f"/dataset/titanic/versions/{row['id']}/download?path=data/a+b.bin", status=404)
    assert f"git checkout {'a' * 12} && git lfs pull --include 'data/a b.bin'" in answer.body
    assert "dvc push" not in answer.body
