"""The default branch is the one that HEAD names, however the repository keeps its references."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core import Selection, read_repository

FILES: dict[str, str | bytes | None] = {"x.dvc": "outs:\n- path: x\n"}
NO_BRANCHES = Selection(branches=())


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("ref: refs/heads/trunk", "trunk"),
        ("ref: refs/heads/nobody", "main"),
        ("ref: refs/tags/v1", "main"),
        ("commit", "main"),
    ],
)
@pytest.mark.parametrize("selection", [Selection(), Selection(branches=("main",)), NO_BRANCHES])
def test_what_head_names(repo: Any, head: str, expected: str, selection: Selection) -> None:
    oid = repo.commit(FILES, tag="v1")
    repo.git("update-ref", "refs/heads/trunk", oid)
    (repo.folder / "HEAD").write_text(f"{oid if head == 'commit' else head}\n")
    if selection is NO_BRANCHES and expected == "main":
        expected = ""  # HEAD names none, and none is selected that could stand in
    assert repo.read(selection).repository.default_branch == expected


def test_references_in_a_table(repo: Any, tmp_path: Path) -> None:
    """Git 2.45 and later can keep references in tables (reftable), where the file HEAD says nothing."""
    repo.commit(FILES, tag="v1")
    repo.git("update-ref", "refs/heads/trunk", "refs/heads/main")
    folder = tmp_path / "table.git"
    made = subprocess.run(
        ["git", "init", "-q", "--bare", "--ref-format=reftable", "-b", "trunk", str(folder)],
        env=repo.environment,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("this Git has no tables of references")
    subprocess.run(
        ["git", f"--git-dir={folder}", "fetch", "-q", str(repo.folder), "refs/*:refs/*"],
        env={**repo.environment, "GIT_ALLOW_PROTOCOL": "file"},
        check=True,
    )
    reading = read_repository(folder, url=repo.url)
    assert reading.repository.default_branch == "trunk"
    assert {revision.name for revision in reading.revisions} == {"main", "trunk", "v1"}
