"""Files of two versions: by path, by content, and what of it was there before."""

from __future__ import annotations

from ckanext.mlops.core.file_changes import File, compare


def files(**hashes: str) -> dict[str, File]:
    return {path: File(hash_, 10 * int(hash_)) for path, hash_ in hashes.items()}


def test_added_removed_changed_and_moved() -> None:
    found = compare(files(a="1", b="2", c="3"), files(a="1", b="4", d="3"))
    assert [(each.kind, each.path, each.moved_from) for each in found.changes] == [
        ("changed", "b", ""),
        ("removed", "c", ""),
        ("added", "d", "c"),
    ]
    assert (found.unchanged, found.reused, found.total) == (1, 2, 3)
    assert (found.bytes_new, found.bytes_gone) == (40, 20), "what moved is neither new nor gone"


def test_equal_content_counts_once() -> None:
    found = compare({}, files(a="5", b="5"))
    assert found.bytes_new == 50
    assert found.count("added") == 2


def test_sizes_are_asked_for_only_where_files_differ() -> None:
    asked = []

    def size_of(later: bool, path: str, file: File) -> int | None:
        asked.append((later, path))
        return None if path == "c" else 7

    before, after = {"a": File("1"), "b": File("2")}, {"a": File("1"), "b": File("3"), "c": File("4")}
    found = compare(before, after, size_of)
    assert asked == [(False, "b"), (True, "b"), (True, "c")]
    assert (found.bytes_new, found.bytes_gone) == (None, 7)
