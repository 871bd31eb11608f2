"""Refs of a mirror that are files of their own are packed when they are many, and only then."""

from __future__ import annotations

from ckanext.mlops.core import mirror_folder
from ckanext.mlops.core.mirror import update_mirror


def test_few_stay_files_and_many_are_packed(repository, mirrors, policy):
    repository.git("tag", "v0")
    few = update_mirror(str(repository.path), mirrors, policy=policy)
    assert mirror_folder.loose_refs(few.git_dir, 1000) == 2
    for number in range(120):
        repository.git("tag", f"many/v{number}")
    many = update_mirror(str(repository.path), mirrors, policy=policy)
    assert mirror_folder.loose_refs(many.git_dir, 1000) == 0
    assert (many.git_dir / "packed-refs").read_text().count(" refs/tags/") == 121
