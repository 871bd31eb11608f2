"""A repository that is in trouble: said in words, nothing lost, nothing retired by a reading that is not whole."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ckan.common import config as ckan_settings
from ckan.tests import helpers


@pytest.fixture
def harvested(repo: Any, source: Any, harvest: Any) -> Any:
    source(repo.path)
    assert harvest().counts()["added"] == 3
    return repo


def problem(report: Any) -> str:
    """What the job page says when nothing could be read."""
    assert not report.read
    job = helpers.call_action("harvest_job_show", {"user": "root"}, id=report.job)
    assert job["status"] == "Finished"
    [error] = job["gather_error_summary"]
    return str(error["message"])


def test_corrupted_objects_of_the_repository(harvested: Any, harvest: Any, catalog: Any) -> None:
    before = catalog(exact=True)
    harvested.commit("Something new")
    objects = harvested.path / ".git" / "objects"
    for file in objects.glob("??/*"):
        file.chmod(0o600)
        file.write_bytes(b"garbage")
    assert "titanic" in problem(harvest())
    assert catalog(exact=True) == before


def test_a_damaged_mirror_of_ours_is_made_anew(harvested: Any, harvest: Any, catalog: Any) -> None:
    before = catalog()
    mirrors = Path(ckan_settings["ckanext.mlops.repository.mirrors"])
    for pack in mirrors.glob("*.git/objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:50])
    harvested.commit("Nothing of DVC")
    for _ in range(2):  # a reading of what is damaged is incomplete at worst, and the next one is whole
        assert harvest().counts()["retired"] == 0
    after = catalog()
    assert [each["id"] for each in after["packages"]] == [each["id"] for each in before["packages"]]


def test_no_branch_and_no_tag_any_more(harvested: Any, harvest: Any, catalog: Any) -> None:
    """An empty repository is more often a mistake than a wish: nothing is retired because of it."""
    before = catalog()
    shutil.rmtree(harvested.path / ".git")
    harvested.git("init", "--quiet", "--initial-branch=main")
    report = harvest()
    assert report.counts()["retired"] == 0
    assert catalog()["packages"] == before["packages"]
    assert any("no branch" in text for text in report.problems)


def test_force_pushed_and_rewritten_history(harvested: Any, harvest: Any, show: Any, catalog: Any) -> None:
    versions = helpers.call_action("mlops_version_list", id="titanic-train")["count"]
    harvested.git("tag", "--delete", "v1")
    tree = harvested.git("rev-parse", "HEAD^{tree}")
    new = harvested.git("commit-tree", tree, "-m", "Everything squashed")
    harvested.git("reset", "--quiet", "--hard", new)
    report = harvest()
    assert report.counts()["failed"] == report.counts()["retired"] == 0
    assert not show("titanic-train").get("dvc_retired")
    assert helpers.call_action("mlops_version_list", id="titanic-train")["count"] == versions
    assert len(catalog()["packages"]) == 3
    assert harvest().counts()["unchanged"] == 3


def test_the_default_branch_is_renamed(harvested: Any, harvest: Any, show: Any, catalog: Any) -> None:
    before = catalog()
    harvested.git("branch", "--move", "main", "trunk")
    report = harvest()
    assert report.counts()["failed"] == report.counts()["retired"] == report.counts()["added"] == 0
    assert show("titanic-train")["dvc_revision"] == "trunk"
    assert [each["id"] for each in catalog()["packages"]] == [each["id"] for each in before["packages"]]


class Server(http.server.ThreadingHTTPServer):
    """Git's own smart HTTP on loopback; asks for a password, and knows none when ``revoked``."""

    daemon_threads = True
    root: Path
    revoked = False


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.revoked or not self.headers.get("Authorization"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
        }
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 the standard library names it

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.root = root
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_access_is_revoked_and_given_back(
    repo: Any, server: Server, source: Any, harvest: Any, catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "ckanext.mlops.repository.schemes": ["http"],
        "ckanext.mlops.repository.allow_private_addresses": True,
        "ckanext.mlops.credential.lab.token": "tok3n-hunter2",
        "ckanext.mlops.credential.lab.hosts": "localhost",
    }
    for key, value in settings.items():
        monkeypatch.setitem(ckan_settings, key, value)
    source(f"http://localhost:{server.server_address[1]}/titanic/.git", credential="lab")
    assert harvest().counts()["added"] == 3
    before = catalog(exact=True)
    server.revoked = True
    message = problem(harvest())
    assert "access was denied" in message
    assert "hunter2" not in message
    assert catalog(exact=True) == before
    server.revoked = False
    assert harvest().counts()["unchanged"] == 3


def test_garbage_for_one_stage_of_fifty(repo: Any, source: Any, harvest: Any, catalog: Any) -> None:
    for number in range(50):
        lock = f"outs:\n- md5: {number:032x}\n  size: 1\n  path: d{number:02}.csv\n"
        repo.write(f"many/d{number:02}.csv.dvc", lock)
    repo.commit("Fifty files")
    source(repo.path)
    assert harvest().counts()["added"] == 53
    repo.write("many/d07.csv.dvc", "outs:\n- md5: [[[[\x01\n")
    repo.edit("many/d08.csv.dvc", f"{8:032x}", "f" * 32)
    repo.commit("One is garbage, one is new")
    counts = harvest().counts()
    assert (counts["changed"], counts["retired"], counts["failed"]) == (1, 0, 0)
    assert counts["problems"] == 1
    assert len(catalog()["packages"]) == 53
