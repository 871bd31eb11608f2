"""Which command holds a portal, and since when it runs."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from embedded.errors import RunningError
from embedded.secret_files import write_secret


@dataclass(frozen=True)
class Owner:
    """The command that started the portal. :ivar created: its start, seconds since 1970, for numbers are used again"""

    pid: int
    created: float
    detached: bool

    def process(self) -> psutil.Process | None:
        """The process, if it lives."""
        try:
            found = psutil.Process(self.pid)
            if found.status() == psutil.STATUS_ZOMBIE:
                return None
            return found if abs(found.create_time() - self.created) < 1 else None
        except psutil.Error:
            return None


def _file(home: Path) -> Path:
    return home / "run" / "owner.json"


def owner(home: Path) -> Owner | None:
    """Who started the portal, as far as it was noted."""
    try:
        return Owner(**json.loads(_file(home).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def note_owner(home: Path, *, detached: bool) -> None:
    """Note that this process started it."""
    me = psutil.Process()
    write_secret(_file(home), json.dumps(asdict(Owner(me.pid, me.create_time(), detached))))


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the portal against a second starting or resetting command.

    :raises RunningError: another one holds it
    """
    folder = home / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = owner(home)
            who = f" (process {found.pid})" if found and found.process() else ""
            raise RunningError(
                f"The portal in {home} is running already, or just starting{who}. "
                "See it with `status`, stop it with `down`, or use another --home and --port."
            ) from error
        yield
    finally:
        os.close(descriptor)
