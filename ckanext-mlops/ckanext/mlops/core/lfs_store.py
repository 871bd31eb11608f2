"""Content of git-lfs pointers as a :class:`~ckanext.mlops.core.storage.Store`: a server of LFS, or where one keeps it.

A key is the pointer's oid and size, ``oid:size``. Servers are asked at the operator's address by the batch API
(https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md); a repository's ``.lfsconfig`` counts for nothing. The
server names the address of the bytes, with headers for it, and may send on from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .storage import TIMEOUT, Found, HttpStore, ObjectMissing, Settings, StorageError, Store

MEDIA = "application/vnd.git-lfs+json"
MAX_ANSWER = 1024 * 1024
_KEY = re.compile(r"(?P<oid>[0-9a-f]{64}):(?P<size>[0-9]{1,18})")


def lfs_key(oid: str, size: int) -> str:
    """The key of a pointer's content."""
    return f"{oid}:{size}"


def _pointer(key: str) -> tuple[str, int]:
    found = _KEY.fullmatch(key)
    if found is None:
        raise ObjectMissing("The storage has no object of that name.")
    return found["oid"], int(found["size"])


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _layouts(oid: str) -> tuple[str, ...]:
    """Where an object lies: as Git LFS, GitHub's test server, Gitea and GitLab, and giftless put it."""
    folder = f"{oid[:2]}/{oid[2:4]}"
    return f"{folder}/{oid}", f"{folder}/{oid[4:]}", oid


class LfsFolder:
    """Objects in a folder, a bucket or any other store, such as ``lfs/objects`` of a bare repository."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._layout = 0  # the one that was met last is tried first

    def _find(self, key: str) -> tuple[str, Found] | None:
        oid, size = _pointer(key)
        places = _layouts(oid)
        for number in sorted(range(len(places)), key=lambda each: each != self._layout):
            found = self._store.stat(places[number])
            if found is not None and not found.is_dir:
                self._layout = number
                if found.size != size:
                    raise StorageError(
                        f"The storage has {found.size:,} bytes of it in place of {size:,}; push it again."
                    )
                return places[number], found
        return None

    def _place(self, key: str) -> str:
        found = self._find(key)
        if found is None:
            raise ObjectMissing("The storage does not have it.")
        return found[0]

    def stat(self, key: str, version: str = "") -> Found | None:
        """See :class:`Store`."""
        found = self._find(key)
        return found[1] if found else None

    def read(self, key: str, start: int = 0, length: int | None = None, version: str = "") -> Iterator[bytes]:
        """See :class:`Store`."""
        return self._store.read(self._place(key), start, length)

    def local_path(self, key: str) -> Path | None:
        """See :class:`Store`."""
        found = self._find(key)
        return self._store.local_path(found[0]) if found else None

    def signed_url(self, key: str, seconds: int, file_name: str, version: str = "") -> str:
        """See :class:`Store`."""
        return self._store.signed_url(self._place(key), seconds, file_name)


@dataclass(frozen=True)
class _Download:
    href: str
    size: int
    header: Mapping[str, str]
    authenticated: bool = False


class LfsServer(HttpStore):
    """A server of LFS, at the address that git-lfs calls ``lfs.url``: ``https://host/owner/name.git/info/lfs``."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._origin = _origin(self.url)

    def stat(self, key: str, version: str = "") -> Found | None:
        """See :class:`Store`."""
        try:
            return Found(self._download(key).size)
        except ObjectMissing:
            return None

    def signed_url(self, key: str, seconds: int, file_name: str, version: str = "") -> str:
        """The server's own address of the bytes, where it wants no header and is not the server itself."""
        found = self._download(key)
        return "" if found.header or _origin(found.href) == self._origin else found.href

    def _ask(self, method: str, key: str, headers: Mapping[str, str]) -> Any:
        found = self._download(key)
        named = any(name.lower() == "authorization" for name in found.header)
        # Credentials are for the server that the operator named, as git-lfs does it.
        mine = _origin(found.href) == self._origin and not named and not found.authenticated
        credentials = self._headers if mine else {"Accept-Encoding": "identity"}
        # Not the account's ~/.netrc, which requests would look into.
        with self._requests.Session() as session:
            session.trust_env = False
            session.max_redirects = 5
            return self._checked(
                lambda: session.get(
                    found.href,
                    headers={**credentials, **found.header, **headers},
                    auth=self._auth if mine else None,
                    stream=True,
                    timeout=TIMEOUT,
                )
            )

    def _download(self, key: str) -> _Download:
        """Where the server has the bytes.

        :raises ObjectMissing: it does not have them
        :raises StorageError: it cannot be asked
        """
        oid, size = _pointer(key)
        asked = {
            "operation": "download",
            "transfers": ["basic"],
            "hash_algo": "sha256",
            "objects": [{"oid": oid, "size": size}],
        }
        try:
            with self._requests.post(
                f"{self.url}/objects/batch",
                json=asked,
                headers={**self._headers, "Accept": MEDIA, "Content-Type": MEDIA},
                auth=self._auth,
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code != 200:
                    raise StorageError(f"The LFS server does not say where it is (HTTP {response.status_code}).")
                text = response.raw.read(MAX_ANSWER, decode_content=True)
                answer = self._json(text)
        except self._requests.RequestException as error:
            raise StorageError(f"The LFS server cannot be reached ({type(error).__name__}).") from None
        return self._parsed(answer, oid, size)

    def _json(self, text: bytes) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise StorageError("The LFS server's answer is no JSON; is its address right (…/info/lfs)?") from None

    def _parsed(self, answer: Any, oid: str, size: int) -> _Download:
        objects = answer.get("objects") if isinstance(answer, dict) else None
        entry = next((each for each in objects or () if isinstance(each, dict) and each.get("oid") == oid), None)
        if entry is None:
            raise StorageError("The LFS server's answer does not speak of the file.")
        error = entry.get("error")
        if isinstance(error, dict):
            if error.get("code") in (404, 410):
                raise ObjectMissing("The LFS server does not have it.")
            raise StorageError(f"The LFS server did not give it (code {str(error.get('code'))[:10]}).")
        actions = entry.get("actions")
        action = actions.get("download") if isinstance(actions, dict) else None
        if not isinstance(action, dict):
            raise ObjectMissing("The LFS server does not have it.")
        href, header = str(action.get("href") or ""), action.get("header") or {}
        scheme = urlsplit(href).scheme
        if scheme not in ("http", "https") or (self._origin[0] == "https" and scheme != "https"):
            raise StorageError("The LFS server names an address that is not used (https is wanted).")
        if not isinstance(header, dict):
            header = {}
        return _Download(
            href, size, {str(name): str(value) for name, value in header.items()}, bool(entry.get("authenticated"))
        )
