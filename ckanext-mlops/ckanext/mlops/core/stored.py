"""What the DVC remotes of a repository hold, asked of storages that the operator named: never without being asked to.

A repository only says where its remotes are (URL and layout, :mod:`.remotes`); whether and how they are read is said
by the operator, remote by remote (:class:`.storage.Settings`). Everything is bounded: objects that are asked for,
files of a folder, bytes of a value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .errors import ContentError
from .limits import DEFAULTS, Limits
from .records import Metric, Output, Remote, Snapshot, Stage
from .storage import Settings, StorageError, Store, open_store, read_all
from .untrusted import clean
from .values import ValueReader, metric_values

State = Literal["pushed", "missing", "unknown"]
_THREADS = 16
_MAX_MANIFEST = 64 * 1024 * 1024
_MAX_FILES = 100_000
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a folder that a remote stores; ``size`` is None when the remote lacks it or was not asked."""

    path: str
    hash: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a remote has an output.

    :param state: ``unknown``: nobody said how to read its remote, or it does not answer; ``detail`` says which
    :param missing: files of a folder that are not there, of the ``asked`` ones
    """

    path: str
    state: State
    detail: str = ""
    missing: int = 0
    asked: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """``named``: the remote keeps files under their own names (version-aware, worktree), not under their hashes."""

    store: Store
    key: str
    version: str = ""
    named: bool = False

    def member(self, file: StoredFile) -> str:
        """Key of a folder's file: below it, or beside the folder's list in the same layout."""
        if self.named:
            return f"{self.key}/{file.path}"
        base = self.key.rsplit("/", 2)[0] if self.key.count("/") > 1 else ""
        return "/".join(part for part in (base, file.hash[:2], file.hash[2:]) if part)


@dataclass
class Stores:
    """The storages that may be read.

    :param settings: by name of the DVC remote in the repository
    :param most: objects that are asked for at most in one question
    """

    settings: Mapping[str, Settings]
    limits: Limits = DEFAULTS
    most: int = 10_000
    _open: dict[str, Store] = field(default_factory=dict)

    def presence(self, snapshot: Snapshot) -> Iterator[Presence]:
        """Of every output of a snapshot that a remote should have; nothing is downloaded but lists of folders."""
        outs = [
            out
            for stage in snapshot.stages
            if stage.kind not in ("import", "lfs")  # the remotes of another repository, an LFS server
            for out in stage.outs
            if out.hash and out.cached and out.pushed
        ]
        jobs = ((out, self._place(out, snapshot.remotes)) for out in outs[: self.most])
        with ThreadPoolExecutor(_THREADS) as pool:
            yield from pool.map(lambda job: self._presence(*job), list(jobs))
        yield from (
            Presence(out.path, "unknown", f"only {self.most} outputs are asked for") for out in outs[self.most :]
        )

    def manifest(self, out: Output, remotes: Sequence[Remote], *, sizes: bool = True) -> tuple[StoredFile, ...]:
        """Files of a folder, sorted by path.

        :param sizes: also ask the remote for the size of each
        :raises StorageError: nobody said how to read the remote, or it does not have the list
        """
        found = self._place(out, remotes)
        if isinstance(found, str):
            raise StorageError(f"{out.path}: {found}")
        files = self._files(out, found)
        if not sizes:
            return files
        with ThreadPoolExecutor(_THREADS) as pool:
            asked = pool.map(lambda file: self._sized(file, found), files[: self.most])
            return (*asked, *files[self.most :])

    def with_values(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the metrics that only remotes hold: state ``from-remote``, or why not in ``detail``."""
        return filled(snapshot, lambda metric, out: self._value(metric, out, snapshot.remotes))

    def content(self, out: Output, remotes: Sequence[Remote], limit: int) -> bytes:
        """A file that a remote stores, its hash proven.

        :raises StorageError: it cannot be read, is larger than ``limit`` or is not what Git says
        """
        found = self._place(out, remotes)
        if isinstance(found, str):
            raise StorageError(f"{out.path}: {found}")
        if out.size is not None and out.size > limit:
            raise StorageError(f"{out.path}: is {out.size:,} bytes, more than the limit of {limit:,}")
        data = read_all(found.store, found.key, limit, found.version)
        if not proven(out, data):
            raise StorageError(f"{out.path}: the remote has something else under that hash")
        return data

    def _value(self, metric: Metric, out: Output, remotes: Sequence[Remote]) -> Metric:
        if out.is_dir or out.remote not in self.settings:
            return metric
        try:
            data = self.content(out, remotes, self.limits.value_bytes)
            values = values_of(data, metric.file, self.limits)
        except StorageError as error:
            return replace(metric, detail=str(error))
        except ContentError as error:
            return Metric(metric.file, "invalid", detail=error.message)
        return Metric(metric.file, "from-remote", values)

    def _place(self, out: Output, remotes: Sequence[Remote]) -> _Place | str:
        """Where an output is, or why that is not known."""
        if not out.storage:
            return "the repository names no remote for it"
        settings = self.settings.get(out.remote)
        if settings is None:
            return f"nobody said how to read the remote '{out.remote}'"
        remote = next((one for one in remotes if one.name == out.remote), None)
        url = remote.url.rstrip("/") if remote else ""
        if url and not out.storage.startswith(url + "/"):
            return "its address is not below that of its remote"
        key = out.storage[len(url) + 1 :] if url else out.storage
        try:
            store = self._open.get(settings.name) or self._open.setdefault(settings.name, open_store(settings))
        except StorageError as error:
            return str(error)
        return _Place(store, key, out.version_id, remote is not None and (remote.version_aware or remote.worktree))

    def _presence(self, out: Output, place: _Place | str) -> Presence:
        if isinstance(place, str):
            return Presence(out.path, "unknown", place)
        try:
            if out.is_dir and not place.named and place.store.stat(place.key) is None:
                return Presence(out.path, "missing", "the remote lacks the list of its files", 1, 1)
            if out.is_dir:
                keys = [place.member(file) for file in self._files(out, place)[: self.most]]
                missing = sum(place.store.stat(key) is None for key in keys)
            else:
                keys = [place.key]
                missing = int(place.store.stat(place.key, place.version) is None)
        except StorageError as error:
            return Presence(out.path, "unknown", str(error))
        return Presence(out.path, "missing" if missing else "pushed", "", missing, len(keys))

    def _files(self, out: Output, place: _Place) -> tuple[StoredFile, ...]:
        """Files of a folder: Git lists them for a version-aware remote, the remote itself for others."""
        if place.named:
            listed = out.extra.get("files") or ()
            return tuple(sorted((StoredFile(path, hash_ or "", size) for path, hash_, size in listed), key=_path))
        if not (out.hash or "").endswith(".dir"):
            return ()
        data = read_all(place.store, place.key, _MAX_MANIFEST)
        if not proven(out, data):
            raise StorageError(f"{out.path}: the remote's list of its files is not the one that Git names")
        return parse_manifest(data)

    def _sized(self, file: StoredFile, place: _Place) -> StoredFile:
        try:
            found = place.store.stat(place.member(file))
        except StorageError:
            return file
        return replace(file, size=found.size) if found else file


def filled(
    snapshot: Snapshot, value: Callable[[Metric, Output], Metric], memo: dict[int, tuple[Stage, Stage]] | None = None
) -> Snapshot:
    """The snapshot with ``value(metric, its output)`` for each metrics file that Git does not hold.

    :param memo: keeps stages that snapshots share shared: id of a stage → it, and what it became
    """
    memo = {} if memo is None else memo
    own = {out.path: out for stage in snapshot.stages for out in stage.outs}

    def stage_with(stage: Stage) -> Stage:
        if not any(metric.state == "not-in-git" for metric in stage.metrics):
            return stage
        if id(stage) not in memo:
            outs = {out.path: out for out in stage.outs}
            memo[id(stage)] = (stage, replace(stage, metrics=metrics_with(stage.metrics, outs)))
        return memo[id(stage)][1]

    def metrics_with(metrics: Iterable[Metric], outs: Mapping[str, Output]) -> tuple[Metric, ...]:
        return tuple(
            value(metric, outs[metric.file]) if metric.state == "not-in-git" and metric.file in outs else metric
            for metric in metrics
        )

    return replace(
        snapshot,
        stages=tuple(map(stage_with, snapshot.stages)),
        metrics=metrics_with(snapshot.metrics, own),
    )


def values_of(data: bytes, path: str, limits: Limits = DEFAULTS) -> Any:
    """The metrics in a file.

    :raises ContentError: it is no metrics file
    """
    values = metric_values(ValueReader(limits).read(data, path))
    return {} if values is None else values


def parse_manifest(data: bytes, most: int = _MAX_FILES) -> tuple[StoredFile, ...]:
    """The files in a ``.dir`` object, sorted by path; entries that are none are left out.

    :param most: files that it may have
    :raises StorageError: it is no list of files
    """
    try:
        listed = json.loads(data)
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or len(listed) > most:
        raise StorageError("A folder's list of files is damaged or too long.")
    return tuple(sorted(filter(None, map(_entry, listed)), key=_path))


def _path(file: StoredFile) -> str:
    return file.path


def _entry(item: Any) -> StoredFile | None:
    path, digest = (item.get("relpath"), item.get("md5")) if isinstance(item, dict) else (None, None)
    if not isinstance(path, str) or not isinstance(digest, str):
        return None
    if (
        not path
        or any(part in ("", ".", "..") for part in path.split("/"))
        or "\\" in path
        or clean(path, 4_000) != path
    ):
        return None
    return StoredFile(path, digest) if len(digest) == 32 and _HEX.issuperset(digest) else None


def proven(out: Output, data: bytes) -> bool:
    """Whether the bytes have the hash that Git names; True where that cannot be told."""
    expected = (out.hash or "").removesuffix(".dir")
    if out.algorithm not in ("md5", "md5-dos2unix"):
        return True
    texts = [data] if out.algorithm == "md5" else [data, data.replace(b"\r\n", b"\n")]
    return any(hashlib.md5(text, usedforsecurity=False).hexdigest() == expected for text in texts)


def stores_of(pairs: Iterable[tuple[str, str]], limits: Limits = DEFAULTS) -> Stores:
    """Storages by name of the remote and address; credentials are those of the environment (AWS's own variables)."""
    return Stores({name: Settings(name, url) for name, url in pairs}, limits)
