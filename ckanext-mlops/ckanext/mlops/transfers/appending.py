"""A large file that arrives in parts: what broke is continued where it ended, also from another process.

A part file lies below ``ckan.storage_path``, one for each resource and person. It belongs to the content that the
sender's ``key`` names; another key begins again. Nothing of the resource changes before the whole file is there and
has the hash that was announced.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ckan.lib import uploader
from werkzeug.datastructures import FileStorage

from ckanext.mlops.client.hashing import CHUNK, file_md5
from ckanext.mlops.core.errors import MlopsError

#: Part files that nobody continued are removed after so many seconds.
KEPT = 7 * 24 * 3600


class NoStorage(MlopsError):
    """The portal stores no files."""


class Known(FileStorage):
    """A file whose MD5 is known."""

    def __init__(self, stream: IO[bytes], name: str, digest: str) -> None:
        super().__init__(stream, name)
        self.digest = digest


class Parts:
    """The part file of one resource and person, open and locked."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self.path = path
        self._stream = stream

    @property
    def received(self) -> int:
        """Bytes that are here."""
        return os.fstat(self._stream.fileno()).st_size

    def append(self, offset: int, data: IO[bytes], size: int) -> None:
        """Add what begins at ``offset``, unless it is here already; never more than ``size`` in all."""
        if offset != self.received:
            return
        self._stream.seek(offset)
        left = size - offset
        while left > 0 and (chunk := data.read(min(CHUNK, left))):
            self._stream.write(chunk)
            left -= len(chunk)
        self._stream.flush()

    def digest(self) -> str:
        """MD5 of what is here."""
        return file_md5(self.path)

    def whole(self, name: str, digest: str) -> Known:
        """The file as an upload; the caller closes it."""
        return Known(self.path.open("rb"), name, digest)

    def forget(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)


@contextmanager
def parts(resource_id: str, user: str, key: str) -> Iterator[Parts]:
    """The part file for the content ``key`` of a resource; other requests for it wait.

    :raises NoStorage: the portal stores no files
    """
    storage = uploader.get_storage_path()
    if not storage:
        raise NoStorage("This portal stores no files (ckan.storage_path).")
    folder = Path(storage) / "mlops" / "parts"
    folder.mkdir(parents=True, exist_ok=True)
    prefix = hashlib.sha256(f"{resource_id}\0{user}".encode()).hexdigest()[:32]
    path = folder / f"{prefix}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    while True:
        with path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            # Who held the lock before may have removed the file.
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                _tidy(folder, prefix, path)
                found = Parts(path, stream)
                try:
                    yield found
                finally:
                    if not found.received:
                        found.forget()  # somebody only asked what is here
                return


def _tidy(folder: Path, prefix: str, mine: Path) -> None:
    """Remove what the same person began of another content, and what is old."""
    before = time.time() - KEPT
    for each in folder.iterdir():
        try:
            if each != mine and (each.name.startswith(prefix) or each.stat().st_mtime < before):
                each.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
