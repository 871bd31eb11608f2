"""Any file of one revision, by its path: what plots draw, an MLflow store that was committed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from .gitobjects import GitObject, GitObjects
from .limits import DEFAULTS, Limits
from .trees import Trees


class RevisionFiles:
    """Files and folders of one tree. Paths are POSIX; what is not there is empty or None; links are not followed.

    It has the methods of :class:`.mlflow_files.Tree`.

    :param tree: object id of the root folder (:attr:`.records.Revision.tree`)
    :param below: the folder that paths start at
    """

    def __init__(self, objects: GitObjects, tree: str, limits: Limits = DEFAULTS, below: str = "") -> None:
        self.objects = objects
        self.tree = tree
        self.limits = limits
        self.below = below
        self._trees = Trees(objects, limits)

    def at(self, path: str) -> RevisionFiles:
        """The same files, paths starting at a folder."""
        return RevisionFiles(self.objects, self.tree, self.limits, self._path(path))

    def folders(self, path: str = "") -> Sequence[str]:
        """Names of the folders in a folder, sorted."""
        return sorted(self._trees.folder(found).folders) if (found := self._folder(path)) else ()

    def files(self, path: str = "") -> Sequence[str]:
        """Names of the files in a folder, sorted."""
        return sorted(self._trees.folder(found).files) if (found := self._folder(path)) else ()

    def find(self, path: str) -> GitObject | None:
        """Object id and size of a file, without its content."""
        oid = self._trees.blob(self.tree, self._path(path))
        return next(self.objects.sizes([oid]), None) if oid else None

    def read(self, path: str, limit: int) -> bytes | None:
        """Content of a file; None when there is none, or it is larger than ``limit``."""
        oid = self._trees.blob(self.tree, self._path(path))
        found = next(self.objects.read([oid], limit), None) if oid else None
        return found.data if found is not None and found.kind == "blob" else None

    def named(self, name: str, most: int = 100) -> Iterator[str]:
        """Paths of the folders of that name that lie in no other one of it; at most ``most``."""
        todo = [self.below]
        looked = found = 0
        while todo and looked < self.limits.trees and found < most:
            path = todo.pop()
            looked += 1
            below = self._trees.folder(self._trees.tree(self.tree, path)).folders
            if name in below:
                found += 1
                yield posixpath.relpath(posixpath.join(path, name), self.below or ".")
            if path.count("/") < self.limits.depth:
                todo += [posixpath.join(path, child) for child in sorted(below, reverse=True) if child != name]

    def _path(self, path: str) -> str:
        return "/".join(part for part in (self.below, path) if part)

    def _folder(self, path: str) -> str:
        return self._trees.tree(self.tree, self._path(path))
