"""git-lfs pointers of a tree, as stages: one per folder that holds pointers, its outputs the files in it.

Only folders below a ``.gitattributes`` that mentions ``filter=lfs`` are looked at; there every file smaller than a
pointer can be is read and recognised by its content, so patterns of attributes need not be understood.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from .gitobjects import GitObjects
from .lfs import MAX_POINTER, Pointer, parse_pointer
from .limits import Limits
from .memo import Memo
from .model_names import is_model
from .records import Output, Stage
from .trees import TooManyFolders, Trees

Pointers = tuple[tuple[str, Pointer], ...]


class PointerReader:
    """Finds pointers; every distinct blob and folder is looked at once."""

    def __init__(self, objects: GitObjects, trees: Trees, limits: Limits) -> None:
        self.objects = objects
        self.trees = trees
        self.limits = limits
        self._pointers: Memo[str, Pointer | bool] = Memo(50_000)
        self._below: Memo[str, tuple[tuple[str, Pointers], ...]] = Memo(20_000)
        self._stages: Memo[tuple[str, str, Pointers], Stage] = Memo(2_000)

    def stages(self, tree: str, attributes: Iterable[str], root: str) -> list[Stage]:
        """Stages of kind ``lfs`` below the folders of the ``.gitattributes`` files in ``attributes``.

        :raises TooManyFolders: more files than the limits allow
        """
        result: dict[str, Stage] = {}
        for file in sorted(attributes):
            folder = posixpath.dirname(file)
            for below, pointers in self._folder(self.trees.tree(tree, folder), 0):
                path = posixpath.join(folder, below) if below else folder
                key = (path, file, pointers)
                stage = self._stages.get(key)
                if stage is None:
                    stage = _stage(path, file, pointers, root)
                    self._stages[key] = stage
                result.setdefault(path, stage)
        return list(result.values())

    def _folder(self, oid: str, depth: int) -> tuple[tuple[str, Pointers], ...]:
        known = self._below.get(oid)
        if known is not None:
            return known
        if depth > self.limits.depth:
            raise TooManyFolders(f"folders nest deeper than {self.limits.depth} (limit: depth)")
        folder = self.trees.folder(oid)
        self._load(folder.files.values())
        here = tuple(
            (name, pointer)
            for name, blob in sorted(folder.files.items())
            if isinstance(pointer := self._pointers.get(blob), Pointer)
        )
        found: list[tuple[str, Pointers]] = [("", here)] if here else []
        for name, child in sorted(folder.folders.items()):
            found.extend(
                (f"{name}/{below}" if below else name, pointers) for below, pointers in self._folder(child, depth + 1)
            )
            if len(found) > self.limits.stages:
                raise TooManyFolders(f"more than {self.limits.stages} folders hold git-lfs pointers (limit: stages)")
        result = tuple(found)
        self._below[oid] = result
        return result

    def _load(self, blobs: Iterable[str]) -> None:
        wanted = [oid for oid in dict.fromkeys(blobs) if self._pointers.get(oid) is None]
        self._pointers.reserve(2 * len(wanted))
        for item in self.objects.read(wanted, MAX_POINTER - 1):
            self._pointers[item.oid] = (parse_pointer(item.data) if item.kind == "blob" else None) or False


def _stage(folder: str, file: str, pointers: Pointers, root: str) -> Stage:
    outs = tuple(
        Output(
            path=posixpath.join(folder, name),
            hash=pointer.oid,
            algorithm="sha256",
            size=pointer.size,
            kind="model" if is_model(name, "") else "data",
            extra={"lfs_extensions": list(pointer.extensions)} if pointer.extensions else {},
        )
        for name, pointer in pointers
    )
    return Stage(
        address=f"{folder}/", file=file, name=posixpath.basename(folder) or "/", kind="lfs", root=root, outs=outs
    )
