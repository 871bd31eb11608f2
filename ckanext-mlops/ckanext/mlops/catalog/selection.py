"""Which stages of a repository become datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from ckanext.mlops.core.records import Output, Remote, Snapshot, Stage


def wanted(globs: Sequence[str]) -> tuple[str, ...]:
    """The globs that select; ``*`` when there are only some that begin with ``!``."""
    return tuple(glob for glob in globs if not glob.startswith("!")) or (("*",) if globs else ())


def fits(name: str, glob: str) -> bool:
    """Whether a branch or tag is meant by a glob."""
    return fnmatchcase(name, glob)


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


def named(snapshots: Iterable[Snapshot], branches: Sequence[str], tags: Sequence[str]) -> Iterator[Snapshot]:
    """The snapshots with the branches and tags that the globs mean, and with commits and experiments as they are."""
    globs = {"branch": branches, "tag": tags}
    for snapshot in revisions(snapshots, branches, tags):
        kept = tuple(
            each
            for each in snapshot.revisions
            if each.kind not in globs or any(fits(each.name, glob) for glob in wanted(globs[each.kind]))
        )
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


def stored_in(snapshots: Iterable[Snapshot], name: str) -> tuple[list[Snapshot], list[str]]:
    """The snapshots with the storage addresses of the remote ``name`` for what the default remote stores.

    Also the names of the revisions that have no such remote; nothing is changed there.
    """
    memo: dict[tuple[int, str, str], tuple[Stage, Stage]] = {}
    found, without = [], list[str]()
    for snapshot in snapshots:
        chosen = next((remote for remote in snapshot.remotes if remote.name == name), None)
        default = next((remote for remote in snapshot.remotes if remote.default), None)
        if chosen is None:
            without += [revision.name for revision in snapshot.revisions]
        if chosen is None or default is None or chosen == default:
            found.append(snapshot)
            continue
        stages = []
        for stage in snapshot.stages:
            key = (id(stage), default.url, chosen.url)
            if key not in memo:
                memo[key] = (stage, _moved(stage, default, chosen))
            stages.append(memo[key][1])
        found.append(replace(snapshot, stages=tuple(stages)))
    return found, without


def _moved(stage: Stage, default: Remote, chosen: Remote) -> Stage:
    return replace(stage, outs=tuple(_out(out, default, chosen) for out in stage.outs))


def _out(out: Output, default: Remote, chosen: Remote) -> Output:
    if out.remote != default.name or not out.storage.startswith(default.url):
        return out
    by_path = chosen.version_aware or chosen.worktree
    if by_path != (default.version_aware or default.worktree):
        return out if not by_path else replace(out, remote=chosen.name, storage=_below(chosen, out.path))
    return replace(out, remote=chosen.name, storage=_below(chosen, out.storage.removeprefix(default.url)))


def _below(remote: Remote, path: str) -> str:
    return f"{remote.url.rstrip('/')}/{path.lstrip('/')}" if remote.url else path.lstrip("/")
