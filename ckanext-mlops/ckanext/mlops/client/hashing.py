"""MD5 as DVC names content, so that what is uploaded is joined with what a repository tracks."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

CHUNK = 1024 * 1024
Md5 = partial(hashlib.md5, usedforsecurity=False)


def file_md5(path: Path) -> str:
    """MD5 of a file, in hex; memory stays small."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, Md5).hexdigest()
