"""``read_repository``: everything that a Git repository with DVC says, at every revision."""

from __future__ import annotations

import collections
import re
import weakref
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import cache as warm
from . import revisions as selected
from .collecting import paused
from .commit_graph import CommitGraph
from .errors import RepositoryError
from .gitcommand import GitError
from .gitobjects import GitObjects
from .gto import Artifact, registry
from .hints import source_hints
from .limits import DEFAULTS, Limits
from .naming import repository_name
from .records import Problem, Repository, Revision, Snapshot
from .revision_files import RevisionFiles
from .revisions import EVERYTHING, Commits, Selection
from .snapshots import SnapshotReader
from .untrusted import clean, clean_url

_STALE = 0.25  # part of a snapshot's stages that had to be made for the cache to be written anew
_COMMIT_ID = re.compile(r"[0-9a-f]{4,64}")


class _Source:
    """Where all readings of one opened repository get its objects, and what the cache remembers of them.

    In an incremental reading the start of a Git process and the loading of the cache count: the process that opened the
    repository is kept, and the cache is loaded while Git lists references, unless it was before.
    """

    def __init__(self, objects: GitObjects, cache: warm.Cache | None = None) -> None:
        self.cache = cache
        self.git_dir = objects.git_dir
        self.limits = objects.limits
        self._ready = [objects]
        weakref.finalize(self, objects.close)

    @contextmanager
    def objects(self) -> Iterator[GitObjects]:
        """Objects to read from, inside a ``with`` statement."""
        with self._ready.pop() if self._ready else GitObjects(self.git_dir, self.limits) as objects:
            yield objects


class Reading:
    """A repository that was opened: iterate it for its snapshots.

    >>> for snapshot in read_repository(git_dir, url="https://example.org/o/r.git"):  # doctest: +SKIP
    ...     print(snapshot.revisions[0].name, [stage.address for stage in snapshot.stages])
    """

    def __init__(
        self,
        source: _Source,
        repository: Repository,
        groups: tuple[tuple[str, tuple[Revision, ...]], ...],
        problems: tuple[Problem, ...] = (),
    ) -> None:
        self._source = source
        self._groups = groups
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
        with self._source.objects() as objects:
            try:
                # Only hexadecimal digits come here: nothing that Git would take for an option or a range.
                oid = objects.run(["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]).decode("ascii").strip()
            except GitError:
                return None
            told = Commits(objects).of([oid])[oid]
        return told.revision() if told else None

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
        return Reading(self._source, self.repository, groups, self.problems)

    @contextmanager
    def files(self, revision: Revision) -> Iterator[RevisionFiles]:
        """Any file of a revision by its path, inside a ``with`` statement.

        >>> with reading.files(reading.revisions[0]) as files:  # doctest: +SKIP
        ...     files.read("README.md", 65_536)
        """
        with self._source.objects() as objects:
            yield RevisionFiles(objects, revision.tree, self._source.limits)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """What the selected tags say as a GTO registry: versions and stages of artifacts."""
        return registry(revision for revision in self.revisions if revision.kind == "tag")

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether the history of the commit ``newer`` has the commit ``older``, which may be itself."""
        with self._source.objects() as objects:
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
        cache, key = self._source.cache, [self.repository.url, self._source.limits]
        with self._source.objects() as objects:
            reader = self._reader(objects)
            saved: Any = cache.take() if cache is not None else None
            cold = not isinstance(saved, list) or saved[:2] != key
            if not cold:
                reader.warm(saved[2])
            yield from reader.read(self._groups)
            # What was remembered some commits ago is nearly as good: writing it anew costs more than it saves.
            if cache is not None and reader.built > _STALE * reader.largest:
                # A reader that saw only the newest tree remembers exactly what the next reading needs.
                newest = reader
                if not cold or len(self._groups) > 1:
                    newest = self._reader(objects)
                    collections.deque(newest.read(self._groups[:1]), maxlen=0)
                warm.save(cache.path, [*key, newest.save()])

    def _reader(self, objects: GitObjects) -> SnapshotReader:
        return SnapshotReader(objects, self.repository.url, self._source.limits, source_hints)


def read_repository(
    git_dir: Path,
    *,
    url: str,
    selection: Selection = EVERYTHING,
    limits: Limits = DEFAULTS,
    cache: Path | warm.Cache | None = None,
) -> Reading:
    """Open a bare repository (or ``.git`` folder) for reading; only objects are read, nothing runs, nothing is fetched.

    :param git_dir: a mirror of our own (see :func:`ckanext.mlops.core.mirror.update_mirror`)
    :param url: where it came from, for records and for relative URLs in it
    :param cache: file that makes the next reading of the same repository fast (see :mod:`.cache`), loaded already or
        not; what its commits say is kept beside it, in a file of that name with ``.commits``
    :raises RepositoryError: it is not a Git repository or leads outside of its folder
    :raises LimitExceeded: it has more selected references or commits than the limits allow
    """
    shown = url if url.startswith(("/", "file:")) else clean_url(url) or clean(url)
    kept = warm.Cache(cache) if isinstance(cache, Path) else cache
    with _opened(git_dir, limits) as objects, paused():
        objects.start()  # gets ready while another Git process lists the references
        source = _Source(objects, kept)
        commits = Commits(objects, Path(f"{kept.path}.commits") if kept is not None else None)
        problems: list[Problem] = []
        refs = selected.select(objects, selection, limits, meanwhile=kept.load_ahead if kept is not None else None)
        revisions, tips = selected.of_references(commits, refs, problems)
        default = selected.default_branch(objects, revisions)
        revisions += selected.of_history(objects, commits, selection, revisions, tips, default, problems)
        commits.save()
    repository = Repository(shown, repository_name(url), default)
    return Reading(source, repository, selected.by_tree(revisions, default), tuple(problems))


def read_commits(git_dir: Path, *, url: str, commits: Iterable[str], limits: Limits = DEFAULTS) -> Reading:
    """Like :func:`read_repository`, for these commits alone; those that are missing are left out."""
    with _opened(git_dir, limits) as objects:
        found = [told.revision() for told in Commits(objects).of(commits).values() if told is not None]
        return Reading(_Source(objects), Repository(url, repository_name(url)), selected.by_tree(found, ""))


@contextmanager
def _opened(git_dir: Path, limits: Limits) -> Iterator[GitObjects]:
    """Objects that stay open after the ``with`` statement, unless it fails."""
    objects = GitObjects(Path(git_dir), limits)
    try:
        yield objects
    except BaseException:
        objects.close()
        raise


def commit_graph(git_dir: Path, limits: Limits = DEFAULTS) -> CommitGraph:
    """All commits that references of the repository reach.

    :raises RepositoryError: its history cannot be read
    """
    with GitObjects(Path(git_dir), limits) as objects:
        try:
            return CommitGraph.of(objects.run(["rev-list", "--all", "--parents", "--timestamp"]).decode().splitlines())
        except GitError as error:
            raise RepositoryError(f"The history of {git_dir.name} has gaps: {error.text}") from error


__all__ = ["Limits", "Reading", "RepositoryError", "Selection", "commit_graph", "read_commits", "read_repository"]
