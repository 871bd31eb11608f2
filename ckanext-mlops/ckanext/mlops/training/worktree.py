"""What DVC tracks in a work tree, read from its ``dvc.lock``, ``dvc.yaml`` and ``*.dvc`` files: quickly, without DVC.

The work tree is the caller's own. Nothing is run and nothing written.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import posixpath
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ckanext.mlops.core.mlflow_records import clean_text

#: A work tree with more files than this is read in part: nobody's training waits for it.
MAX_ENTRIES = 50_000
#: Bytes that are hashed to see whether files are what ``dvc.lock`` says.
HASHED = 64 * 1024**2
_MAX_FILE = 32 * 1024**2
_SKIPPED = {".git", ".dvc", "node_modules", "__pycache__", "mlruns", "site-packages"}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Tracked:
    """A file or folder that DVC tracks.

    :param path: from the repository's root, POSIX
    :param hash: md5 as DVC writes it, with ``.dir`` for a folder
    :param address: the stage or ``.dvc`` file that it is an output of, as in the catalog: ``dvc.yaml:prepare``
    :param size: bytes, where DVC noted them
    """

    path: str
    hash: str
    address: str
    size: int | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.hash.endswith(".dir")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: what it reads and the command that it runs in ``folder``."""

    address: str
    folder: str
    command: str
    dependencies: tuple[str, ...]


@dataclass(frozen=True)
class WorkTree:
    """A Git work tree with DVC in it. :param root: the folder that holds ``.git``"""

    root: Path
    _outputs: dict[str, Tracked] = field(default_factory=dict, repr=False)
    _stages: dict[str, Stage] = field(default_factory=dict, repr=False)

    @classmethod
    def find(cls, start: Path) -> WorkTree | None:
        """The work tree around a folder; None where there is no Git, or no DVC."""
        for folder in (start, *start.parents):
            if (folder / ".git").exists():
                tree = cls(folder)
                tree._read()
                return tree if tree._outputs or tree._stages else None
        return None

    @cached_property
    def repository(self) -> str:
        """Address of the remote ``origin`` without credentials; ``""`` when there is none."""
        folder = self.root / ".git"
        if folder.is_file():  # a linked work tree or a submodule
            folder = self.root / folder.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
            common = folder / "commondir"
            folder = folder / common.read_text(encoding="utf-8").strip() if common.is_file() else folder
        config = configparser.RawConfigParser(strict=False, allow_no_value=True, comment_prefixes=("#", ";"))
        # Git indents its options, which is a continued line to ConfigParser.
        lines = (folder / "config").read_text(encoding="utf-8", errors="replace").splitlines()
        config.read_string("\n".join(line.strip() for line in lines))
        return clean_text(config.get('remote "origin"', "url", fallback=""), 2000)

    def output(self, path: str) -> Tracked | None:
        """What is tracked at that path (from the root), None when DVC does not track it as a whole."""
        return self._outputs.get(path)

    def stage(self, address: str = "", script: str = "") -> Stage | None:
        """The stage that runs: of that address (as DVC names it, seen from ``root``), or the only one that runs the
        script. None when it is not known for sure."""
        if address:
            place, _, name = address.rpartition(":")
            return self._stages.get(f"{place or 'dvc.yaml'}:{name}") or self._stages.get(address)
        running = [stage for stage in self._stages.values() if script and script in _scripts(stage)]
        return running[0] if len(running) == 1 else None

    def inputs(self, stage: Stage, *, trusted: bool) -> Iterator[Tracked]:
        """Its dependencies that DVC tracks, with the hashes of what is there now.

        :param trusted: DVC runs the stage, and brought everything before it up to date; else files are compared with
            their hashes, large ones by their size, and one that differs is left out
        """
        budget = HASHED
        for path in stage.dependencies:
            found = self._outputs.get(path)
            if found is None:
                continue
            if not trusted:
                same, budget = self.unchanged(found, budget)
                if not same:
                    continue
            yield found

    def unchanged(self, item: Tracked, budget: int = HASHED) -> tuple[bool, int]:
        """Whether a file is what its hash says, as far as ``budget`` bytes of hashing can tell; what is left of it."""
        place = self.root / item.path
        if item.is_folder:
            return place.is_dir(), budget
        try:
            size = place.stat().st_size
            if item.size is not None and size != item.size:
                return False, budget
            if size > budget:
                return item.size is not None, budget
            with place.open("rb") as file:
                found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        except OSError:
            return False, budget
        return found == item.hash, budget - size

    def _read(self) -> None:
        for path in self._files():
            name, folder = posixpath.basename(path), posixpath.dirname(path)
            content = self._load(path)
            if name in ("dvc.lock", "dvc.yaml"):
                found = content.get("stages", content if name == "dvc.lock" else {})
                for stage, entry in found.items() if isinstance(found, dict) else ():
                    if isinstance(entry, dict):
                        self._add(
                            f"{posixpath.join(folder, 'dvc.yaml')}:{stage}", folder, entry, lock=name == "dvc.lock"
                        )
            else:
                self._add(path, folder, content, lock=True)

    def _files(self) -> Iterator[str]:
        """The files that DVC writes, from the root; ``dvc.lock`` before ``dvc.yaml``."""
        seen = 0
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(
                name for name in folders if name not in _SKIPPED and not Path(folder, name, "pyvenv.cfg").exists()
            )
            seen += len(names) + len(folders)
            base = Path(folder).relative_to(self.root).as_posix()
            for name in sorted(names):
                if name in ("dvc.lock", "dvc.yaml", "Dvcfile") or (name.endswith(".dvc") and name != ".dvc"):
                    yield name if base == "." else f"{base}/{name}"
            if seen > MAX_ENTRIES:
                return

    def _load(self, path: str) -> dict[str, Any]:
        place = self.root / path
        try:
            if place.stat().st_size > _MAX_FILE:
                return {}
            found = yaml.load(place.read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe loader
        except (OSError, yaml.YAMLError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _add(self, address: str, folder: str, entry: Mapping[str, Any], *, lock: bool) -> None:
        place = _join(folder, str(entry.get("wdir") or "."))
        # Paths in dvc.lock are relative to its folder, those in other files to ``wdir``.
        base = folder if lock and ":" in address else place
        known = self._stages.get(address)
        if entry.get("cmd") or known:
            command = entry.get("cmd") or ""
            dependencies = [item.get("path") if isinstance(item, dict) else item for item in _list(entry.get("deps"))]
            paths = tuple(_join(base, item) for item in dependencies if isinstance(item, str) and "${" not in item)
            text = "\n".join(map(str, command)) if isinstance(command, list) else str(command)
            self._stages[address] = Stage(
                address, place, text or (known.command if known else ""), paths or (known.dependencies if known else ())
            )
        for item in _list(entry.get("outs")) if lock else ():
            if isinstance(item, dict) and isinstance(item.get("path"), str) and isinstance(item.get("md5"), str):
                size = item.get("size")
                path = _join(base, item["path"])
                self._outputs[path] = Tracked(path, item["md5"], address, size if isinstance(size, int) else None)


def _scripts(stage: Stage) -> Iterator[str]:
    """Files that a stage's command names, from the root."""
    try:
        words = shlex.split(stage.command)
    except ValueError:
        words = stage.command.split()
    return (_join(stage.folder, word) for word in words if not word.startswith("-"))


def _join(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))


def _list(value: Any) -> list[Any]:
    """The items of a list; those of DVC's mappings of options by their names."""
    if isinstance(value, list):
        return [
            next(iter(item)) if isinstance(item, dict) and len(item) == 1 and "path" not in item else item
            for item in value
        ]
    return []
