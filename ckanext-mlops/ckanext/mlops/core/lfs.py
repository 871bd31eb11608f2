"""git-lfs pointers: what Git holds in place of a large file.

Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md. Storage is not contacted: its address
(``.lfsconfig``) is the repository's to choose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_POINTER = 1024
"""A pointer is smaller than this many bytes: larger blobs need not be read."""

VERSION = "https://git-lfs.github.com/spec/v1"
_OLDER = {"http://git-media.io/v/2", "https://hawser.github.com/spec/v1"}
_KEY = re.compile(r"[a-z0-9.-]+")
_EXTENSION = re.compile(r"ext-(?P<priority>[0-9])-(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)")
_OID = re.compile(r"sha256:(?P<hash>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pointer:
    """The file that a pointer stands for.

    :param oid: SHA-256 of the content, 64 hexadecimal digits
    :param size: bytes
    :param extensions: names of the programs that transformed the content, in order; ``oid`` is of their result
    """

    oid: str
    size: int
    extensions: tuple[str, ...] = ()


def parse_pointer(data: bytes) -> Pointer | None:
    """The pointer that a blob is; None when it is something else, which includes the empty file.

    Strict as the specification asks of readers: UTF-8, ``version`` first, other keys sorted and once, one space after
    the key. A missing end of the last line is tolerated, as git-lfs itself does, and so are CRLF line ends, which
    editors leave.
    """
    if not data.startswith(b"version ") or len(data) >= MAX_POINTER:
        return None
    try:
        lines = data.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        return None
    pairs = [line.split(" ", 1) for line in lines]
    if any(len(pair) != 2 or not _KEY.fullmatch(pair[0].lower()) for pair in pairs):
        return None
    keys = [key for key, _ in pairs]
    values = dict(pairs)
    if keys[1:] != sorted(keys[1:]) or len(values) != len(keys):
        return None
    oid, size = _OID.fullmatch(values.get("oid", "")), values.get("size", "")
    version = values["version"]
    if (version != VERSION and version not in _OLDER) or oid is None or not re.fullmatch(r"[0-9]{1,18}", size):
        return None
    extensions = [found for key in keys if (found := _EXTENSION.fullmatch(key))]
    return Pointer(oid["hash"], int(size), tuple(found["name"] for found in extensions))
