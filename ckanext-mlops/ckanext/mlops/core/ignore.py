"""``.dvcignore``: files that DVC, and therefore we, do not see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_MAX_PATTERNS = 5_000


class Ignored:
    """The ``.dvcignore`` files of one tree.

    A pattern is relative to the folder of its file; of several matches the last line of the deepest file decides, as
    in ``.gitignore``.

    :param files: ``(folder, text)`` of each file, ``""`` for the repository's root
    """

    def __init__(self, files: Iterable[tuple[str, str]]) -> None:
        self._specs: list[tuple[str, GitIgnoreSpec]] = []
        for folder, text in sorted(files):
            lines = [line for line in text.splitlines()[:_MAX_PATTERNS] if line.strip() and line[0] != "#"]
            spec = _spec(lines)
            if spec is not None:
                self._specs.append((f"{folder}/" if folder else "", spec))

    def __bool__(self) -> bool:
        return bool(self._specs)

    def hides(self, path: str) -> bool:
        """Whether the file at ``path`` is hidden."""
        hidden = False
        for folder, spec in self._specs:
            if path.startswith(folder):
                found = spec.check_file(path[len(folder) :]).include
                if found is not None:
                    hidden = found
        return hidden


def _spec(lines: list[str]) -> GitIgnoreSpec | None:
    """The lines as patterns; those that are none are left out, as Git does."""
    if not lines:
        return None
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        pass
    good = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        good.append(line)
    return GitIgnoreSpec.from_lines(good) if good else None
