"""Which revisions of a repository are read, and what their commits say."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

from . import cache as warm
from .errors import LimitExceeded
from .gitobjects import Commit, GitObjects, Ref
from .limits import Limits
from .records import Problem, RefKind, Revision
from .untrusted import clean

_STALE = 0.1  # part of the commits that had to be read for the cache to be written anew
_EXPERIMENTS = "refs/exps/"
_PRIVATE = ("exec", "stash", "apply", "celery", "temp")
_PREFIXES: dict[RefKind, str] = {"branch": "refs/heads/", "tag": "refs/tags/", "experiment": _EXPERIMENTS}
_KINDS: dict[str, RefKind] = {"h": "branch", "t": "tag", "e": "experiment"}  # by the first letter below refs/


@dataclass(frozen=True)
class Selection:
    """Which revisions to read.

    :param branches: globs of short names (``release/*``)
    :param tags: globs of short names
    :param experiments: whether to read DVC experiments (``refs/exps``)
    :param commits: ``"all"`` for every commit that the selected branches and tags reach, a number for that many of the
        default branch, ``""`` for none besides
    """

    branches: tuple[str, ...] = ("*",)
    tags: tuple[str, ...] = ("*",)
    experiments: bool = False
    commits: Literal["", "all"] | int = ""


EVERYTHING = Selection()


class Told(NamedTuple):
    """What a commit, and the annotated tag that led to it, say of a revision; see :class:`.records.Revision`."""

    commit: str
    date: str
    author: str
    message: str
    note: str
    tree: str

    @classmethod
    def by(cls, commit: Commit, note: str = "") -> Told:
        """The same of an object that Git has."""
        author, message = clean(commit.author, 200), clean(commit.message, 10_000)
        return cls(commit.oid, commit.date, author, message, clean(note, 10_000), commit.tree)

    def revision(self, name: str = "", kind: RefKind = "commit", ref: str = "") -> Revision:
        """The revision of that name; without one the commit itself."""
        return Revision(
            name or self.commit, kind, self.commit, ref, self.date, self.author, self.message, self.note, self.tree
        )


class Commits:
    """What commits say, each read once; those of the last reading are remembered in a file.

    :param cache: the file; it only saves time (see :mod:`.cache`)
    """

    def __init__(self, objects: GitObjects, cache: Path | None = None) -> None:
        self._objects = objects
        self._cache = cache
        saved = warm.load(cache) if cache is not None else None
        self._known: Mapping[str, tuple[str, ...]] = saved if isinstance(saved, dict) else {}
        self._told: dict[str, Told | None] = {}
        self._read = 0

    def of(self, oids: Iterable[str]) -> dict[str, Told | None]:
        """By the id of a commit or tag; None where that leads to no commit that is here."""
        asked = list(dict.fromkeys(oids))
        known = self._known
        found: dict[str, Told | None] = {oid: Told(*known[oid]) for oid in asked if oid in known}
        missing = [oid for oid in asked if oid not in found]
        for oid, commit, note in self._objects.commits(missing) if missing else ():
            found[oid] = Told.by(commit, note) if commit is not None else None
        self._read += len(missing)
        self._told.update(found)
        return found

    def save(self) -> None:
        """Remember them for the next reading, unless the file has nearly all."""
        if self._cache is not None and self._read > _STALE * len(self._told):
            warm.save(self._cache, {oid: tuple(told) for oid, told in self._told.items() if told is not None})


def select(
    objects: GitObjects, selection: Selection, limits: Limits, meanwhile: Callable[[], None] | None = None
) -> list[tuple[RefKind, str, Ref]]:
    """``(kind, short name, reference)`` of the selected references.

    :param meanwhile: done while Git lists them
    :raises LimitExceeded: there are more than the limits allow
    """
    wanted: dict[RefKind, tuple[str, ...]] = {"branch": selection.branches, "tag": selection.tags}
    if selection.experiments:
        wanted["experiment"] = ("*",)
    kinds = [kind for kind, globs in wanted.items() if globs]
    result: dict[RefKind, list[tuple[RefKind, str, Ref]]] = {kind: [] for kind in kinds}
    total = 0
    for full, oid in objects.refs([_PREFIXES[kind].rstrip("/") for kind in kinds], meanwhile) if kinds else ():
        kind = _KINDS[full[5]]
        ref = Ref(clean(full), oid)
        name = ref.name.removeprefix(_PREFIXES[kind])
        if kind == "experiment":
            first, *_, name = name.split("/")
            if first in _PRIVATE:
                continue
        globs = wanted[kind]
        if "*" in globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs):
            result[kind].append((kind, name, ref))
            total += 1
            if total > limits.refs:
                raise LimitExceeded(
                    f"more than {limits.refs} branches and tags are selected (limit: refs); "
                    "name those that matter by globs"
                )
    return [one for kind in kinds for one in result[kind]]


def of_references(
    commits: Commits, refs: list[tuple[RefKind, str, Ref]], problems: list[Problem]
) -> tuple[list[Revision], list[str]]:
    """The revisions that the references name, and the ids of their commits."""
    found = commits.of(ref.oid for _, _, ref in refs)
    revisions: list[Revision] = []
    tips: list[str] = []
    for kind, name, ref in refs:
        told = found.get(ref.oid)
        if told is None:
            problems.append(
                Problem(
                    f"{kind} {name} names no commit that is here",
                    revision=name,
                    remedy="fetch the repository anew; a tag of a file or folder is not read",
                    severity="warning" if kind == "tag" else "error",
                )
            )
            continue
        tips.append(told.commit)
        revisions.append(told.revision(name, kind, ref.name))
    return revisions, tips


def default_branch(objects: GitObjects, revisions: Iterable[Revision]) -> str:
    """HEAD's branch, or the usual one among the selected when HEAD names none that exists."""
    default = clean(objects.head()).removeprefix("refs/heads/")
    if default:
        return default
    names = {revision.name for revision in revisions if revision.kind == "branch"}
    return next((name for name in ("main", "master") if name in names), "")


def of_history(
    objects: GitObjects,
    commits: Commits,
    selection: Selection,
    named: Iterable[Revision],
    tips: list[str],
    default: str,
    problems: list[Problem],
) -> list[Revision]:
    """The commits that the selection asks for besides those that references ``named``."""
    if selection.commits == "":
        return []
    if selection.commits == "all":
        oids = objects.history(list(dict.fromkeys(tips)))
    else:
        heads = [ref.oid for ref in objects.refs([f"refs/heads/{default}"])] if default else []
        oids = objects.history(heads[:1], int(selection.commits))
    present = {revision.commit for revision in named}
    result = []
    for oid, told in commits.of(oid for oid in oids if oid not in present).items():
        if told is None:
            problems.append(Problem(f"commit {oid[:12]} is missing or corrupt", remedy="fetch the repository anew"))
        else:
            result.append(told.revision())
    return result


def by_tree(revisions: list[Revision], default: str) -> tuple[tuple[str, tuple[Revision, ...]], ...]:
    """Revisions by tree: the default branch first, then newest first."""
    ordered = sorted(revisions, key=attrgetter("name"))
    ordered.sort(key=attrgetter("date"), reverse=True)
    ordered.sort(key=lambda revision: revision.name != default or revision.kind != "branch")
    groups: dict[str, list[Revision]] = {}
    for revision in ordered:
        groups.setdefault(revision.tree, []).append(revision)
    return tuple((tree, tuple(members)) for tree, members in groups.items())
