"""The rows of revisions: bounded, and where a branch is, is among them."""

from __future__ import annotations

from ckanext.mlops.catalog import history
from ckanext.mlops.core.records import Revision, Snapshot


def test_a_branch_is_kept_however_many_newer_revisions_there_are() -> None:
    old = Revision("old", "branch", "b" * 40, date="2001-01-01T00:00:00Z")
    commits = [
        Revision(
            f"{number:040x}", "commit", f"{number:040x}", date=f"2024-01-01T00:{number // 60:02}:{number % 60:02}Z"
        )
        for number in range(history.MAX_REVISIONS)
    ]
    rows = history.revisions([Snapshot((*commits, old))])
    assert len(rows) == history.MAX_REVISIONS
    assert [row["commit"] for row in rows if row["kind"] == "branch"] == ["b" * 40]
    assert [row["position"] for row in rows] == list(range(history.MAX_REVISIONS, 0, -1))
    assert rows[0]["name"] == commits[-1].name
    assert commits[0].name not in {row["name"] for row in rows}
