"""``read_repository``: everything that a Git repository with DVC says, at every revision."""

from __future__ import annotations

import collections
import fnmatch
import re
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from . import cache as warm
from .commit_graph import CommitGraph
from .errors import LimitExceeded, RepositoryError
from .gitcommand import GitError
from .gitobjects import GitObjects, Ref
from .gto import Artifact, registry
from .hints import source_hints
from .limits import DEFAULTS, Limits
from .naming import repository_name
from .records import Problem, RefKind, Repository, Revision, Snapshot
from .revision_files import RevisionFiles
from .snapshots import SnapshotReader
from .untrusted import clean, clean_url

_STALE = 0.25  # part of a snapshot's stages that had to be made for the cache to be written anew
_EXPERIMENTS = "refs/exps/"
_PRIVATE = ("exec", "stash", "apply", "celery", "temp")
_COMMIT_ID = re.compile(r"[0-9a-f]{4,64}")
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


class Reading:
    """A repository that was opened: iterate it for its snapshots.

    >>> for snapshot in read_repository(git_dir, url="https://example.org/o/r.git"):  # doctest: +SKIP
    ...     print(snapshot.revisions[0].name, [stage.address for stage in snapshot.stages])
    """

    def __init__(
        self,
        git_dir: Path,
        repository: Repository,
        groups: tuple[tuple[str, tuple[Revision, ...]], ...],
        problems: tuple[Problem, ...],
        limits: Limits,
        cache: Path | None = None,
    ) -> None:
        self._cache = cache
        self._git_dir = git_dir
        self._groups = groups
        self._limits = limits
        #: The repository.
        self.repository = repository
        #: What concerns no single revision, such as a reference to a missing commit.
        self.problems = problems

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """All selected revisions, in the order of the snapshots that show them."""
        return tuple(revision for _, revisions in self._groups for revision in revisions)

    def find(self, name: str) -> Revision | None:
        """The selected branch, tag or experiment of that name, else the commit whose id starts with it.

        >>> reading.only(reading.find("1f2e3d4c"))  # doctest: +SKIP
        """
        found = next((one for one in self.revisions if one.name == name), None)
        if found is not None or not _COMMIT_ID.fullmatch(name):
            return found
        with GitObjects(self._git_dir, self._limits) as objects:
            try:
                # Only hexadecimal digits come here: nothing that Git would take for an option or a range.
                oid = objects.run(["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]).decode("ascii").strip()
            except GitError:
                return None
            _, commit, _ = next(objects.commits([oid]))
        return _revision(oid, "commit", commit) if commit else None

    def only(self, *revisions: Revision) -> Reading:
        """The same repository with only these revisions, which may be what :meth:`find` gave."""
        groups: dict[str, list[Revision]] = {}
        for revision in revisions:
            groups.setdefault(revision.tree, []).append(revision)
        order = [tree for tree, _ in self._groups if tree in groups]
        return self._with(tuple((tree, tuple(groups[tree])) for tree in dict.fromkeys([*order, *groups])))

    def without(self, trees: Container[str]) -> Reading:
        """The same repository without the snapshots of trees that are known already (:attr:`Revision.tree`)."""
        return self._with(tuple(group for group in self._groups if group[0] not in trees))

    def _with(self, groups: tuple[tuple[str, tuple[Revision, ...]], ...]) -> Reading:
        return Reading(self._git_dir, self.repository, groups, self.problems, self._limits, self._cache)

    @contextmanager
    def files(self, revision: Revision) -> Iterator[RevisionFiles]:
        """Any file of a revision by its path, inside a ``with`` statement.

        >>> with reading.files(reading.revisions[0]) as files:  # doctest: +SKIP
        ...     files.read("README.md", 65_536)
        """
        with GitObjects(self._git_dir, self._limits) as objects:
            yield RevisionFiles(objects, revision.tree, self._limits)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """What the selected tags say as a GTO registry: versions and stages of artifacts."""
        return registry(revision for revision in self.revisions if revision.kind == "tag")

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether the history of the commit ``newer`` has the commit ``older``, which may be itself."""
        with GitObjects(self._git_dir, self._limits) as objects:
            try:
                objects.run(["merge-base", "--is-ancestor", older, newer])
            except GitError:  # it is not, or a commit on the way is missing
                return False
        return True

    def __len__(self) -> int:
        """How many snapshots there are."""
        return len(self._groups)

    def __iter__(self) -> Iterator[Snapshot]:
        """One snapshot per distinct tree, the default branch's first, then the newest first; memory is bounded.

        :raises LimitExceeded: the time for this repository is over
        """
        if not self._groups:
            return
        with GitObjects(self._git_dir, self._limits) as objects:
            reader = self._reader(objects)
            saved = warm.load(self._cache) if self._cache is not None else None
            if isinstance(saved, list) and saved[:2] == [self.repository.url, self._limits]:
                reader.warm(saved[2])
            yield from reader.read(self._groups)
            # What was remembered some commits ago is nearly as good: writing it anew costs more than it saves.
            if self._cache is not None and reader.built > _STALE * reader.largest:
                # A reader that saw only the newest tree remembers exactly what the next reading needs.
                newest = self._reader(objects)
                collections.deque(newest.read(self._groups[:1]), maxlen=0)
                warm.save(self._cache, [self.repository.url, self._limits, newest.save()])

    def _reader(self, objects: GitObjects) -> SnapshotReader:
        return SnapshotReader(objects, self.repository.url, self._limits, source_hints)


def read_repository(
    git_dir: Path,
    *,
    url: str,
    selection: Selection = EVERYTHING,
    limits: Limits = DEFAULTS,
    cache: Path | None = None,
) -> Reading:
    """Open a bare repository (or ``.git`` folder) for reading; only objects are read, nothing runs, nothing is fetched.

    :param git_dir: a mirror of our own (see :func:`ckanext.mlops.core.mirror.update_mirror`)
    :param url: where it came from, for records and for relative URLs in it
    :param cache: file that makes the next reading of the same repository fast (see :mod:`.cache`)
    :raises RepositoryError: it is not a Git repository or leads outside of its folder
    :raises LimitExceeded: it has more selected references or commits than the limits allow
    """
    shown = url if url.startswith(("/", "file:")) else clean_url(url) or clean(url)
    with GitObjects(Path(git_dir), limits) as objects:
        head = objects.head()
        problems: list[Problem] = []
        refs = _select(objects, selection, limits)
        revisions, tips = _revisions(objects, refs, problems)
        default = head.removeprefix("refs/heads/") if head.startswith("refs/heads/") else ""
        names = {revision.name for revision in revisions if revision.kind == "branch"}
        if default not in names:
            default = _fallback(objects, default, names)
        revisions += _commits(objects, selection, revisions, tips, default, problems)
    repository = Repository(shown, repository_name(url), default)
    return Reading(Path(git_dir), repository, _groups(revisions, default), tuple(problems), limits, cache)


def read_commits(git_dir: Path, *, url: str, commits: Iterable[str], limits: Limits = DEFAULTS) -> Reading:
    """Like :func:`read_repository`, for these commits alone; those that are missing are left out."""
    with GitObjects(Path(git_dir), limits) as objects:
        found = [_revision(oid, "commit", commit) for oid, commit, _ in objects.commits(commits) if commit is not None]
    return Reading(Path(git_dir), Repository(url, repository_name(url)), _groups(found, ""), (), limits)


def commit_graph(git_dir: Path, limits: Limits = DEFAULTS) -> CommitGraph:
    """All commits that references of the repository reach.

    :raises RepositoryError: its history cannot be read
    """
    with GitObjects(Path(git_dir), limits) as objects:
        try:
            return CommitGraph.of(objects.run(["rev-list", "--all", "--parents", "--timestamp"]).decode().splitlines())
        except GitError as error:
            raise RepositoryError(f"The history of {git_dir.name} has gaps: {error.text}") from error


def _select(objects: GitObjects, selection: Selection, limits: Limits) -> list[tuple[RefKind, str, Ref]]:
    """``(kind, short name, reference)`` of the selected references."""
    wanted: dict[RefKind, tuple[str, ...]] = {"branch": selection.branches, "tag": selection.tags}
    if selection.experiments:
        wanted["experiment"] = ("*",)
    kinds = [kind for kind, globs in wanted.items() if globs]
    result: dict[RefKind, list[tuple[RefKind, str, Ref]]] = {kind: [] for kind in kinds}
    total = 0
    for ref in objects.refs([_PREFIXES[kind].rstrip("/") for kind in kinds]) if kinds else ():
        kind = _KINDS[ref.name[5]]
        name = ref.name.removeprefix(_PREFIXES[kind])
        if kind == "experiment":
            first, *_, name = name.split("/")
            if first in _PRIVATE:
                continue
        globs = wanted[kind]
        if "*" in globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs):
            result[kind].append((kind, clean(name), ref))
            total += 1
            if total > limits.refs:
                raise LimitExceeded(
                    f"more than {limits.refs} branches and tags are selected (limit: refs); "
                    "name those that matter by globs"
                )
    return [one for kind in kinds for one in result[kind]]


def _revisions(
    objects: GitObjects, refs: list[tuple[RefKind, str, Ref]], problems: list[Problem]
) -> tuple[list[Revision], list[str]]:
    found = {oid: (commit, note) for oid, commit, note in objects.commits(ref.oid for _, _, ref in refs)}
    revisions: list[Revision] = []
    tips: list[str] = []
    for kind, name, ref in refs:
        commit, note = found.get(ref.oid, (None, ""))
        if commit is None:
            problems.append(
                Problem(
                    f"{kind} {name} names no commit that is here",
                    revision=name,
                    remedy="fetch the repository anew; a tag of a file or folder is not read",
                    severity="warning" if kind == "tag" else "error",
                )
            )
            continue
        tips.append(commit.oid)
        revisions.append(_revision(name, kind, commit, ref.name, note))
    return revisions, tips


def _revision(name: str, kind: RefKind, commit: Any, ref: str = "", note: str = "") -> Revision:
    return Revision(
        name=name,
        kind=kind,
        commit=commit.oid,
        ref=clean(ref),
        date=commit.date,
        author=clean(commit.author, 200),
        message=clean(commit.message, 10_000),
        note=clean(note, 10_000),
        tree=commit.tree,
    )


def _fallback(objects: GitObjects, default: str, names: set[str]) -> str:
    """The default branch when HEAD's is not among the selected ones."""
    if default and any(ref.name == f"refs/heads/{default}" for ref in objects.refs([f"refs/heads/{default}"])):
        return default
    return next((name for name in ("main", "master") if name in names), "")


def _commits(
    objects: GitObjects,
    selection: Selection,
    revisions: list[Revision],
    tips: list[str],
    default: str,
    problems: list[Problem],
) -> list[Revision]:
    if selection.commits == "":
        return []
    if selection.commits == "all":
        oids = objects.history(list(dict.fromkeys(tips)))
    else:
        heads = [ref.oid for ref in objects.refs([f"refs/heads/{default}"])] if default else []
        oids = objects.history(heads[:1], int(selection.commits))
    named = {revision.commit for revision in revisions}
    result = []
    for oid, commit, _ in objects.commits(oid for oid in oids if oid not in named):
        if commit is None:
            problems.append(Problem(f"commit {oid[:12]} is missing or corrupt", remedy="fetch the repository anew"))
        else:
            result.append(_revision(oid, "commit", commit))
    return result


def _groups(revisions: list[Revision], default: str) -> tuple[tuple[str, tuple[Revision, ...]], ...]:
    """Revisions by tree: the default branch first, then newest first."""

    def is_default(revision: Revision) -> bool:
        return revision.kind == "branch" and revision.name == default

    ordered = sorted(revisions, key=lambda revision: revision.name)
    ordered.sort(key=lambda revision: revision.date, reverse=True)
    ordered.sort(key=lambda revision: not is_default(revision))
    groups: dict[str, list[Revision]] = {}
    for revision in ordered:
        groups.setdefault(revision.tree, []).append(revision)
    return tuple((tree, tuple(members)) for tree, members in groups.items())


__all__ = ["Limits", "Reading", "RepositoryError", "Selection", "commit_graph", "read_commits", "read_repository"]
