"""What differs between the files of two versions of data: by path, and by content, for DVC stores a content once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

ChangeKind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class File:
    """A file at a version: its hash, and its bytes where they are known."""

    hash: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A path that is not the same; ``moved_from`` is a path that had the content before."""

    kind: ChangeKind
    path: str
    before: File | None = None
    after: File | None = None
    moved_from: str = ""


@dataclass(frozen=True, slots=True)
class FileChanges:
    """All that differs, by path, and how much of the later version the earlier one had already.

    :param unchanged: paths with the same content
    :param reused: files of the later version whose content the earlier one had, at whatever path
    :param total: files of the later version
    :param bytes_new: of distinct contents that only the later version has; None where a size is not known
    :param bytes_gone: of those that only the earlier one has
    """

    changes: tuple[FileChange, ...]
    unchanged: int
    reused: int
    total: int
    bytes_new: int | None
    bytes_gone: int | None

    def count(self, kind: ChangeKind) -> int:
        """How many paths of a kind."""
        return sum(change.kind == kind for change in self.changes)


def compare(
    before: Mapping[str, File],
    after: Mapping[str, File],
    size_of: Callable[[bool, str, File], int | None] | None = None,
) -> FileChanges:
    """The differences.

    :param size_of: asked for sizes that are not known, of files that differ: ``(later, path, file)``
    """

    def sized(later: bool, path: str, file: File | None) -> File | None:
        if file is None or file.size is not None or size_of is None:
            return file
        return File(file.hash, size_of(later, path, file))

    had: dict[str, str] = {}
    for path, file in before.items():
        had.setdefault(file.hash, path)
    has = {file.hash for file in after.values()}
    changes = []
    for path in sorted(before.keys() | after.keys()):
        one, two = before.get(path), after.get(path)
        if one is not None and two is not None and one.hash == two.hash:
            continue
        kind: ChangeKind = "added" if one is None else "removed" if two is None else "changed"
        moved = had.get(two.hash, "") if two is not None else ""
        changes.append(FileChange(kind, path, sized(False, path, one), sized(True, path, two), moved))
    new = {change.after.hash: change.after.size for change in changes if change.after and change.after.hash not in had}
    gone = {
        change.before.hash: change.before.size for change in changes if change.before and change.before.hash not in has
    }
    return FileChanges(
        tuple(changes),
        unchanged=sum(path in before and before[path].hash == file.hash for path, file in after.items()),
        reused=sum(file.hash in had for file in after.values()),
        total=len(after),
        bytes_new=_sum(new),
        bytes_gone=_sum(gone),
    )


def _sum(sizes: Mapping[str, int | None]) -> int | None:
    known = [size for size in sizes.values() if size is not None]
    return sum(known) if len(known) == len(sizes) else None
