"""Content of a version: opened wherever it lies, a storage of the operator or the repository's Git objects.

The web process, the presence check and the previews read through here. DVC is never asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ckan.plugins import toolkit as tk

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.gitobjects import GitObjects
from ckanext.mlops.core.mirror import existing_mirror
from ckanext.mlops.core.storage import Found, ObjectMissing, Store, read_all
from ckanext.mlops.core.stored import parse_manifest
from ckanext.mlops.harvesting import repositories
from ckanext.mlops.transfers import storages
from ckanext.mlops.transfers.origins import Origin

MAX_BLOB = 64 * 1024 * 1024
MAX_MANIFEST = 256 * 1024 * 1024
#: Files of a folder that are given; the reader, which only counts and compares them, stops earlier.
MAX_FILES = 1_000_000


class NotServed(MlopsError):
    """This portal was not told where the content lies."""


@dataclass(frozen=True)
class Member:
    """A file of a folder."""

    path: str
    hash: str


class Content:
    """The content of one file: its size, and its bytes from anywhere on."""

    def __init__(self, store: Store, key: str, version: str = "", *, signed: bool = False) -> None:
        self._store, self._key, self._version = store, key, version
        self.signed = signed

    def stat(self) -> Found:
        """Size of it.

        :raises ObjectMissing: it is not there
        :raises StorageError: the storage cannot be asked
        """
        found = self._store.stat(self._key, self._version)
        if found is None:
            raise ObjectMissing("The storage does not have it.")
        return found

    def read(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes; see :class:`~ckanext.mlops.core.storage.Store`."""
        return self._store.read(self._key, start, length, self._version)

    def local_path(self) -> Path | None:
        """The file on this machine, when it is one."""
        return self._store.local_path(self._key)

    def signed_url(self, seconds: int, file_name: str) -> str:
        """An address that gives it without credentials for some time; ``""`` when there is none."""
        return self._store.signed_url(self._key, seconds, file_name, self._version) if self.signed else ""


class _Blob(Content):
    """A file that Git holds."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.signed = False

    def stat(self) -> Found:
        return Found(len(self._data))

    def read(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return iter([self._data[start : None if length is None else start + length]])

    def local_path(self) -> Path | None:
        return None


@dataclass(frozen=True)
class Opened:
    """Where an output is: ``content`` of a file, ``members`` of a folder, or a ``public`` address."""

    content: Content | None = None
    place: storages.Place | None = None
    public: str = ""
    members: tuple[Member, ...] = ()

    def member(self, member: Member) -> Content:
        """The content of a file of the folder."""
        place = self.place
        if place is None:
            raise NotServed("The folder's files cannot be read one by one.")
        # The folder's own object is files/md5/ab/cdef….dir; each file's lies in the same layout.
        base = place.key[: -len(_tail(place.key))]
        return Content(place.store, f"{base}{member.hash[:2]}/{member.hash[2:]}", signed=place.signed)


def open_out(origin: Origin, out: dict[str, Any], *, members: bool = True) -> Opened:
    """The content of an output of a version.

    :param origin: of the version: :mod:`.origins`
    :param members: also read which files a folder has
    :raises NotServed: the portal does not know where it lies
    :raises ObjectMissing: it is not there
    :raises StorageError: the storage cannot be asked
    """
    choice = _choose(origin, out)
    if choice is None:
        raise NotServed(_why(out, origin))
    if _in_git(out):
        return Opened(_Blob(git_blob(origin.repository, str(out["blob"]))))
    if choice.public:
        return Opened(public=choice.public)
    place = storages.place(choice)
    if not out.get("is_dir"):
        return Opened(Content(place.store, place.key, place.version, signed=place.signed), place)
    found = _members(place) if members else ()
    return Opened(Content(place.store, place.key, place.version), place, members=found)


def why_not(origin: Origin, out: dict[str, Any]) -> str:
    """Why this portal cannot give an output of a version, as a sentence; ``""`` when it can. No storage is asked."""
    return "" if _choose(origin, out) is not None else _why(out, origin)


def _choose(origin: Origin, out: dict[str, Any]) -> storages.Choice | None:
    """The storage of an output; of what Git holds one without name."""
    if _in_git(out):
        return storages.Choice() if origin.read else None
    return storages.choose(origin.repository, out, sent=origin.sent)


def _in_git(out: dict[str, Any]) -> bool:
    return bool(out.get("blob")) and not out.get("is_dir")


def _why(out: dict[str, Any], origin: Origin) -> str:
    if origin.sent:
        return tk._(
            "The records of this version were sent, which proves nothing of who may read its files; the operator can "
            "trust who sends (ckanext.mlops.storage.<name>.pushed)."
        )
    if not origin.repository:
        return tk._("Nothing proves that it was read from the repository that the dataset names; harvest that.")
    if storages.in_lfs(out):
        if (out.get("extra") or {}).get("lfs_extensions"):
            return tk._("Git LFS keeps a transformed content, of which only a clone makes the file.")
        return tk._("Git LFS keeps the content, and this portal is not told where.")
    if not out.get("hash") and not out.get("storage"):
        return tk._("The repository never recorded this content: its command did not run, or was not committed.")
    if out.get("remote"):
        why = tk._('This portal is not told how to read the DVC remote "{remote}" of the repository.')
        return why.format(remote=out["remote"])
    return tk._("This portal is not told how to read the DVC remote of the repository.")


def _tail(key: str) -> str:
    return "/".join(key.split("/")[-2:])


def _members(place: storages.Place) -> tuple[Member, ...]:
    listed = parse_manifest(read_all(place.store, place.key, MAX_MANIFEST, place.version), MAX_FILES)
    return tuple(Member(each.path, each.hash) for each in listed)


def git_blob(repository: str, oid: str) -> bytes:
    """A file that Git holds, from the portal's own copy of the repository.

    :raises ObjectMissing: the copy does not have it
    """
    git_dir = existing_mirror(repository, repositories.mirrors())
    if git_dir is None:
        raise ObjectMissing("The portal has no copy of the repository any more; harvest it again.")
    with GitObjects(git_dir) as objects:
        for found in objects.read([oid], MAX_BLOB):
            if found.kind == "blob":
                return found.data
    raise ObjectMissing("The portal's copy of the repository does not have the file.")
