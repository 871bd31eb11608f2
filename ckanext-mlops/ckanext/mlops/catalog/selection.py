"""Which stages of a repository become datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from ckanext.mlops.core.records import Snapshot, Stage


def wanted(globs: Sequence[str]) -> tuple[str, ...]:
    """The globs that select; ``*`` when there are only some that begin with ``!``."""
    return tuple(glob for glob in globs if not glob.startswith("!")) or (("*",) if globs else ())


def refused(name: str, globs: Sequence[str]) -> bool:
    """Whether ``name`` fits one of the globs that begin with ``!``."""
    return any(fnmatchcase(name, glob[1:]) for glob in globs if glob.startswith("!"))


def revisions(snapshots: Iterable[Snapshot], branches: Sequence[str], tags: Sequence[str]) -> Iterator[Snapshot]:
    """The snapshots without the branches and tags that a glob with ``!`` refuses."""
    globs = {"branch": branches, "tag": tags}
    for snapshot in snapshots:
        kept = tuple(each for each in snapshot.revisions if not refused(each.name, globs.get(each.kind, ())))
        if kept:
            yield snapshot if len(kept) == len(snapshot.revisions) else replace(snapshot, revisions=kept)


def select(
    snapshots: Iterable[Snapshot],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    subfolder: str = "",
) -> list[Snapshot]:
    """The snapshots with the stages that the owner of the source wants.

    A glob fits a stage's address or the path of one of its outputs. Equal stage records stay one object.
    """
    memo: dict[int, tuple[Stage, bool]] = {}

    def chosen(stage: Stage) -> bool:
        if id(stage) not in memo:
            memo[id(stage)] = (stage, _wanted(stage, include, exclude, subfolder))
        return memo[id(stage)][1]

    if not include and not exclude and not subfolder:
        return list(snapshots)
    return [
        replace(snapshot, stages=tuple(stage for stage in snapshot.stages if chosen(stage))) for snapshot in snapshots
    ]


def _wanted(stage: Stage, include: Sequence[str], exclude: Sequence[str], subfolder: str) -> bool:
    if subfolder and not stage.file.startswith(f"{subfolder}/"):
        return False
    names = (stage.address, *(out.path for out in stage.outs))
    if include and not any(fnmatchcase(name, glob) for name in names for glob in include):
        return False
    return not any(fnmatchcase(name, glob) for name in names for glob in exclude)
