"""The files of two versions, folders opened by the lists that their storages keep, and what differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.file_changes import File, FileChanges, compare
from ckanext.mlops.logic.reader import same_user
from ckanext.mlops.model import Version, contents
from ckanext.mlops.transfers import delivery, origins, profiles

MAX_MEMBERS = 100_000
MAX_SIZED = 200


@dataclass
class Opened:
    """The files of a version by path; ``unknown`` folders are in it as one thing, by the hash of all of it."""

    files: dict[str, File] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    bytes: int | None = 0
    _from: dict[str, tuple[delivery.Opened, delivery.Member]] = field(default_factory=dict)

    def size(self, path: str) -> int | None:
        """Bytes of a file of a folder, asked of its storage; None when it does not say."""
        if path not in self._from:
            return None
        opened, member = self._from[path]
        try:
            return opened.member(member).stat().size
        except MlopsError:
            return None

    def take(self, out: Mapping[str, Any], opened: delivery.Opened) -> None:
        """Put a folder's files in."""
        for member in opened.members:
            path = f"{out['path']}/{member.path}"
            self.files[path] = File(member.hash)
            self._from[path] = (opened, member)


def between(context: Context, before: Version, after: Version, repositories: Mapping[str, str]) -> dict[str, Any]:
    """What differs between the files of two versions; the answer of ``mlops_file_diff``.

    :param repositories: package id → address of the repository
    """
    equal = _hashes(before).items() & _hashes(after).items()
    sides = [_open(context, version, repositories[version.package_id], equal) for version in (before, after)]
    # A folder that only one side could open is compared as a whole.
    unknown = sides[0].unknown | sides[1].unknown
    for side, version in zip(sides, (before, after), strict=True):
        for path in unknown:
            side.files = {each: file for each, file in side.files.items() if not each.startswith(path + "/")}
            if path in _hashes(version):
                side.files[path] = File(_hashes(version)[path], _size(version, path))
    asked = 0

    def size_of(later: bool, path: str, _file: File) -> int | None:
        nonlocal asked
        asked += 1
        return sides[later].size(path) if asked <= MAX_SIZED else None

    found = compare(sides[0].files, sides[1].files, size_of)
    return {**_answer(found, sides, unknown, before, after), "columns": _columns(context, before, after)}


def _columns(context: Context, before: Version, after: Version) -> list[dict[str, Any]]:
    """How the columns of tables differ that a worker looked at on both sides, for who may take them."""
    old, new = _hashes(before), _hashes(after)
    paths = [path for path in new if path in old and old[path] != new[path]]
    for version in (before, after):
        if not paths:
            return []
        try:
            tk.check_access("mlops_download", same_user(context), {"id": version.package_id})
        except tk.NotAuthorized:
            return []
    there = contents.rows(before.package_id, [(path, old[path]) for path in paths])
    here = contents.rows(after.package_id, [(path, new[path]) for path in paths])
    found = []
    for path in paths:
        rows = there.get((path, old[path])), here.get((path, new[path]))
        profiled = [row.profile for row in rows if row is not None and row.profile]
        if len(profiled) == 2 and all(each.get("kind") == "table" for each in profiled):
            found.append({"path": path, "differences": profiles.difference(*profiled)})
    return found


def _answer(
    found: FileChanges, sides: list[Opened], unknown: Mapping[str, str], before: Version, after: Version
) -> dict[str, Any]:
    total = sides[1].bytes
    known = total and found.bytes_new is not None and not unknown
    share = max(0.0, 1 - (found.bytes_new or 0) / total) if known and total else None
    if share is None and found.total and not unknown:
        share = found.reused / found.total
    return {
        **{kind: found.count(kind) for kind in ("added", "removed", "changed")},
        "unchanged": found.unchanged,
        "reused": found.reused,
        "total": found.total,
        "share_reused": share,
        "share_of": None if share is None else "bytes" if known else "files",
        "bytes_before": sides[0].bytes,
        "bytes_after": total,
        "bytes_new": found.bytes_new,
        "bytes_gone": found.bytes_gone,
        "files": [
            {
                "path": each.path,
                "change": each.kind,
                "before": each.before.hash if each.before else None,
                "after": each.after.hash if each.after else None,
                "size_before": each.before.size if each.before else None,
                "size_after": each.after.size if each.after else None,
                "moved_from": each.moved_from or None,
            }
            for each in found.changes
        ],
        "unknown": [{"path": path, "why": why} for path, why in sorted(unknown.items())],
        "command": f"dvc diff {before.commit[:12]} {after.commit[:12]}",
    }


def _outs(version: Version) -> list[dict[str, Any]]:
    return [each for each in version.facts.get("outs") or () if each.get("path")]


def _hashes(version: Version) -> dict[str, str]:
    return {each["path"]: contents.key(each) for each in _outs(version)}


def _size(version: Version, path: str) -> int | None:
    size = next((each.get("size") for each in _outs(version) if each["path"] == path), None)
    return size if isinstance(size, int) else None


def _open(context: Context, version: Version, repository: str, equal: Any) -> Opened:
    side = Opened()
    origin = origins.of(model.Session(), repository, version)
    for out in _outs(version):
        path, key, size = out["path"], contents.key(out), out.get("size")
        side.bytes = side.bytes + size if side.bytes is not None and isinstance(size, int) else None
        named = (out.get("extra") or {}).get("files")
        if not out.get("is_dir"):
            side.files[path] = File(key, size if isinstance(size, int) else None)
        elif named:
            side.files |= {f"{path}/{name}": File(digest or "", bytes_) for name, digest, bytes_ in named}
        else:
            try:
                side.take(out, _members(context, version, origin, out))
            except MlopsError as error:
                if (path, key) in equal:
                    side.files[path] = File(key, size if isinstance(size, int) else None)
                else:
                    side.unknown[path] = str(error)
    return side


def _members(context: Context, version: Version, origin: origins.Origin, out: dict[str, Any]) -> delivery.Opened:
    """The list of a folder's files.

    :raises MlopsError: it cannot be had
    """
    reader = same_user(context)
    try:
        tk.check_access("mlops_download", reader, {"id": version.package_id})
    except tk.NotAuthorized:
        raise delivery.NotServed(tk._("The files are given on request: ask for access.")) from None
    count = out.get("nfiles")
    if isinstance(count, int) and count > MAX_MEMBERS:
        raise delivery.NotServed(tk._("The folder has {n} files, more than a page compares.").format(n=count))
    opened = delivery.open_out(origin, out)
    if opened.public or not opened.members:
        raise delivery.NotServed(tk._("No storage that this portal reads has the list of the folder's files."))
    return opened
