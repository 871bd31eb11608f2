"""Download a dataset at one version through its portal: resumed, checked against its hashes, safe to repeat."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ckanext.mlops.client.hashing import CHUNK, file_md5
from ckanext.mlops.client.portal import ClientError, Portal

Progress = Callable[[int], None]
_WINDOWS = ("con", "prn", "aux", "nul")


@dataclass(frozen=True)
class Item:
    """A file and what became of it: ``downloaded``, ``unchanged`` or ``failed`` with ``error``."""

    path: Path
    status: str
    size: int = 0
    checked: bool = False
    error: str = ""


@dataclass(frozen=True)
class _Wanted:
    path: str
    address: str
    hash: str
    algorithm: str
    size: int | None


def get(
    portal: Portal,
    dataset: str,
    target: Path,
    *,
    version: str = "",
    only: str = "",
    jobs: int = 4,
    progress: Progress | None = None,
) -> Iterator[Item]:
    """Download the files of ``dataset`` (a name or id) below ``target``.

    :param version: a branch, tag, commit or version id; the current version without it
    :param only: one path of the dataset, or the folder above some
    :raises ClientError: the portal does not say what there is
    """
    asked = {"id": dataset, "version": version} if version else {"id": dataset}
    found = portal.action("mlops_file_list", files=None, **asked)
    wanted = [
        file
        for entry in found["files"]
        if not only or entry["path"] == only.rstrip("/") or entry["path"].startswith(only.rstrip("/") + "/")
        for file in _files(portal, entry)
    ]
    if only and not wanted:
        raise ClientError(f"{dataset} has no file {only!r}; it has {', '.join(e['path'] for e in found['files'][:20])}")
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_fetch, portal, each, target, progress) for each in wanted]
        for future in as_completed(futures):
            yield future.result()


def _files(portal: Portal, entry: dict[str, Any]) -> Iterator[_Wanted]:
    if not entry["is_dir"]:
        yield _Wanted(entry["path"], entry["address"], entry["hash"], entry["algorithm"], entry["size"])
        return
    with portal.open(f"{entry['address']}&manifest=1") as response:
        manifest = response.json()
    for each in manifest["files"]:
        path = f"{entry['path']}/{each['path']}"
        yield _Wanted(path, each["address"], each["hash"], manifest["algorithm"], each.get("size"))


def _fetch(portal: Portal, wanted: _Wanted, target: Path, progress: Progress | None) -> Item:
    path = target
    try:
        path = safe_path(target, wanted.path)
        checkable = wanted.algorithm in ("md5", "md5-dos2unix", "sha256") and bool(wanted.hash)
        if path.is_file() and checkable and content_hash(path, wanted.algorithm) == wanted.hash:
            return Item(path, "unchanged", path.stat().st_size, checked=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        # The name holds the hash: what was begun of another version is not continued.
        part = path.with_name(f".{path.name[:100]}.{wanted.hash[:16] or 'x'}.part")
        for attempt in range(portal.retries + 1):
            try:
                _receive(portal, wanted.address, part, progress)
                break
            except _Broken:
                if attempt == portal.retries:
                    raise
        if checkable and content_hash(part, wanted.algorithm) != wanted.hash:
            part.unlink()
            raise ClientError(f"{wanted.path}: what arrived has another hash than {wanted.hash}; nothing was kept")
        part.replace(path)
        return Item(path, "downloaded", path.stat().st_size, checked=checkable)
    except (OSError, ClientError) as error:
        return Item(path, "failed", error=f"{wanted.path}: {error}")


class _Broken(ClientError):
    """The connection ended in the middle; what arrived is kept."""


def _receive(portal: Portal, address: str, part: Path, progress: Progress | None) -> None:
    import requests
    import urllib3

    have = part.stat().st_size if part.exists() else 0
    with portal.open(address, start=have) as response:
        if response.status_code == 416:  # all of it is there, or it is not what was begun
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            if total == str(have):
                return
            part.unlink()
            raise _Broken(f"{address}: it changed; it is begun again")
        resumed = response.status_code == 206
        length = response.headers.get("Content-Length")
        expected = int(length) if length else None
        received = 0
        with part.open("ab" if resumed else "wb") as stream:
            if resumed and progress is not None:
                progress(have)
            try:
                while data := response.raw.read(CHUNK):
                    stream.write(data)
                    received += len(data)
                    if progress is not None:
                        progress(len(data))
            except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
                raise _Broken(f"{address}: the connection broke: {error}") from None
            stream.flush()
            os.fsync(stream.fileno())
        if expected is not None and received != expected:
            raise _Broken(f"{address}: the connection ended after {received:,} of {expected:,} bytes")


def content_hash(path: Path, algorithm: str) -> str:
    """The file's hash; ``sha256`` is Git LFS's, ``md5-dos2unix`` DVC 2's, of text with line ends of Unix."""
    if algorithm == "sha256":
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    plain = file_md5(path)
    if algorithm != "md5-dos2unix":
        return plain
    from ckanext.mlops.client.hashing import Md5

    md5 = Md5()
    with path.open("rb") as stream:
        head = stream.read(512)
        if _binary(head):
            return plain
        stream.seek(0)
        # As DVC does it: chunk by chunk, so that a pair that is cut stays.
        while data := stream.read(CHUNK):
            md5.update(data.replace(b"\r\n", b"\n"))
    return md5.hexdigest()


def _binary(head: bytes) -> bool:
    """Whether DVC takes a file for binary, by its first 512 bytes."""
    text = bytes(range(32, 127)) + b"\n\r\t\f\b"
    if not head:
        return False
    return b"\x00" in head or len(head.translate(None, text)) / len(head) > 0.30


def safe_path(target: Path, path: str) -> Path:
    """Where a file of the portal is put: below ``target``, whatever the portal calls it.

    :raises ClientError: the name would lead elsewhere
    """
    parts = PurePosixPath(path).parts
    bad = any(part in ("", ".", "..") or "\\" in part or "\0" in part or ":" in part for part in parts)
    if not parts or path.startswith("/") or bad or any(part.split(".")[0].lower() in _WINDOWS for part in parts):
        raise ClientError(f"{path!r} is no name for a file below a folder; it is not written")
    found = target.joinpath(*parts)
    if not found.parent.resolve().is_relative_to(target.resolve()):
        raise ClientError(f"{path!r} leads out of {target} through a link; it is not written")
    return found
