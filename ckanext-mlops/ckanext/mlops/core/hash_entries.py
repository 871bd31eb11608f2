"""The hash entry of an output or dependency, as a lock or a ``*.dvc`` file writes it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .limits import Limits
from .records import HashAlgorithm
from .said import said
from .shapes import OPTIONS
from .untrusted import clean, plain

_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
ENTRY_KEYS = frozenset(
    [
        "path",
        "md5",
        "etag",
        "checksum",
        "size",
        "nfiles",
        "isexec",
        "isdir",
        "hash",
        "cloud",
        "files",
        "version_id",
        "metric",
        "plot",
        "params",
        "remote",
        "mtime",
        "inode",
        "fs_config",
        "dataset",
        "repo",
        "db",
        "tree",
        "live",
    ]
)
_MAX_SIZE = 2**63 - 1
_MAX_LISTED = 1000
_OURS = frozenset(("outside", "invalid_hash", "files", "executable"))


class Hashed(NamedTuple):
    """The hash entry of an output or dependency."""

    hash: str | None
    algorithm: HashAlgorithm | None
    size: int | None
    nfiles: int | None
    version_id: str
    remote: str
    extra: dict[str, Any]
    problem: str = ""


def hashed(info: Mapping[str, Any], limits: Limits) -> Hashed:
    """The hash entry in a lock or ``*.dvc`` file."""
    extra: dict[str, Any] = {}
    problem = ""
    value: str | None = None
    algorithm: HashAlgorithm | None = None
    remote = version_id = ""
    size, nfiles = _count(info.get("size")), _count(info.get("nfiles"))
    if info.get("isexec") is True:
        extra["executable"] = True
    raw = info.get("md5")
    if raw is not None:
        text = raw.strip().lower() if isinstance(raw, str) else str(raw)
        if _MD5.fullmatch(text):
            value, algorithm = text, "md5" if info.get("hash") == "md5" else "md5-dos2unix"
        else:
            extra["invalid_hash"] = clean(text, 200)
            problem = said(f"'{clean(text, 60)}' is not an md5; run 'dvc commit'")
    else:
        for key in ("checksum", "etag"):
            if info.get(key):
                value, algorithm = clean(info[key], 300), key
                break
    if info.get("version_id"):
        version_id = clean(info["version_id"], 300)
    cloud = info.get("cloud")
    if isinstance(cloud, dict):
        for name, entry in list(cloud.items())[:1]:
            if isinstance(entry, dict):
                remote = clean(name)
                version_id = clean(entry.get("version_id"), 300)
                if value is None and entry.get("etag"):
                    value, algorithm = clean(entry["etag"], 300), "etag"
                size = size if size is not None else _count(entry.get("size"))
    files = info.get("files")
    if isinstance(files, list):
        listed = [item for item in files if isinstance(item, dict) and isinstance(item.get("relpath"), str)]
        if not remote:
            remote = next((clean(name) for item in listed for name in item.get("cloud") or {}), "")
        if value is None and len(listed) == len(files):
            value = manifest_hash(listed)
            algorithm = "md5" if value else None
        if nfiles is None:
            nfiles = len(listed)
        if size is None:
            size = sum(_count(item.get("size")) or 0 for item in listed)
        extra["files"] = [
            [clean(item["relpath"]), clean(item.get("md5"), 64), _count(item.get("size"))]
            for item in listed[:_MAX_LISTED]
        ]
    for key in info:
        if key not in ENTRY_KEYS and key not in OPTIONS:
            extra[own_key(key)] = plain(info[key], limits)
    return Hashed(value, algorithm, size, nfiles, version_id, remote, extra, problem)


def own_key(key: Any) -> str:
    """An unknown key's name among those that only we write."""
    name = clean(key, 200)
    return f"x-{name}" if name in _OURS else name


def manifest_hash(files: list[dict[str, Any]]) -> str | None:
    """DVC's hash of a folder from its files' ``md5`` and ``relpath``; None when one has no md5.

    It is the md5 of the manifest that DVC stores: the JSON list sorted by path, with ``.dir`` at its end.
    """
    if not all(isinstance(item.get("md5"), str) for item in files):
        return None
    entries = sorted(
        ({"md5": item["md5"], "relpath": item["relpath"]} for item in files), key=lambda item: item["relpath"]
    )
    text = json.dumps(entries, sort_keys=True)
    return hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest() + ".dir"


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SIZE else None
