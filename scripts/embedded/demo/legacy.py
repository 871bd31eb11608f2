"""Record a step that was run as DVC 0.5x did: one stage file per step, objects of the old layout in the remote.

Hand-written because no DVC that runs on this Python writes these files: 3.x refuses them, 2.x reads them only. The
form is that of files which DVC 0.5x wrote in 2019; the test recomputes the checksums of some of those.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

CONFIG = "['remote \"storage\"']\nurl = {url}\n[core]\nremote = storage\n"
IGNORED = "/state\n/lock\n/config.local\n/updater\n/updater.lock\n/state-journal\n/state-wal\n/cache\n/tmp\n"
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_NOT_HASHED = frozenset({"locked", "metric", "tags", "persist"})


@dataclass(frozen=True, slots=True)
class LegacyStage:
    """A step; paths are relative to the repository's root.

    :param file: the stage file, ``dvc/01-fetch-data.dvc`` or ``Dvcfile``
    :param wdir: folder that the command runs in
    :param metric: the output that holds metrics, ``""`` when there is none
    :param metric_in_git: whether Git keeps the metrics (``dvc run -M``) or the DVC cache does (``-m``)
    """

    file: str
    cmd: str
    wdir: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    metric: str = ""
    metric_in_git: bool = False

    def with_metric_in_git(self) -> LegacyStage:
        """The same step after ``dvc metrics`` was told to leave the file to Git."""
        return replace(self, metric_in_git=True)


def md5_dos2unix(path: Path) -> str:
    """The hash of DVC 2 and older: md5 of the bytes, of text files with CRLF read as LF."""
    content = path.read_bytes()
    head = content[:512]
    if b"\0" not in head and len(head.translate(None, _TEXT)) <= 0.3 * len(head):
        content = content.replace(b"\r\n", b"\n")
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def stage_md5(stage: dict[str, Any]) -> str:
    """The checksum by which DVC 0.5x knew whether a stage file was changed.

    :param stage: the file's content; its own ``md5``, if there, does not count
    """
    counted = {key: value for key, value in stage.items() if key != "md5" and (key, value) != ("wdir", ".")}
    return hashlib.md5(json.dumps(_strip(counted), sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def record(stage: LegacyStage, work: Path, remote: Path) -> None:
    """Hash what the stage read and wrote, write its stage file, hide its outputs from Git, store them in the remote."""
    folder = PurePosixPath(stage.file).parent
    outs = []
    for path in stage.outs:
        in_git = path == stage.metric and stage.metric_in_git
        md5 = md5_dos2unix(work / path)
        outs.append(
            {
                "md5": md5,
                "path": _relative(path, stage.wdir),
                "cache": not in_git,
                "metric": path == stage.metric,
                "persist": False,
            }
        )
        _ignore(work / path, hidden=not in_git)
        if not in_git:
            _store(work / path, remote / md5[:2] / md5[2:])
    content: dict[str, Any] = {
        "cmd": stage.cmd,
        "wdir": _relative(stage.wdir, str(folder)),
        "deps": [{"md5": md5_dos2unix(work / path), "path": _relative(path, stage.wdir)} for path in stage.deps],
        "outs": outs,
    }
    target = work / stage.file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(dump({"md5": stage_md5(content), **content}))


def dump(content: dict[str, Any]) -> str:
    """The text of a stage file."""
    return str(yaml.safe_dump(content, sort_keys=False, width=10_000))


def _strip(value: Any) -> Any:
    if isinstance(value, list):
        return [_strip(item) for item in value]
    if isinstance(value, dict):
        return {key: _strip(item) for key, item in value.items() if key not in _NOT_HASHED}
    return value


def _relative(path: str, start: str) -> str:
    return PurePosixPath(os.path.relpath(path, start)).as_posix()


def _ignore(path: Path, *, hidden: bool) -> None:
    file = path.parent / ".gitignore"
    before = file.read_text().splitlines() if file.exists() else []
    line = f"/{path.name}"
    lines = [item for item in before if item != line] + ([line] if hidden else [])
    file.write_text("".join(f"{item}\n" for item in lines))


def _store(path: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.copyfile(path, partial)
    partial.replace(target)
