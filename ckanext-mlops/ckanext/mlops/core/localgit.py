"""Where a local repository's data really is.

A folder below an allowed root can still point elsewhere: symbolic links, ``.git`` files, ``commondir``, alternates. Git
follows all of them, and would hand out the objects of a repository that nobody allowed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .address import Policy, Source, within
from .errors import AddressRefused, FetchFailed, LimitExceeded

_MAX_ENTRIES = 500_000
_MAX_POINTER = 1 << 16


def check_local(source: Source, policy: Policy) -> None:
    """Make sure that everything Git would read for a local ``source`` is below the policy's roots.

    The check is made before Git runs: it is no defence against somebody who can change files below a root at that very
    moment.

    :raises AddressRefused: something leads outside
    :raises FetchFailed: there is no repository
    :raises LimitExceeded: a bundle over ``max_bytes``, or absurdly many files
    """
    path = Path(source.location)
    if source.transport == "bundle":
        if path.stat().st_size > policy.max_bytes:
            raise LimitExceeded(
                f"{source.url}: the bundle is larger than {policy.max_bytes:,} bytes; the operator can raise the limit."
            )
        return
    for place in _stores(_git_dir(path), source):
        if place == Path("/") or not within(place, policy.roots):
            raise AddressRefused(
                f"{source.url}: its Git data holds links or is not wholly below the operator's configured "
                f"folders (an alternate or a worktree leads outside); give the address of the repository itself."
            )


def _git_dir(path: Path) -> Path:
    dot_git = path / ".git"
    if dot_git.is_file():
        pointer = _head(dot_git).strip()
        return path / pointer.removeprefix("gitdir:").strip()
    git_dir = dot_git if dot_git.is_dir() else path
    if not (git_dir / "HEAD").exists():
        raise FetchFailed(f"file://{path}: there is no Git repository in this folder; check the spelling.")
    return git_dir


def _stores(git_dir: Path, source: Source) -> Iterator[Path]:
    """Every place that Git would read, resolved: the folder, its common folder, alternates; ``/`` for a link.

    What lies in one of them without a link on the way is not named again.
    """
    stores, below, seen, entries = [git_dir], list[Path](), set[Path](), 0
    while stores or below:
        if below:
            folder = below.pop()
        else:
            folder = stores.pop().resolve()
            yield folder
        if folder in seen:
            continue
        seen.add(folder)
        with contextlib.suppress(OSError), os.scandir(folder) as listing:
            for entry in listing:
                entries += 1
                if entries > _MAX_ENTRIES:
                    raise LimitExceeded(
                        f"{source.url}: its Git folder has over {_MAX_ENTRIES:,} files; run 'git gc' there."
                    )
                path = Path(entry.path)
                if entry.is_symlink():
                    # Git makes none itself; what a link changes about the layout is not worth following.
                    yield Path("/")
                elif entry.is_dir(follow_symlinks=False):
                    below.append(path)
                elif entry.name == "commondir":
                    stores.append(folder / _head(path).strip())
                elif entry.name == "alternates" and folder.name == "info":
                    lines = _head(path).splitlines()
                    # A quoted line has escapes that we do not read: it counts as leading anywhere.
                    stores.extend(
                        Path("/") if line[0] == '"' else folder.parent / line
                        for line in lines
                        if line and line[0] != "#"
                    )


def _head(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_MAX_POINTER).decode("utf-8", "replace")
