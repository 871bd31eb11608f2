"""Folders of a repository's revisions, each distinct one read once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .gitobjects import GitObject, GitObjects
from .limits import DEFAULTS, Limits
from .memo import Memo
from .said import said
from .untrusted import clean

_ENTRY = {
    40: re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{20})", re.DOTALL),
    64: re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{32})", re.DOTALL),
}
_ENTRIES = 10_000  # names of files and folders that are kept at least
_FILES = (b"100644", b"100755", b"100664")
_FOLDERS = (b"40000", b"040000")
_READ = re.compile(rb"dvc\.(?:yaml|lock)|.+\.dvc|Dvcfile|\.dvcignore|\.gitattributes|artifacts\.yaml", re.DOTALL)
_TEXTS = re.compile(rb"(?:readme|licen[cs]e|copying)(?:\.(?:md|txt|rst|markdown))?", re.IGNORECASE)


class TooManyFolders(Exception):
    """A revision's folders nest or multiply beyond the limits ("tree bomb")."""


@dataclass(eq=False, slots=True)
class Folder:
    """One tree object: names of its files and folders to their object ids.

    :param odd: symbolic links and submodules
    :param unread: why it could not be read, ``""`` when it was
    :param remedy: what can be done about that
    """

    files: dict[str, str]
    folders: dict[str, str]
    odd: tuple[str, ...] = ()
    unread: str = ""
    remedy: str = ""

    @property
    def weight(self) -> int:
        """Entries, at least one."""
        return 1 + len(self.files) + len(self.folders)


@dataclass(frozen=True, slots=True)
class Found:
    """Files that DVC or a reader of the repository would open, below one folder; paths relative to it.

    :param unread: ``(path, why, remedy)`` of each folder that could not be read
    """

    files: tuple[tuple[str, str], ...] = ()
    roots: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    unread: tuple[tuple[str, str, str], ...] = ()


class Trees:
    """Memory of folders; :meth:`load` reads what a set of revisions needs, the other methods only look up."""

    def __init__(self, objects: GitObjects, limits: Limits = DEFAULTS) -> None:
        self.objects = objects
        self.limits = limits
        self._folders: Memo[str, Folder] = Memo(_ENTRIES)
        self._found: Memo[str, Found] = Memo(2_000)

    def load(self, roots: Iterable[str]) -> None:
        """Read the trees ``roots`` and all folders below them that are not remembered."""
        todo = [oid for oid in dict.fromkeys(roots) if self._folders.get(oid) is None]
        seen = set(todo)
        depth = entries = 0
        while todo and depth <= self.limits.depth:
            below: list[str] = []
            for item in self.objects.read(todo, self.limits.dvc_bytes):
                folder = self._folder(item)
                entries += folder.weight
                self._folders.reserve(entries)
                self._folders.put(item.oid, folder, folder.weight)
                below.extend(folder.folders.values())
            todo = [oid for oid in dict.fromkeys(below) if oid not in seen and self._folders.get(oid) is None]
            seen.update(todo)
            if len(seen) > self.limits.trees:
                raise TooManyFolders(f"more than {self.limits.trees} folders (limit: trees)")
            depth += 1

    def folder(self, oid: str) -> Folder:
        """A folder that was loaded; read again when it was forgotten."""
        folder = self._folders.get(oid)
        if folder is None:
            for item in self.objects.read([oid], self.limits.dvc_bytes):
                folder = self._folder(item)
                self._folders.put(oid, folder, folder.weight)
        return folder or Folder({}, {})

    def blob(self, root: str, path: str) -> str:
        """Object id of the regular file at ``path`` below the tree ``root``; ``""`` when there is none."""
        oid = root
        *parents, name = path.split("/")
        for part in parents:
            found = self.folder(oid).folders.get(part)
            if found is None:
                return ""
            oid = found
        return self.folder(oid).files.get(name, "")

    def look(self, root: str, path: str) -> str:
        """Object id of the file at ``path``, ``/`` and the id of a folder, or ``""``."""
        return self.blob(root, path) or ("/" + found if (found := self.tree(root, path)) else "")

    def tree(self, root: str, path: str) -> str:
        """Object id of the folder at ``path``; ``""`` when there is none."""
        oid = root
        for part in path.split("/") if path else ():
            found = self.folder(oid).folders.get(part)
            if found is None:
                return ""
            oid = found
        return oid

    def walk(self, root: str, limit: int) -> list[tuple[str, str]]:
        """``(path, object id)`` of the regular files below a tree, at most ``limit``."""
        result: list[tuple[str, str]] = []
        todo = [("", root)]
        visited = 0
        while todo and len(result) < limit and visited < 10 * limit:
            visited += 1
            prefix, oid = todo.pop()
            folder = self.folder(oid)
            result.extend((prefix + name, blob) for name, blob in folder.files.items())
            if prefix.count("/") < self.limits.depth:
                todo.extend((f"{prefix}{name}/", child) for name, child in folder.folders.items())
        return result[:limit]

    def find(self, root: str) -> Found:
        """Files of interest below ``root`` and the folders that are DVC roots.

        :raises TooManyFolders: deeper or more than the limits allow
        """
        return self._find(root, 0)

    def _find(self, oid: str, depth: int) -> Found:
        found = self._found.get(oid)
        if found is not None:
            return found
        if depth > self.limits.depth:
            raise TooManyFolders(f"folders nest deeper than {self.limits.depth} (limit: depth)")
        folder = self.folder(oid)
        files: list[tuple[str, str]] = [
            (name, blob) for name, blob in folder.files.items() if _READ.fullmatch(name.encode("utf-8", "replace"))
        ]
        if depth == 0:
            files += [(name, blob) for name, blob in folder.files.items() if _TEXTS.fullmatch(name.encode("utf-8"))]
        roots: list[str] = []
        unread = [(".", folder.unread, folder.remedy)] if folder.unread else []
        odd = [name for name in folder.odd if _READ.fullmatch(name.encode("utf-8", "replace"))]
        for name, child in folder.folders.items():
            if name == ".dvc":
                roots.append("")
                config = self.folder(child).files.get("config")
                if config:
                    files.append((".dvc/config", config))
                continue
            below = self._find(child, depth + 1)
            files.extend((f"{name}/{path}", blob) for path, blob in below.files)
            roots.extend(f"{name}/{path}" if path else name for path in below.roots)
            odd.extend(f"{name}/{path}" for path in below.odd)
            unread.extend(
                (name if path == "." else f"{name}/{path}", why, remedy) for path, why, remedy in below.unread
            )
            if len(files) > self.limits.dvc_files:
                raise TooManyFolders(f"more than {self.limits.dvc_files} DVC files in one revision (limit: dvc_files)")
        found = Found(tuple(files), tuple(roots), tuple(odd[:100]), tuple(unread[:100]))
        if depth:
            self._found[oid] = found
        return found

    def _folder(self, item: GitObject) -> Folder:
        if item.kind == "tree":
            return _parse(item.data, len(item.oid))
        if item.kind == "large":
            return Folder(
                {},
                {},
                unread=said(
                    f"the list of what is in this folder is {item.size} bytes, more than {self.limits.dvc_bytes} "
                    "(limit: dvc_bytes)"
                ),
                remedy=said("divide it into subfolders, or raise the limit"),
            )
        return Folder(
            {}, {}, unread=said("Git lacks this folder or it is corrupt"), remedy=said("fetch the repository anew")
        )


def _parse(data: bytes, width: int) -> Folder:
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    odd: list[str] = []
    for mode, raw, oid in _ENTRY[width].findall(data):
        name = raw.decode("utf-8", "replace")
        if not name.isprintable():
            name = clean(name)
        if mode in _FILES:
            files[name] = oid.hex()
        elif mode in _FOLDERS:
            if name not in (".git", "..", "."):
                folders[name] = oid.hex()
        else:
            odd.append(name)
    return Folder(files, folders, tuple(odd))
