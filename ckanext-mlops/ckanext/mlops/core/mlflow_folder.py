"""A folder of this machine as the tree of an MLflow file store; nothing outside of it is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

#: Entries of one folder that are looked at.
_MAX_ENTRIES = 100_000


class LocalTree:
    """The files below ``root``. A symbolic link inside of it is not followed: it could lead anywhere."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folders(self, path: str) -> Sequence[str]:
        """Names of the folders in a folder, sorted.

        :raises OSError: the store itself cannot be read
        """
        return self._names(path, "folder")

    def files(self, path: str) -> Sequence[str]:
        """Names of the files in a folder, sorted."""
        return self._names(path, "file")

    def read(self, path: str, limit: int) -> bytes | None:
        """Content of a file; None when there is none, or it is larger than ``limit``."""
        try:
            # Neither a link nor a device is opened, and a pipe does not keep us waiting.
            handle = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        with os.fdopen(handle, "rb") as file:
            try:
                data = file.read(limit + 1)
            except OSError:
                return None
        return data if data is not None and len(data) <= limit else None

    def _names(self, path: str, kind: Literal["file", "folder"]) -> list[str]:
        found = []
        try:
            with os.scandir(self.root / path) as entries:
                for entry in entries:
                    if (
                        entry.is_dir(follow_symlinks=False)
                        if kind == "folder"
                        else entry.is_file(follow_symlinks=False)
                    ):
                        found.append(entry.name)
                    if len(found) >= _MAX_ENTRIES:
                        break
        except (OSError, ValueError):
            if not path:
                raise
        return sorted(found)
