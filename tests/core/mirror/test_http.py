"""Mirrors over HTTP: a real smart server, and servers that misbehave.

The misbehaving ones are stand-ins, since no real server redirects, hangs or lies on demand.
"""

import base64
import contextlib
import os
import socket
import subprocess
import threading
import time
import traceback
from pathlib import Path

import pytest

from ckanext.mlops.core.address import Source
from ckanext.mlops.core.errors import AddressRefused, FetchFailed, LimitExceeded
from ckanext.mlops.core.gitcommand import GitError
from ckanext.mlops.core.mirror import Credential, Policy, update_mirror
from ckanext.mlops.core.transport import redirected

pytestmark = pytest.mark.slow

SECRET = "tok3n-hunter2"


def respond(handler, status, headers=(), body=b""):
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    return True


def test_a_repository_is_cloned_and_updated_over_smart_http(repository, web, mirrors, policy, read):
    repository.commit("model.bin", os.urandom(2_000_000))
    url = f"{web.url}/repo/.git"
    first = update_mirror(url, mirrors, policy=policy)
    assert (first.url, first.default_branch, first.changed) == (url, "main", True)
    assert sum(file.stat().st_size for file in first.git_dir.rglob("*.pack")) < 100_000
    asked = len(web.requests)
    assert not update_mirror(url, mirrors, policy=policy).changed
    assert len(web.requests) - asked <= 2, "an unmoved repository costs its list of refs"
    commit = repository.commit("params.yaml", "lr: 1\n")
    second = update_mirror(url, mirrors, policy=policy)
    assert read(second.git_dir, "rev-parse", "main") == commit


def test_a_dumb_server_is_read_too(repository, root, web, mirrors, policy, read):
    repository.git("clone", "--quiet", "--bare", ".", str(root / "bare.git"))
    subprocess.run(["git", "-C", root / "bare.git", "repack", "-adq"], check=True)
    subprocess.run(["git", "-C", root / "bare.git", "update-server-info"], check=True)

    def static(handler):
        file = root / handler.path.partition("?")[0].lstrip("/")
        return respond(handler, 200, (), file.read_bytes()) if file.is_file() else respond(handler, 404)

    web.answer = static
    mirror = update_mirror(f"{web.url}/bare.git", mirrors, policy=policy)
    assert read(mirror.git_dir, "show", "main:dvc.yaml") == "stages: {}"


def test_alternates_of_a_dumb_server_lead_nowhere(repository, root, web, mirrors, policy):
    """``http-alternates`` names any address; Git follows it only where it follows redirects."""
    repository.git("clone", "--quiet", "--bare", ".", str(root / "bare.git"))
    subprocess.run(["git", "-C", root / "bare.git", "update-server-info"], check=True)
    caught = []

    def static(handler):
        path = handler.path.partition("?")[0]
        if path.startswith("/internal"):
            caught.append(path)
        if path.endswith("objects/info/http-alternates"):
            return respond(handler, 200, (), f"{web.url}/internal/objects\n".encode())
        file = root / path.lstrip("/")
        if "/objects/" in path or not file.is_file():
            return respond(handler, 404)
        return respond(handler, 200, (), file.read_bytes())

    web.answer = static
    with pytest.raises(FetchFailed):
        update_mirror(f"{web.url}/bare.git", mirrors, policy=policy)
    assert not caught


def test_an_allowed_redirect_is_followed_without_the_credential_of_another_host(repository, web, mirrors, policy, read):
    """Forges redirect when a project was renamed."""

    def moved(handler):
        if handler.path.startswith("/old"):
            target = f"http://127.0.0.1:{web.port}/repo/.git" + handler.path.removeprefix("/old.git")
            return respond(handler, 301, [("Location", target)])
        return False

    web.answer = moved
    mirror = update_mirror(f"{web.url}/old.git", mirrors, policy=policy, credential=Credential(token=SECRET))
    assert read(mirror.git_dir, "show", "main:dvc.yaml") == "stages: {}"
    assert mirror.url == f"{web.url}/old.git"
    sent = {path.split("/")[1] for path, headers in web.requests if "Authorization" in headers}
    assert sent == {"old.git"}


@pytest.mark.parametrize(
    "target",
    ["http://169.254.169.254/x", "http://10.0.0.1/r.git", "https://[::1]/r", "file:///etc", "ssh://x/y", "//0x7f.1/r"],
)
def test_a_redirect_to_where_one_may_not_go_is_refused(target, web):
    """The source stands for a public server that passed the check; only then it sends us somewhere else."""
    web.answer = lambda handler: respond(handler, 302, [("Location", target + "/info/refs?service=git-upload-pack")])
    url = f"http://public.example.org:{web.port}/r.git"
    source = Source("http", url, url, "public.example.org", web.port, ("127.0.0.1",))
    with pytest.raises(AddressRefused):
        redirected(
            GitError(128, "The requested URL returned error: 302"),
            source,
            Policy(),
            socket.getaddrinfo,
            time.monotonic() + 60,
        )
    assert [path for path, _ in web.requests] == ["/r.git/info/refs?service=git-upload-pack"]


def test_a_server_that_drips_where_it_redirects_to_takes_no_longer_than_the_limit(web, policy):
    """Each piece comes in time; there is no end of them."""

    def drip(handler):
        handler.wfile.write(b"HTTP/1.0 302 Found\r\nLocation: /")
        with contextlib.suppress(OSError):
            for _ in range(600):
                handler.wfile.write(b"x")
                time.sleep(0.1)
        return True

    web.answer = drip
    url = f"{web.url}/r.git"
    source = Source("http", url, url, "127.0.0.1", web.port, ("127.0.0.1",))
    began = time.monotonic()
    assert (
        redirected(
            GitError(128, "The requested URL returned error: 302"), source, policy, socket.getaddrinfo, began + 0.5
        )
        is None
    )
    assert time.monotonic() - began < 30, "it drips for a minute"


def test_a_redirect_to_a_host_that_is_not_listed_is_refused(repository, web, mirrors, root):
    target = f"http://127.0.0.1:{web.port}/repo/.git/info/refs?service=git-upload-pack"
    web.answer = lambda handler: respond(handler, 302, [("Location", target)])
    policy = Policy(schemes=("http",), hosts=("localhost",), allow_private_addresses=True)
    with pytest.raises(AddressRefused, match="list of allowed hosts"):
        update_mirror(f"{web.url}/r.git", mirrors, policy=policy)
    assert all(path.startswith("/r.git") for path, _ in web.requests)


def test_a_redirect_loop_ends(web, mirrors, policy):
    web.answer = lambda handler: respond(handler, 301, [("Location", handler.path.replace(".git", "x.git"))])
    with pytest.raises(FetchFailed, match="redirect"):
        update_mirror(f"{web.url}/r.git", mirrors, policy=policy)
    assert len(web.requests) < 12


def test_the_checked_address_is_the_one_connected_to(repository, web, mirrors, policy, read):
    """The name exists only in this resolver: Git can only have used the pinned address."""

    def resolve(host, port, family=0, kind=0):
        assert host == "pinned.invalid"
        return [(socket.AF_INET, kind, 6, "", ("127.0.0.1", port))]

    mirror = update_mirror(f"http://pinned.invalid:{web.port}/repo/.git", mirrors, policy=policy, resolve=resolve)
    assert read(mirror.git_dir, "show", "main:dvc.yaml") == "stages: {}"


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (Credential(username="ada", password=SECRET), f"ada:{SECRET}"),
        (Credential(token=SECRET), f"x-access-token:{SECRET}"),
        (Credential(username="oauth2", token=SECRET), f"oauth2:{SECRET}"),
    ],
)
def test_a_private_repository_opens_with_its_credential(credential, expected, repository, web, mirrors, policy, read):
    wanted = "Basic " + base64.b64encode(expected.encode()).decode()

    def guarded(handler):
        if handler.headers.get("Authorization") == wanted:
            return False
        return respond(handler, 401, [("WWW-Authenticate", 'Basic realm="x"')])

    web.answer = guarded
    mirror = update_mirror(f"{web.url}/repo/.git", mirrors, policy=policy, credential=credential)
    assert read(mirror.git_dir, "show", "main:dvc.yaml") == "stages: {}"
    for secret in (*credential.secrets(), expected):
        for file in mirrors.rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes()
    with pytest.raises(FetchFailed, match="name a credential"):
        update_mirror(f"{web.url}/repo/.git", mirrors, policy=policy)


def test_a_credential_appears_in_no_error_and_no_argument(repository, web, mirrors, policy):
    credential = Credential(username="ada", password=SECRET)
    seen = []

    def echo(handler):
        # What a server says reaches Git's message.
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    seen.append((process / "cmdline").read_bytes())
        text = f"denied {handler.headers.get('Authorization')} {SECRET} http://ada:{SECRET}@x/".encode()
        return respond(handler, 403, [("Content-Type", "text/plain")], text)

    web.answer = echo
    with pytest.raises(FetchFailed) as caught:
        update_mirror(f"{web.url}/repo/.git", mirrors, policy=policy, credential=credential)
    report = "".join(traceback.format_exception(caught.value))
    header = credential.http_header().removeprefix("Basic ")
    assert SECRET not in report
    assert header not in report
    assert any(b"ls-remote" in item for item in seen)
    assert not any(SECRET.encode() in item or header.encode() in item for item in seen)


@pytest.mark.parametrize(
    ("status", "word"), [(404, "no repository"), (403, "denied"), (500, "try again"), (503, "try again")]
)
def test_a_refusal_says_what_to_do(status, word, web, mirrors, policy):
    web.answer = lambda handler: respond(handler, status)
    with pytest.raises(FetchFailed, match=word):
        update_mirror(f"{web.url}/repo/.git", mirrors, policy=policy)


@pytest.mark.parametrize("body", [b"<html>\n\x1b[31mLogin\n</html>", b"<html>Login</html>", b""])
def test_a_page_instead_of_a_repository_is_no_empty_repository(body, web, mirrors, policy):
    web.answer = lambda handler: respond(handler, 200, [("Content-Type", "text/html")], body)
    with pytest.raises(FetchFailed) as caught:
        update_mirror(f"{web.url}/repo/.git", mirrors, policy=policy)
    assert "\x1b" not in str(caught.value)


def test_nobody_at_the_address(mirrors, policy):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchFailed, match="try again later"):
        update_mirror(f"http://localhost:{port}/r.git", mirrors, policy=policy)


def test_a_server_that_never_answers_is_left_in_time(root, web, mirrors):
    release = threading.Event()
    web.answer = lambda _: release.wait(30) or True
    start = time.monotonic()
    policy = Policy(schemes=("http",), allow_private_addresses=True, timeout=1)
    with pytest.raises(FetchFailed, match="time"):
        update_mirror(f"{web.url}/r.git", mirrors, policy=policy)
    release.set()
    assert time.monotonic() - start < 20


def test_an_endless_list_of_refs_is_cut_off(web, mirrors):
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        handler.end_headers()

        def packet(text):
            handler.wfile.write(f"{len(text) + 4:04x}".encode() + text)

        packet(b"# service=git-upload-pack\n")
        handler.wfile.write(b"0000")
        packet(b"1" * 40 + b" HEAD\0symref=HEAD:refs/heads/main\n")
        try:
            for number in range(2_000_000):
                packet(b"1" * 40 + b" refs/heads/" + b"x" * 200 + b"%d\n" % number)
            handler.wfile.write(b"0000")
        except OSError:
            pass
        return True

    web.answer = endless
    policy = Policy(schemes=("http",), allow_private_addresses=True, timeout=30, max_refs=1000)
    start = time.monotonic()
    with pytest.raises((LimitExceeded, FetchFailed)):
        update_mirror(f"{web.url}/r.git", mirrors, policy=policy)
    assert time.monotonic() - start < 30
