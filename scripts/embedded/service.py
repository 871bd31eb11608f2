"""What a service is: a command, where it answers, how to tell that it is healthy, how to end it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Check = Callable[[], None]


class UnhealthyError(Exception):
    """A service does not do its work; the message says what was seen."""


@dataclass(frozen=True)
class Service:
    """One supervised process.

    :ivar name: identifies it in `status`, `logs` and the name of its log file
    :ivar command: first part an absolute path; no secret in it, for every user of the machine can read it
    :ivar environment: added to the portal's own
    :ivar folder: where it runs, created before the first start
    :ivar stop_signal: ends it without loss
    :ivar stop_seconds: how long that may take before it is killed
    :ivar store: others need it: started before them, stopped after them
    :ivar unprivileged: must not run as root
    :ivar address: where it answers; empty for one that only works
    :ivar listens: host and port that it needs
    :ivar prepare: makes its files; runs before every start of the portal
    :ivar check: raises UnhealthyError unless it does its work; None: being alive is all that can be seen
    """

    name: str
    title: str
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    store: bool = False
    unprivileged: bool = False
    address: str = ""
    listens: tuple[str, int] | None = None
    prepare: Callable[[], None] | None = None
    check: Check | None = None

    def launched(self, python: Path) -> tuple[str, ...]:
        """The command behind the launcher, which ends leftovers and gives up root."""
        launcher = str(Path(__file__).with_name("launch.py"))
        return (str(python), launcher, *(["--unprivileged"] if self.unprivileged else []), self.name, *self.command)


def healthy(check: Check | None) -> str:
    """Empty if the check passes, else what it saw."""
    if check is None:
        return ""
    try:
        check()
    except UnhealthyError as error:
        return str(error)
    return ""
