"""From a stage's shape, its lock entry and what Git holds to its record."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin

from .errors import ContentError
from .hash_entries import ENTRY_KEYS, hashed, own_key
from .limits import Limits
from .model_names import is_model
from .records import Dependency, Metric, Output, Param, Stage
from .remotes import Remotes, relative_to
from .said import said
from .shapes import OPTIONS, DepShape, Label, OutShape, Shape, output_notes
from .untrusted import clean, clean_url, plain
from .values import LFS_REMEDY, metric_values, select

_FOLDER = "/"


class StageBuilder:
    """Makes :class:`Stage` records.

    :param repository_url: as it is shown; relative URLs of imports start there
    :param values: ``(object id, path)`` to the parsed values of a file; raises ContentError when it is not readable
    """

    def __init__(self, repository_url: str, limits: Limits, values: Callable[[str, str], Any]) -> None:
        self.repository_url = repository_url
        self.limits = limits
        self.values = values

    def build(
        self, shape: Shape, lock: Any, held: Mapping[str, str], remotes: Remotes, labels: Mapping[str, Label]
    ) -> tuple[Stage, tuple[str, ...]]:
        """The record and what is wrong with it.

        :param lock: the stage's entry in the lock, None when it has none
        :param held: ``shape.looked`` to the object id of the file there, ``/`` and the id for a folder, ``""`` for none
        :param labels: entries of ``artifacts:`` by path
        """
        problems = list(shape.problems)
        locked = lock if isinstance(lock, dict) else {}
        deps_info, outs_info = _by_path(locked.get("deps"), shape), _by_path(locked.get("outs"), shape)
        outs = tuple(self._output(shape, out, outs_info, held, remotes, labels, problems) for out in shape.outs)
        deps = tuple(self._dependency(shape, dep, deps_info, remotes, problems) for dep in shape.deps)
        desc = shape.desc
        if not desc and len(outs) == 1 and shape.kind != "stage":
            desc = outs[0].desc
        stage = Stage(
            address=shape.address,
            file=shape.file,
            name=shape.name,
            kind=shape.kind,
            root=shape.root,
            line=shape.line,
            command=shape.command,
            wdir=shape.wdir,
            deps=deps,
            outs=outs,
            params=tuple(self._params(shape, locked.get("params"), held)),
            metrics=tuple(self._metrics(outs, held, problems)),
            hints=shape.hints,
            frozen=shape.frozen,
            always_changed=shape.always_changed,
            desc=desc,
            meta=shape.meta,
            extra=shape.extra,
        )
        return stage, tuple(problems)

    def _output(
        self,
        shape: Shape,
        out: OutShape,
        locked: Mapping[str, dict[str, Any]],
        held: Mapping[str, str],
        remotes: Remotes,
        labels: Mapping[str, Label],
        problems: list[str],
    ) -> Output:
        at, options = out.at, out.options
        info = out.info if out.info is not None else locked.get(at.key, {})
        found = hashed(info, self.limits)
        if found.problem:
            problems.append(said(f"output {at.path}: {found.problem}"))
        extra = dict(found.extra)
        for key, value in options.items():
            if key not in OPTIONS and key not in ENTRY_KEYS and (out.plot is None or key not in out.plot):
                extra[own_key(key)] = plain(value, self.limits)
        if at.outside:
            extra["outside"] = at.outside
        cached = options.get("cache", True) is not False
        pushed = options.get("push", True) is not False
        remote, storage = found.remote or clean(options.get("remote")), ""
        if at.url:
            storage = remotes.url(at.path)
        elif cached and pushed and (found.hash or found.version_id or found.remote) and shape.kind != "import":
            dvc3 = found.algorithm != "md5-dos2unix"
            path = relative_to(at.path, shape.root)
            remote, storage = remotes.storage(remote, path, found.hash, dvc3=dvc3)
        blob = held.get(at.path, "")
        notes = output_notes(options, self.limits)
        label = labels.get(at.path)
        if label:
            notes = {key: notes[key] or label.notes[key] for key in notes}
        kind = out.kind
        if kind == "data" and is_model(at.path, notes["type"]):
            kind = "model"
        return Output(
            path=clean_url(at.path) if at.url else at.path,
            hash=found.hash,
            algorithm=found.algorithm,
            size=found.size,
            nfiles=found.nfiles,
            is_dir=bool(found.hash and found.hash.endswith(".dir")) or found.nfiles is not None or blob[:1] == _FOLDER,
            kind=kind,
            cached=cached,
            pushed=pushed,
            persist=options.get("persist") is True,
            remote=remote,
            storage=storage,
            version_id=found.version_id,
            blob="" if blob[:1] == _FOLDER else blob,
            artifact=label.name if label else "",
            plot=out.plot or {},
            extra=extra,
            **notes,
        )

    def _dependency(
        self,
        shape: Shape,
        dep: DepShape,
        locked: Mapping[str, dict[str, Any]],
        remotes: Remotes,
        problems: list[str],
    ) -> Dependency:
        at = dep.at
        info = dep.info if dep.info is not None else locked.get(at.key, {})
        found = hashed(info, self.limits)
        if found.problem:
            problems.append(said(f"dependency {at.path}: {found.problem}"))
        extra = dict(found.extra)
        fields: dict[str, Any] = {
            "hash": found.hash,
            "algorithm": found.algorithm,
            "size": found.size,
            "nfiles": found.nfiles,
            "version_id": found.version_id,
        }
        repo = info.get("repo")
        if isinstance(repo, dict):
            path = posixpath.normpath(clean(info.get("path"))).lstrip("/")
            source = self._source(repo.get("url"))
            return Dependency(
                path=path, kind="repo", source=source, rev=clean(repo.get("rev")),
                rev_lock=clean(repo.get("rev_lock")), extra=extra, **fields,
            )  # fmt: skip
        if isinstance(info.get("db"), dict):
            # The query may hold anything and the connection a password: neither is kept.
            name = clean(info["db"].get("connection") or info["db"].get("profile") or "database", 200)
            return Dependency(path=clean_url(name) or name.rpartition("@")[2], kind="db", extra=extra, **fields)
        if at.path.startswith("ds://"):
            return _dataset(
                at.path.removeprefix("ds://"), info.get("dataset"), shape.datasets, extra, fields, self._source
            )
        if at.url:
            url = remotes.url(at.path)
            return Dependency(
                path=url or clean(at.path).rpartition("@")[2], kind="url", source=url, extra=extra, **fields
            )
        if at.outside:
            return Dependency(path=at.path, kind="url", extra={**extra, "outside": at.outside}, **fields)
        is_stage = at.path.endswith(".dvc") or posixpath.basename(at.path) == "Dvcfile"
        return Dependency(path=at.path, kind="stage" if is_stage else "path", extra=extra, **fields)

    def _source(self, url: Any) -> str:
        """URL of another repository: relative ones start at this one's, private local ones are hidden."""
        text = clean(url)
        if re.match(r"[^@/\s]+@[^:/\s]+:(?!//)", text):
            return "ssh://" + text.partition("@")[2].replace(":", "/", 1)
        cleaned = clean_url(text)
        if cleaned and not cleaned.startswith("file:"):
            return cleaned
        local = self.repository_url.startswith("file:")
        if text.startswith("/") or cleaned:
            return (cleaned or f"file://{text}") if local else ""
        if text.startswith("."):
            if text.rstrip("/") == ".":
                return self.repository_url
            return urljoin(self.repository_url.rstrip("/") + "/", text).rstrip("/")
        return ""

    def _params(self, shape: Shape, locked: Any, held: Mapping[str, str]) -> list[Param]:
        result: list[Param] = []
        locked = locked if isinstance(locked, dict) else {}
        for item in shape.params:
            known = item.values if item.values is not None else locked.get(item.raw)
            if isinstance(known, dict):
                keys = item.keys if item.keys is not None else tuple(known)
                result.extend(
                    Param(item.file, clean(key), plain(known[key], self.limits)) for key in keys if key in known
                )
            elif held.get(item.file, "")[:1] not in ("", _FOLDER):
                result.extend(self.file_params(item.file, held[item.file], item.keys))
        return result

    def file_params(self, file: str, oid: str, keys: tuple[str, ...] | None) -> list[Param]:
        """What a params file says: its top-level keys, or only ``keys``; nothing when it is not readable."""
        try:
            values = self.values(oid, file)
        except ContentError:
            return []
        if keys is None:
            return [Param(file, key, value) for key, value in values.items()] if isinstance(values, dict) else []
        result = []
        for key in dict.fromkeys(keys):
            try:
                result.append(Param(file, key, select(values, key)))
            except KeyError:
                continue
        return result

    def _metrics(self, outs: tuple[Output, ...], held: Mapping[str, str], problems: list[str]) -> list[Metric]:
        result: list[Metric] = []
        for out in outs:
            if out.kind == "metrics":
                result.extend(self.metrics(out.path, held.get(out.path, ""), out.cached, held, problems))
        return result

    def metrics(self, path: str, oid: str, cached: bool, held: Mapping[str, str], problems: list[str]) -> list[Metric]:
        """The metrics at ``path``: of a file, or of each file of a folder."""
        if oid[:1] == _FOLDER:
            return [
                metric
                for below, child in sorted(held.items())
                if below.startswith(path + "/") and child[:1] not in ("", _FOLDER)
                for metric in self.metrics(below, child, cached, {}, problems)
            ]
        if not oid:
            why = "DVC stores it in a remote, Git has its hash" if cached else "no such file in Git"
            return [Metric(path, "not-in-git", detail=why)]
        try:
            values = metric_values(self.values(oid, path))
        except ContentError as error:
            if error.remedy == LFS_REMEDY:
                return [Metric(path, "not-in-git", detail=error.message)]
            problems.append(said(f"metrics {path}: {error.message}"))
            return [Metric(path, "invalid", detail=error.message)]
        return [Metric(path, "in-git", {} if values is None else values)]


def _by_path(entries: Any, shape: Shape) -> dict[str, dict[str, Any]]:
    if not isinstance(entries, list):
        return {}
    result = {}
    for item in entries:
        if isinstance(item, dict) and isinstance(item.get("path"), str):
            result[shape.place.locate(item["path"]).key] = item
    return result


def _dataset(
    name: str,
    locked: Any,
    datasets: Mapping[str, Any],
    extra: dict[str, Any],
    fields: dict[str, Any],
    source: Callable[[Any], str],
) -> Dependency:
    """A dependency on an entry of ``datasets:``; ``locked`` is what the lock says of it."""
    entry = locked if isinstance(locked, dict) else datasets.get(name)
    entry = entry if isinstance(entry, dict) else {}
    lock = entry.get("lock") if isinstance(entry.get("lock"), dict) else entry
    if entry.get("path"):
        extra = {**extra, "path": clean(entry["path"])}
    if entry.get("type"):
        extra = {**extra, "type": clean(entry["type"], 40)}
    return Dependency(
        path=clean(name),
        kind="dataset",
        source=source(entry.get("url")),
        rev=clean(entry.get("rev")),
        rev_lock=clean(lock.get("rev_lock") or lock.get("version")) if isinstance(lock, dict) else "",
        extra=extra,
        **fields,
    )
