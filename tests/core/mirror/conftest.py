"""Repositories made with real Git, and web servers on loopback that serve them."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ckanext.mlops.core.mirror import Policy

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Repository:
    """A work tree under ``root`` and what a test does with it."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *arguments: str, text: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=ENVIRONMENT, input=text, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(self, name: str = "dvc.yaml", content: bytes | str = "stages: {}\n") -> str:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", f"Write {name}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that local repositories are allowed in."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def make(root: Path) -> Callable[..., Repository]:
    def make(name: str = "repo", *options: str) -> Repository:
        return Repository(root / name, *options)

    return make


@pytest.fixture
def repository(make: Callable[..., Repository]) -> Repository:
    made = make()
    made.commit()
    return made


@pytest.fixture
def policy(root: Path) -> Policy:
    """Local repositories below ``root``, and web servers of this machine."""
    return Policy(schemes=("https", "http"), roots=(root,), allow_private_addresses=True, timeout=60)


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    return tmp_path / "mirrors"


@pytest.fixture
def read() -> Callable[..., str]:
    """``read(git_dir, *arguments)``: output of a reading Git command, with the environment that readers use."""
    from ckanext.mlops.core.mirror import git_environment

    def read(git_dir: Path, *arguments: str, text: bytes = b"") -> str:
        done = subprocess.run(
            ["git", "--git-dir", str(git_dir), *arguments],
            env=git_environment(),
            input=text,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    return read


class Web:
    """A server on loopback; ``answer`` decides on each request, by default Git's own smart HTTP."""

    def __init__(self, root: Path) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[http.server.BaseHTTPRequestHandler], bool] = lambda _: False
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.requests.append((self.path, dict(self.headers)))
                if not web.answer(self):
                    _backend(self, root)

            do_POST = do_GET  # noqa: N815 - the standard library names it

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


def _backend(handler: http.server.BaseHTTPRequestHandler, root: Path) -> None:
    path, _, query = handler.path.partition("?")
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    environment = ENVIRONMENT | {
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": handler.command,
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
        "GIT_CONFIG_VALUE_0": "true",
    }
    done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=False)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    handler.send_response(int(headers.pop("Status", "200").split()[0]))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def web(root: Path) -> Iterator[Web]:
    """Git's ``http-backend`` behind the standard library's server: a real smart HTTP server."""
    web = Web(root)
    yield web
    web.server.shutdown()
    web.server.server_close()
