"""What git-lfs keeps, given by the portal like a file of DVC: from an LFS server and from a folder of objects.

The server is a stand-in of the batch API (git-lfs/docs/api/batch.md): a real one is a program outside of the package
registries that the tests use.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ckan import model
from ckan.common import config

from ckanext.mlops.client import Portal, get
from ckanext.mlops.transfers import looking

FIRST, SECOND = b"a,b\n1,2\n", b"a,b\n3,4\n" * 5000
URL = "https://git.example/lab/measured.git"


def oid(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pointer(data: bytes) -> str:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid(data)}\nsize {len(data)}\n"


class Lfs(ThreadingHTTPServer):
    """An LFS server that wants ada's password to say where objects are, and a ticket to give them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.error: dict[str, Any] | None = None
        self.href = ""
        self.header: dict[str, str] = {"X-Ticket": "ticket"}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Lfs

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        authorization = self.headers.get("Authorization", "")
        self.server.asked.append(("POST", self.path, authorization))
        if authorization != "Basic " + base64.b64encode(b"ada:secret").decode():
            return self.answer(401, b"{}")
        (wanted,) = body["objects"]
        data = self.server.objects.get(wanted["oid"])
        entry: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
        if self.server.error or data is None or len(data) != wanted["size"]:
            entry["error"] = self.server.error or {"code": 404, "message": "Object does not exist"}
        else:
            href = self.server.href or f"{self.server.url}/bytes/{wanted['oid']}"
            entry["actions"] = {"download": {"href": href, "header": self.server.header}}
        return self.answer(200, json.dumps({"transfer": "basic", "objects": [entry]}).encode())

    def do_GET(self) -> None:
        self.server.asked.append(("GET", self.path, self.headers.get("Authorization", "")))
        if self.server.header and self.headers.get("X-Ticket") != "ticket":
            return self.answer(403, b"")
        data = self.server.objects[self.path.rsplit("/", 1)[-1]]
        span = self.headers.get("Range", "").removeprefix("bytes=")
        if not span:
            return self.answer(200, data)
        start, _, end = span.partition("-")
        return self.answer(206, data[int(start) : int(end) + 1 if end else None])

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Lfs]:
    found = Lfs()
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def configure(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for key, value in {"layout": "lfs", "repositories": "*/measured", **options}.items():
        monkeypatch.setitem(config, f"ckanext.mlops.storage.large.{key}", value)


@dataclass
class Measured:
    """The harvested dataset, its two versions tagged, and how their content is put into the store at hand."""

    path: str
    put: Callable[[bytes], None]
    take_away: Callable[[bytes], None]
    asked: list[tuple[str, str, str]] = field(default_factory=list)


@pytest.fixture(params=["server", "folder", "bare repository"])
def measured(
    request: pytest.FixtureRequest,
    make_repo: Any,
    source: Any,
    harvest: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    server: Lfs,
) -> Measured:
    repo = make_repo("measured")
    repo.path.mkdir()
    repo.git("init", "--quiet", "--initial-branch=main")
    repo.write(".gitattributes", "*.csv filter=lfs diff=lfs merge=lfs -text\n")
    repo.write("data/winds of may.csv", pointer(FIRST))
    repo.commit("First")
    repo.git("tag", "v1")
    repo.write("data/winds of may.csv", pointer(SECOND))
    repo.commit("Second")
    source(repo.path, "measured")
    assert harvest("measured").counts()["added"] == 1
    if request.param == "server":
        configure(monkeypatch, url=f"{server.url}/lab/measured.git/info/lfs", username="ada", password="secret")
        found = Measured(
            "data/winds of may.csv",
            lambda data: server.objects.update({oid(data): data}),
            lambda data: server.objects.pop(oid(data)),
            server.asked,
        )
    else:
        bare = request.param == "bare repository"
        folder = repo.path / "lfs/objects" if bare else tmp_path / "lfs-objects"
        configure(monkeypatch, url="{repository}/lfs/objects" if bare else str(folder))

        def place(data: bytes) -> Path:
            digest = oid(data)
            return folder / digest[:2] / digest[2:4] / (digest if bare else digest[4:])

        def put(data: bytes) -> None:
            place(data).parent.mkdir(parents=True, exist_ok=True)
            place(data).write_bytes(data)

        folder.mkdir(parents=True)
        found = Measured("data/winds of may.csv", put, lambda data: place(data).unlink())
    found.put(FIRST)
    found.put(SECOND)
    return found


def dataset() -> Any:
    model.Session.remove()
    return model.Session.query(model.Package).filter_by(type="dataset", state="active").one()


def address(version: str = "") -> str:
    resource = next(each for each in dataset().resources if each.state == "active")
    return f"/dataset/{dataset().name}/resource/{resource.id}/download" + (f"?version={version}" if version else "")


def test_each_version_is_given_with_ranges_and_its_hash(measured: Measured, app: Any) -> None:
    now = app.get(address())
    assert (now.status_code, now.data) == (200, SECOND)
    assert now.headers["ETag"] == f'"{oid(SECOND)}"'
    assert "winds of may.csv" in now.headers["Content-Disposition"]
    assert app.get(address("v1")).data == FIRST
    part = app.get(address(), headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.data) == (206, SECOND[100:200])


def test_the_client_checks_it(measured: Measured, portal: Portal, tmp_path: Path) -> None:
    (item,) = get(portal, dataset().name, tmp_path / "got")
    assert (item.status, item.checked, item.error) == ("downloaded", True, "")
    assert (tmp_path / "got" / measured.path).read_bytes() == SECOND
    measured.put(SECOND)
    assert [each.status for each in get(portal, dataset().name, tmp_path / "got")] == ["unchanged"]


def test_it_is_looked_at_and_profiled_like_other_data(measured: Measured, api: Any) -> None:
    measured.take_away(FIRST)
    done = looking.look(dataset().id)
    assert (done.pushed, done.missing, done.profiled) == (1, 1, 1)
    found = api("mlops_profile_show", id=dataset().id, path=measured.path)
    assert [each["name"] for each in found["profile"]["columns"]] == ["a", "b"]


def test_what_nobody_pushed_names_the_command(measured: Measured, app: Any) -> None:
    measured.take_away(FIRST)
    answer = app.get(address("v1"), status=404)
    assert f"git lfs push --object-id origin {oid(FIRST)}" in answer.body
    assert "can push it" in answer.body


@pytest.mark.parametrize("measured", ["folder"], indirect=True)
def test_a_damaged_object_is_not_given(measured: Measured, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(config["ckanext.mlops.storage.large.url"])
    digest = oid(SECOND)
    (folder / digest[:2] / digest[2:4] / digest[4:]).write_bytes(b"half")
    assert "4 bytes of it in place of 40,000" in " ".join(app.get(address(), status=502).body.split())


@pytest.mark.parametrize("measured", ["server"], indirect=True)
def test_the_password_goes_to_the_named_server_only(measured: Measured, server: Lfs, app: Any) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as elsewhere:
        elsewhere.objects, elsewhere.asked, elsewhere.header = server.objects, [], {}  # type: ignore[attr-defined]
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        server.href = f"http://127.0.0.1:{elsewhere.server_port}/{oid(SECOND)}"
        server.header = {}
        assert app.get(address()).data == SECOND
        assert [each[2] for each in elsewhere.asked] == [""]  # type: ignore[attr-defined]
        elsewhere.shutdown()
    assert {each[2] for each in server.asked} == {"Basic " + base64.b64encode(b"ada:secret").decode()}


@pytest.mark.parametrize("measured", ["server"], indirect=True)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": {"code": 500}}, "did not give it"),
        ({"href": "file:///etc/passwd"}, "names an address that is not used"),
    ],
)
def test_a_server_that_errs_is_told(
    measured: Measured, server: Lfs, app: Any, change: dict[str, Any], said: str
) -> None:
    for name, value in change.items():
        setattr(server, name, value)
    body = app.get(address(), status=502).body
    assert said in body
    assert "git lfs pull" in body


@pytest.mark.parametrize("measured", ["server"], indirect=True)
def test_a_wrong_password_and_another_repository(measured: Measured, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config, "ckanext.mlops.storage.large.password", "wrong")
    body = app.get(address(), status=502).body
    assert "HTTP 401" in body
    assert "secret" not in body
    monkeypatch.setitem(config, "ckanext.mlops.storage.large.repositories", "git.example/other/*")
    assert "git lfs pull --include 'data/winds of may.csv'" in app.get(address(), status=404).body
