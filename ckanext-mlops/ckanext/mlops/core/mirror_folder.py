"""The folder of a mirror: its configuration, what a killed Git left in it, how large it is."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from pathlib import Path


def configuration(object_format: str) -> str:
    """The whole text of a mirror's own Git configuration."""
    if object_format == "sha256":
        return "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
    return "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"


def is_shallow(git_dir: Path) -> bool:
    """Whether its history is cut off."""
    shallow = git_dir / "shallow"
    return shallow.is_file() and shallow.stat().st_size > 0


def head(git_dir: Path) -> str:
    """The full name of the branch that HEAD names."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (git_dir / "HEAD").read_text().removeprefix("ref: ").strip()
    return ""


def sweep(git_dir: Path) -> None:
    """Remove what a killed Git left; nobody else works here while the lock is held."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/tmp_*"):
        for path in git_dir.glob(pattern):
            path.unlink(missing_ok=True)


def loose_refs(git_dir: Path, most: int) -> int:
    """How many refs are files of their own, counted up to ``most``: many are slow to list, a few cost nothing."""
    found = (path for path in (git_dir / "refs").rglob("*") if path.is_file())
    return sum(1 for _ in itertools.islice(found, most))


def remove(path: Path) -> None:
    """Delete the folder when it is there."""
    if path.exists():
        shutil.rmtree(path)


def write(path: Path, text: str) -> None:
    """Replace the file in one step, unless it holds the text already."""
    with contextlib.suppress(OSError):
        if path.read_text() == text:
            return
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    beside.write_text(text)
    beside.replace(path)


def size(folder: Path) -> int:
    """Bytes of all files below ``folder``; Git deletes temporary ones meanwhile, which count no more."""
    total, pending = 0, [folder]
    while pending:
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total
