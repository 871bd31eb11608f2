"""Equal content under other names and in other repositories is one thing, with its origin; the index can be rebuilt."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import helpers
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage

from ckanext.mlops import lineage_index
from ckanext.mlops.model import Edge, FileHash, hashes, lineage

MADE = "a,b\n1,2\n3,4\n5,6\n7,8\n"
MAKING = """\
stages:
  make:
    cmd: cp raw.txt made.csv && touch empty
    deps: [raw.txt]
    outs: [made.csv, empty]
"""
READING = """\
stages:
  read:
    cmd: cp plain.csv out.csv && echo more >> out.csv
    deps: [plain.csv]
    outs: [out.csv]
"""
ONE, TWO = "https://example.org/one.git", "https://example.org/two.git"


@pytest.fixture(scope="session")
def built(make_repo: Any) -> tuple[Path, Path]:
    """The first makes a file; the second tracks it under another name, reads it, and has an empty file in common."""
    one, two = make_repo("one"), make_repo("two")
    two.count = 10  # later
    one.write({"raw.txt": MADE, "dvc.yaml": MAKING})
    one.dvc("repro", "-q")
    one.commit("v1")
    two.write({"copy.csv": MADE, "plain.csv": MADE, "nothing": "", "dvc.yaml": READING})
    two.dvc("add", "-q", "copy.csv", "nothing")
    two.dvc("repro", "-q", "read")
    two.commit("v1")
    return one.path, two.path


@pytest.fixture
def two_repositories(built: tuple[Path, Path], load: Any) -> tuple[dict[str, str], dict[str, str]]:
    one, two = built
    return load(one, ONE), load(two, TWO)


def inferred() -> list[tuple[str, str, str]]:
    rows = model.Session.execute(
        sa.select(Edge.upstream_dataset, Edge.downstream_dataset, Edge.path).where(Edge.origin == "inferred")
    )
    return sorted(tuple(row) for row in rows)


def test_equal_content_is_joined_to_the_step_that_made_it(two_repositories: Any, ask: Any) -> None:
    one, two = two_repositories
    assert inferred() == sorted(
        [(one["make"], two["copy.csv.dvc"], "copy.csv"), (one["make"], two["read"], "plain.csv")]
    )
    found = ask("mlops_lineage_show", id=two["read"], direction="upstream")
    [edge] = [each for each in found["edges"] if each["origin"] == "inferred"]
    assert edge["evidence"] == {"kind": "content", "algorithm": "md5", "size": len(MADE), "output": "made.csv"}
    files = ask("mlops_lineage_show", id=two["read"], direction="upstream", level="files")
    assert f"file:{one['make']}:made.csv" in {node["id"] for node in files["nodes"]}


def test_a_hash_finds_whatever_holds_it(two_repositories: Any, ask: Any) -> None:
    one, two = two_repositories
    md5 = hashlib.md5(MADE.encode(), usedforsecurity=False).hexdigest()
    found = ask("mlops_lineage_show", id=md5, level="files", depth=1)
    assert set(found["starts"]) == {f"file:{one['make']}:made.csv", f"file:{two['copy.csv.dvc']}:copy.csv"}


def test_an_upload_is_joined_by_either_of_its_hashes(two_repositories: Any, make_dataset: Any, ask: Any) -> None:
    one, _ = two_repositories
    package = make_dataset(name="uploaded")
    upload = FileStorage(io.BytesIO(MADE.encode()), "table.csv")
    helpers.call_action(
        "resource_create", {"user": "editor"}, package_id=package["id"], name="table.csv", upload=upload
    )
    # Git LFS knows the same content by its SHA-256.
    sha256 = hashlib.sha256(MADE.encode()).hexdigest()
    facts = {"outs": [{"path": "lfs.csv", "hash": sha256, "algorithm": "sha256", "size": len(MADE)}]}
    lfs = make_dataset(name="lfs")
    version = {"id": "lfs-version", "facts": facts, "committed": None, "current": True}
    hashes.store_harvested(model.Session(), {lfs["id"]: ("example.org/lfs#lfs.csv", [version], [])})
    model.Session.commit()
    lineage_index.hash_uploads(package["id"])
    assert {(one["make"], each) for each in (package["id"], lfs["id"])} <= {row[:2] for row in inferred()}
    # Another content later: nothing is concluded from the old one any more.
    resource = helpers.call_action("package_show", id=package["id"])["resources"][0]["id"]
    upload = FileStorage(io.BytesIO(b"something else altogether\n"), "table.csv")
    helpers.call_action("resource_update", {"user": "editor"}, id=resource, name="table.csv", upload=upload)
    lineage_index.hash_uploads(package["id"])
    assert package["id"] not in {row[1] for row in inferred()}


def tracked(name: str, committed: str, command: str = "") -> tuple[str, list[dict[str, Any]], list[Any]]:
    """A dataset of one file, as a harvest notes it."""
    facts = {"outs": [{"path": "x.csv", "hash": "5" * 32, "size": 100}], "command": command}
    version = {"id": f"version-of-{name}", "facts": facts, "committed": committed, "current": True}
    return f"example.org/r#{name}", [version], []


def test_what_another_worker_commits_meanwhile_is_concluded_from_too(
    clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = model.Session()
    hashes.store_harvested(session, {"one": tracked("one", "2024-01-01"), "two": tracked("two", "2024-01-02")})
    session.commit()
    read = hashes._with_partners
    later = {"three": tracked("three", "2024-01-03")}

    def other(*arguments: Any) -> Any:
        rows = read(*arguments)
        if later:
            with Session(model.meta.engine) as elsewhere:
                hashes.store_harvested(elsewhere, dict([later.popitem()]))
                elsewhere.commit()
        return rows

    monkeypatch.setattr(hashes, "_with_partners", other)
    hashes.settle(session)
    assert {row[1] for row in inferred()} == {"two", "three"}


def test_what_commands_made_everywhere_is_not_looked_at(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that has one value in thousands of steps joins nothing, and costs nothing."""
    session = model.Session()
    made = {name: tracked(name, "2024-01-01", command="make") for name in ("one", "two", "three")}
    hashes.store_harvested(session, made)
    session.commit()
    looked: list[Any] = []
    read = hashes._with_partners
    monkeypatch.setattr(
        hashes, "_with_partners", lambda session, wanted: (looked.append(wanted), read(session, wanted))[1]
    )
    assert hashes.settle(session) == 0
    assert looked == [set()]
    # Until somebody tracks the same content: then it comes from the first of them.
    hashes.store_harvested(session, {"four": tracked("four", "2024-01-09")})
    session.commit()
    assert hashes.settle(session) == 1
    assert inferred() == [("one", "four", "x.csv")]


def test_sizes_are_checked_and_trivial_contents_say_nothing() -> None:
    assert not hashes.telling("d41d8cd98f00b204e9800998ecf8427e", None)
    assert not hashes.telling(hashlib.md5(b"{}", usedforsecurity=False).hexdigest(), None)
    assert not hashes.telling("a" * 32, 3)
    assert hashes.telling("a" * 32, 100)
    rows = [
        FileHash(package_id=name, side="out", path="x", hash="a" * 32, size=size, harvested=True, versions=[])
        for name, size in (("one", 100), ("two", 200), ("three", 100), ("four", None))
    ]
    groups = [sorted(row.package_id for row in group) for group in hashes._groups(rows)]
    assert sorted(groups) == [["one", "three"], ["two"]]


def test_the_index_is_rebuilt_from_packages_and_versions(
    two_repositories: Any, make_dataset: Any, edge_rows: Any
) -> None:
    make_dataset(name="asserted", derived_from=[{"dataset": two_repositories[0]["make"]}])
    before = edge_rows()
    assert len(before) == 3
    model.Session.execute(sa.delete(FileHash))
    model.Session.execute(sa.delete(Edge).where(Edge.origin != "harvested"))
    model.Session.commit()
    hashes.rebuild(model.Session())
    hashes.settle(model.Session())
    lineage.rebuild(model.Session())
    model.Session.commit()
    assert edge_rows() == before


def test_a_purged_origin_leaves_nothing_concluded_from_it(two_repositories: Any) -> None:
    one, _ = two_repositories
    helpers.call_action("dataset_purge", id=one["make"])
    hashes.settle(model.Session())
    assert one["make"] not in {row[0] for row in inferred()}
