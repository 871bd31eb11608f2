"""Repositories for the tests of the core: bundles of real ones, and small ones built in place with real Git. And a
server that misbehaves."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core import Limits, Reading, Selection, read_repository
from ckanext.mlops.core.gitcommand import git_environment
from ckanext.mlops.core.records import Snapshot


def bundle_folder() -> Path:
    """Where the bundles are: ``MLOPS_BUNDLES``, or beside the checkout."""
    return Path(os.environ.get("MLOPS_BUNDLES", Path(__file__).parents[3] / "shared/repositories"))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A bare clone of the named bundle, made once."""
    clones: dict[str, Path] = {}

    def clone(name: str) -> Path:
        if name not in clones:
            source = bundle_folder() / f"{name}.bundle"
            if not source.exists() and not os.environ.get("CI"):
                pytest.skip(f"{source} is not there; set MLOPS_BUNDLES to the folder of the bundles")
            target = tmp_path_factory.mktemp("bundle") / f"{name}.git"
            subprocess.run(["git", "clone", "--quiet", "--mirror", str(source), str(target)], check=True)
            clones[name] = target
        return clones[name]

    return clone


class Repo:
    """A repository made of commits that are given as files; no work tree, so nothing touches the disk but objects."""

    url = "https://example.org/team/project.git"

    def __init__(self, folder: Path, object_format: str = "sha1") -> None:
        self.folder = folder
        self.environment = {
            **git_environment(),
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
        }
        self.count = 0
        self.files: dict[str, tuple[str, bytes]] = {}
        subprocess.run(
            ["git", "init", "-q", "--bare", f"--object-format={object_format}", "-b", "main", str(folder)],
            check=True,
            env=self.environment,
        )

    def git(self, *arguments: str, data: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", f"--git-dir={self.folder}", *arguments],
            input=data,
            env=self.environment,
            check=True,
            capture_output=True,
        )
        return done.stdout.decode().strip()

    def commit(
        self, files: dict[str, str | bytes | None], *, branch: str = "main", tag: str = "", mode: str = "100644"
    ) -> str:
        """Add ``files`` (None removes one) to those of the last commit."""
        for path, content in files.items():
            if content is None:
                self.files.pop(path, None)
            else:
                self.files[path] = (mode, content.encode() if isinstance(content, str) else content)
        self.count += 1
        stream = bytearray(b"feature done\n")
        stream += (
            f"commit refs/heads/{branch}\ncommitter Ada <ada@example.org> {1_600_000_000 + self.count} +0000\n".encode()
        )
        stream += b"data 1\nx\n"
        if self.count > 1 and self.git("for-each-ref", f"refs/heads/{branch}"):
            stream += f"from refs/heads/{branch}^0\n".encode()
        stream += b"deleteall\n"
        for path, (kind, data) in self.files.items():
            quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
            stream += f"M {kind} inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n"
        stream += b"\ndone\n"
        self.git("fast-import", "--quiet", "--force", data=bytes(stream))
        oid = self.git("rev-parse", f"refs/heads/{branch}")
        if tag:
            self.git("update-ref", f"refs/tags/{tag}", oid)
        return oid

    def read(self, selection: Selection = Selection(), limits: Limits = Limits(), url: str = "") -> Reading:  # noqa: B008
        return read_repository(self.folder, url=url or self.url, selection=selection, limits=limits)

    def snapshot(self, **options: Any) -> Snapshot:
        """The default branch's."""
        return next(iter(self.read(**options)))


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    """Makes empty repositories with a given object format; ``fresh`` ones beside those that were made."""
    made = itertools.count(1)

    def make(object_format: str = "sha1", *, fresh: bool = False) -> Repo:
        return Repo(tmp_path / f"{object_format}{next(made) if fresh else ''}.git", object_format)

    return make


@pytest.fixture
def repo(make_repo: Callable[..., Repo]) -> Repo:
    """An empty repository."""
    return make_repo()


@pytest.fixture
def read_files(repo: Repo) -> Callable[..., Snapshot]:
    """The snapshot of a commit that holds the given files."""

    def read(files: dict[str, str | bytes | None], **options: Any) -> Snapshot:
        repo.commit(files)
        return repo.snapshot(**options)

    return read


class Stand:
    """A server whose answers the test decides: no real server fails on demand."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[http.server.BaseHTTPRequestHandler], None] = lambda _: None
        stand = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stand.requests.append((self.path, dict(self.headers), body))
                with contextlib.suppress(OSError):
                    stand.answer(self)

            do_POST = do_GET  # noqa: N815 - the standard library names it

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @staticmethod
    def reply(
        handler: http.server.BaseHTTPRequestHandler, status: int = 200, body: bytes = b"{}", **headers: str
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.server.shutdown()
    stand.server.server_close()
