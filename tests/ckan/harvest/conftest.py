"""Repositories made with real Git and DVC, and sources that harvest them."""

from __future__ import annotations

import email
import email.policy
import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.common import config as ckan_settings
from ckan.lib import jobs as ckan_jobs
from ckan.tests import helpers
from ckanext.harvest import queue

from ckanext.mlops.harvesting import foreground
from ckanext.mlops.model.tables import Edge, Version

GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@lab.test",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@lab.test",
    "DVC_NO_ANALYTICS": "1",
}
PIPELINE = """\
stages:
  prepare:
    desc: Leaves out passengers without an age.
    cmd: cp data/raw.csv data/prepared.csv
    deps: [data/raw.csv]
    outs: [data/prepared.csv]
  train:
    cmd: echo model > model.pkl && echo '{"accuracy":0.8}' > metrics.json
    deps: [data/prepared.csv]
    params: [seed]
    outs:
    - model.pkl:
        desc: A forest.
        labels: [forest, scikit-learn]
    metrics:
    - metrics.json:
        cache: false
"""


@dataclass
class Repo:
    """A working copy whose commits are a minute apart, the same in every run."""

    path: Path
    minute: int = 0

    def git(self, *arguments: str) -> str:
        date = f"2024-03-01T10:{self.minute:02}:00Z"
        environment = GIT_ENVIRONMENT | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def dvc(self, *arguments: str) -> None:
        environment = GIT_ENVIRONMENT | {"HOME": str(self.path.parent)}
        command = [sys.executable, "-m", "dvc", *arguments, "--quiet"]
        subprocess.run(command, cwd=self.path, env=environment, check=True, capture_output=True, text=True)

    def write(self, path: str, text: str) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.path / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def commit(self, message: str = "Change") -> str:
        self.minute += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one tracked file and two stages, made by DVC: tag ``v1``, then another seed on ``main``."""
    repo = Repo(tmp_path_factory.mktemp("built") / "titanic")
    repo.path.mkdir()
    repo.git("init", "--quiet", "--initial-branch=main")
    repo.dvc("init")
    repo.dvc("remote", "add", "--default", "store", "s3://lab-data/titanic")
    repo.write("README.md", "# Titanic\n\nWho survived, and why, told by a model.\n")
    repo.write("data/raw.csv", "name,age\nAllen,29\n")
    repo.write("params.yaml", "seed: 1\n")
    repo.write("dvc.yaml", PIPELINE)
    repo.dvc("add", "data/raw.csv")
    repo.dvc("repro")
    repo.commit("First model")
    repo.git("tag", "v1")
    repo.write("params.yaml", "seed: 2\n")
    repo.dvc("repro")
    repo.commit("Another seed")
    shutil.rmtree(repo.path / ".dvc" / "cache", ignore_errors=True)
    return repo.path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the operator allows."""
    allowed = tmp_path / "repositories"
    allowed.mkdir()
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.repository.roots", [str(allowed)])
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.repository.mirrors", str(tmp_path / "mirrors"))
    return allowed


@pytest.fixture
def repo(built: Path, root: Path) -> Repo:
    """A copy of the project that the test may change."""
    shutil.copytree(built, root / "titanic", symlinks=True)
    return Repo(root / "titanic", minute=2)


@pytest.fixture
def make_repo(root: Path) -> Callable[[str], Repo]:
    """A repository below the allowed folder that is yet to be made."""
    return lambda name: Repo(root / name)


@pytest.fixture(scope="session")
def bundles() -> Path:
    """Real repositories: the folder that MLOPS_BUNDLES names, or the one beside the checkout."""
    folder = Path(os.environ.get("MLOPS_BUNDLES") or Path(__file__).parents[4] / "shared" / "repositories")
    if not list(folder.glob("*.bundle")):
        pytest.skip(f"no bundles in {folder}; MLOPS_BUNDLES names their folder")
    return folder


@pytest.fixture
def bundle(bundles: Path, root: Path) -> Callable[[str], Path]:
    """Clone a real repository below the allowed folder."""

    def clone(name: str) -> Path:
        target = root / name
        subprocess.run(
            ["git", "clone", "--quiet", "--mirror", str(bundles / f"{name}.bundle"), str(target)],
            env=GIT_ENVIRONMENT,
            check=True,
            capture_output=True,
        )
        return target

    return clone


@pytest.fixture
def source(people: Any, root: Path) -> Callable[..., str]:
    """Create a harvest source for a repository; its name."""

    def create(url: Path | str, name: str = "titanic", **options: Any) -> str:
        helpers.call_action(
            "harvest_source_create",
            {"user": "root", "ignore_auth": True},
            name=name,
            title=name.title(),
            url=str(url),
            source_type="dvc",
            owner_org=people.organization["id"],
            config=json.dumps(options) if options else "",
        )
        return name

    return create


@pytest.fixture
def harvest() -> Callable[..., foreground.Report]:
    """Harvest a source in this process."""

    def run(name: str = "titanic") -> foreground.Report:
        model.Session.remove()
        report = foreground.harvest(
            foreground.find_source(name), progress=lambda message: None, step=lambda number, total, guid: None
        )
        model.Session.remove()
        return report

    return run


@pytest.fixture
def forget() -> Callable[[str], None]:
    """Back to a source that was never harvested."""

    def clear(source_id: str) -> None:
        model.Session.remove()
        helpers.call_action("harvest_source_clear", {"user": "root"}, id=source_id)
        model.Session.remove()

    return clear


def kill_at(where: str, number: int, when: str) -> None:
    """Make this process kill itself, without any chance to tidy up, at the ``number``-th call."""
    module, _, name = where.partition(":")
    try:
        owner: Any = import_module(module)
    except ModuleNotFoundError:
        parent, _, attribute = module.rpartition(".")
        owner = getattr(import_module(parent), attribute)
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    calls = []

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        if len(calls) == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, call)


def killed(work: Callable[[], None]) -> bool:
    """Run ``work`` in a child process with connections of its own; whether it was killed."""
    model.Session.remove()
    engine: Any = model.meta.engine
    engine.dispose()
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.fixture
def killed_at() -> Callable[..., bool]:
    """``killed_at(work, where, number, when)``: run ``work`` in a child that is killed there; whether it was."""

    def run(work: Callable[[], object], where: str, number: int, when: str) -> bool:
        def killing() -> None:
            kill_at(where, number, when)
            work()

        return killed(killing)

    return run


@pytest.fixture
def consume() -> Callable[[str], int]:
    """Handle every message of a queue that waits, by ckanext-harvest's own callbacks; how many there were."""

    def consume(kind: str) -> int:
        consumer = queue.get_gather_consumer() if kind == "gather" else queue.get_fetch_consumer()
        callback = queue.gather_callback if kind == "gather" else queue.fetch_callback
        number = 0
        while True:
            method, header, body = consumer.basic_get(queue=None)
            if body is None:
                return number
            callback(consumer, method, header, body)
            number += 1

    return consume


@pytest.fixture
def jobs() -> Callable[..., int]:
    """Do what a worker of `ckan jobs worker` finds in its queue; how many of those are of a title."""

    def work(title: str = "Draw ") -> int:
        waiting, number = ckan_jobs.get_queue(), 0
        while job := next(iter(waiting.jobs), None):
            waiting.remove(job)
            job.perform()
            model.Session.remove()
            number += str(job.meta["title"]).startswith(title)
        return number

    return work


@pytest.fixture
def show() -> Callable[[str], dict[str, Any]]:
    """A dataset as its page shows it."""

    def package(name: str) -> dict[str, Any]:
        model.Session.remove()
        return dict(helpers.call_action("package_show", id=name))

    return package


@pytest.fixture
def catalog() -> Callable[..., dict[str, Any]]:
    """All that harvests write. ``exact`` has times and harvest objects too: equal means that nothing was written."""

    def read(*, exact: bool = False) -> dict[str, Any]:
        model.Session.remove()
        session = model.Session()
        packages = []
        for row in session.scalars(sa.select(model.Package).where(model.Package.type == "dataset")):
            context = {"ignore_auth": True, "use_cache": False}
            packages.append(helpers.call_action("package_show", context, id=row.id))
        indexed = helpers.call_action("package_search", fq="dataset_type:dataset", rows=1000)["results"]
        found = {
            "packages": sorted(packages, key=lambda package: package["id"]),
            "indexed": sorted(indexed, key=lambda package: package["id"]),
            "versions": _rows(Version),
            "edges": _rows(Edge),
        }
        return found if exact else _without_times(found)

    return read


def _rows(table: Any) -> list[dict[str, Any]]:
    found = model.Session.execute(sa.select(table.__table__).order_by(table.id))
    return [dict(row) for row in found.mappings()]


_TIMES = ("metadata_created", "metadata_modified", "created", "first_seen", "last_seen", "creator_user_id")


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        if str(value.get("key", "")).startswith("harvest_"):
            return {"key": value["key"]}
        return {
            key: _without_times(item)
            for key, item in value.items()
            if key not in _TIMES and not (key == "id" and "display_name" in value)
        }
    return [_without_times(item) for item in value] if isinstance(value, list) else value


class _Session(socketserver.StreamRequestHandler):
    """As much of SMTP as CKAN's mailer speaks."""

    def handle(self) -> None:
        self.say("220 test")
        while words := self.rfile.readline().decode().strip():
            verb = words.split()[0].upper()
            if verb == "DATA":
                self.say("354 go on")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                self.server.mails.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
            self.say("250 ok" if verb != "QUIT" else "221 bye")
            if verb == "QUIT":
                return

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[Any] = []


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the mail server got."""
    with _Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setitem(ckan_settings, "smtp.server", f"127.0.0.1:{server.server_address[1]}")
        monkeypatch.setitem(ckan_settings, "smtp.mail_from", "portal@portal.test")
        yield server.mails
        server.shutdown()
