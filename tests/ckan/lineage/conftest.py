"""Catalogs that hold what a repository says, written without CKAN's actions: hundreds of datasets in a second."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.model.types import make_uuid
from ckan.tests import helpers
from ckanext.harvest.model import HarvestObject, HarvestSource

from ckanext.mlops.catalog import datasets, drafts, history
from ckanext.mlops.catalog.weburl import import_uri
from ckanext.mlops.core import Selection, naming, read_repository
from ckanext.mlops.model import hashes, lineage, revisions, versions

BUNDLES = Path(os.environ.get("MLOPS_BUNDLES", Path(__file__).parents[4] / "shared/repositories"))
ENVIRONMENT = {
    **os.environ,
    "DVC_NO_ANALYTICS": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Ada"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ada@lab.test"),
}


def run(folder: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT | environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def work_tree(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A clone of a bundle, with every branch, which DVC needs."""

    def clone(name: str) -> Path:
        source = BUNDLES / f"{name}.bundle"
        if not source.exists() and not os.environ.get("CI"):
            pytest.skip(f"{source} is not there; set MLOPS_BUNDLES to the folder of the bundles")
        target = tmp_path_factory.mktemp("bundle") / name
        run(target.parent, "git", "clone", "-q", str(source), str(target))
        for line in run(target, "git", "for-each-ref", "--format=%(refname:lstrip=3)", "refs/remotes/origin").split():
            if line != "HEAD":
                run(target, "git", "update-ref", f"refs/heads/{line}", f"refs/remotes/origin/{line}")
        return target

    return clone


@pytest.fixture(scope="session")
def shell() -> Callable[..., str]:
    """Runs a command in a folder; what it prints."""
    return run


@pytest.fixture(scope="session")
def make_repo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Repo]:
    """Makes empty repositories of real Git and DVC: copies of one, as each start of DVC takes a second.

    What only reads a repository shares one of the session: to load it into the catalog changes nothing in it.
    """
    empty = Repo(tmp_path_factory.mktemp("empty"))
    run(empty.path, "git", "init", "-q", "-b", "main")
    empty.dvc("init")

    def make(name: str) -> Repo:
        return Repo(shutil.copytree(empty.path, tmp_path_factory.mktemp(name) / name, symlinks=True))

    return make


@dataclass
class Repo:
    """A working copy; its commits are a minute apart."""

    path: Path
    count: int = 0

    def write(self, files: dict[str, str]) -> None:
        for name, content in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)

    def dvc(self, *arguments: str) -> str:
        return run(self.path, sys.executable, "-m", "dvc", *(each for each in arguments if each != "-q"))

    def commit(self, tag: str) -> str:
        self.count += 1
        date = f"2026-01-01T00:{self.count:02}:00Z"
        run(self.path, "git", "add", "-A")
        run(self.path, "git", "commit", "-q", "--allow-empty", "-m", tag, GIT_COMMITTER_DATE=date, GIT_AUTHOR_DATE=date)
        run(self.path, "git", "tag", tag)
        return run(self.path, "git", "rev-parse", "HEAD").strip()


@pytest.fixture
def load(people: Any) -> Callable[..., dict[str, str]]:
    """Put a repository into the catalog as a harvest would; stage address → dataset id."""

    def put(folder: Path, url: str, *, private: bool = False) -> dict[str, str]:
        session = model.Session()
        reading = read_repository(folder / ".git", url=url, selection=Selection())
        snapshots = list(reading)
        options = datasets.Options(owner_org=people.organization["id"], private=private)
        found = drafts.describe(reading.repository, snapshots, options)
        ids = {}
        for each in found:
            fields = {key: str(value) for key, value in each.package.items() if key.startswith("dvc_")}
            session.add(
                model.Package(
                    id=each.package["id"],
                    name=each.package["name"],
                    title=each.package["title"],
                    type="dataset",
                    state="active",
                    private=private,
                    owner_org=people.organization["id"],
                    extras=fields,
                )
            )
            ids[each.package["dvc_stage"]] = each.package["id"]
        session.flush()
        versions.store_all(session, {each.package["id"]: each.versions for each in found})
        lineage.store_harvested_all(session, {each.package["id"]: each.edges for each in found})
        lineage.relink(
            session,
            {
                import_uri(url, each["dvc_path"]): (one.package["id"], each["id"])
                for one in found
                for each in one.package["resources"]
            },
        )
        hashes.store_harvested(session, {each.package["id"]: (each.guid, each.versions, each.edges) for each in found})
        slug = naming.repository_slug(url)
        source = f"source-{slug}"
        if session.get(HarvestSource, source) is None:
            session.add(HarvestSource(id=source, url=url, type="dvc"))
            session.flush()
        objects = [
            {"id": make_uuid(), "guid": each.guid, "package_id": each.package["id"], "harvest_source_id": source}
            for each in found
        ]
        session.execute(sa.insert(HarvestObject).values(current=True), objects)
        revisions.store(session, source, slug, history.revisions(snapshots))
        session.commit()
        hashes.settle(session)
        return ids

    return put


@pytest.fixture
def ask(people: Any) -> Callable[..., Any]:
    """Call an action as a sysadmin."""
    return lambda action, **data: helpers.call_action(action, {"user": people.sysadmin.name}, **data)


@pytest.fixture
def edge_rows() -> Callable[[], list[tuple[Any, ...]]]:
    """All edges, without the times at which they were seen."""

    def read() -> list[tuple[Any, ...]]:
        table = lineage.Edge.__table__
        columns = [column for column in table.columns if column.name not in ("first_seen", "last_seen")]
        rows = model.Session.execute(sa.select(*columns).order_by(table.c.id)).all()
        return [tuple(row) for row in rows]

    return read
