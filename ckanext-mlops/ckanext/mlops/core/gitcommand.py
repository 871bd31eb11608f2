"""Running Git: a fixed environment, bounded output, time, memory and disk, no shell.

Git reads configuration, attributes and environment from many places; every one that is not ours is closed here. The
same environment serves the transports (:mod:`.mirror`) and the readers of objects.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence

from .errors import FetchFailed, LimitExceeded

Config = Iterable[tuple[str, str]]

MEMORY = 4 * 1024**3
_POLL = 0.1
_CONFIG = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.bigFileThreshold", "16m"),
    ("core.packedGitWindowSize", "32m"),
    ("core.packedGitLimit", "512m"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("safe.directory", "*"),
    ("credential.helper", ""),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("advice.detachedHead", "false"),
)


def git_environment(
    config: Config = (), *, protocols: Sequence[str] = (), global_config: str = os.devnull
) -> dict[str, str]:
    """The whole environment of a Git process: nothing of the caller's but the search path.

    Use it with ``git --git-dir=DIR ...`` for every reading command (``cat-file``, ``for-each-ref``, ``rev-list``). No
    system, user or hostile setting is honoured before it, no hook or helper runs, objects are never replaced or fetched
    on demand, no prompt opens, messages are English. Without ``protocols`` Git may not contact anything.

    :param config: further settings, which beat the repository's own configuration file
    :param protocols: Git transports that may be used: ``https``, ``http``, ``ssh``, ``file``
    :param global_config: a file of ours; settings in it also reach the ``upload-pack`` of a local repository
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": global_config,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_DEFAULT_REF_FORMAT": "files",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "SSH_ASKPASS": "true",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(protocols) or "none",
    }
    if "SYSTEMROOT" in os.environ:
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    pairs = [*_CONFIG, *config]
    environment["GIT_CONFIG_COUNT"] = str(len(pairs))
    for number, (key, value) in enumerate(pairs):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


class GitError(Exception):
    """Git ended with an error; ``text`` is the end of what it wrote, without control characters."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"git ended with {code}: {text}")
        self.code = code
        self.text = text


def run_git(
    arguments: Sequence[str],
    environment: dict[str, str],
    *,
    deadline: float,
    what: str,
    max_output: int = 64 * 1024**2,
    max_file: int | None = None,
    memory: int | None = MEMORY,
    hide: Sequence[str] = (),
    watch: Callable[[], None] | None = None,
    keep: Sequence[int] = (),
    meanwhile: Callable[[], None] | None = None,
) -> bytes:
    """Standard output of ``git ARGUMENTS``.

    :param deadline: on the clock of ``time.monotonic``
    :param what: the repository's name for messages
    :param max_output: bytes of standard output
    :param max_file: bytes of any one file that Git writes
    :param memory: bytes of address space of each of its processes; None for a command that reads little and ends soon
    :param hide: texts that must not appear in the error
    :param watch: called every tenth of a second; what it raises stops Git
    :param keep: file descriptors that stay open in Git (a lock lives as long as its last holder)
    :param meanwhile: called once, when Git has been started
    :raises GitError: Git failed
    :raises LimitExceeded: too much output
    :raises FetchFailed: Git is not installed, or the time is over
    """
    try:
        process = subprocess.Popen(
            [*(() if memory is None else _wrapper(memory, max_file)), "git", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(keep),
            cwd="/",
        )
    except FileNotFoundError as error:
        raise FetchFailed("The program git is not installed on this machine; install it.") from error
    try:
        if meanwhile is not None:
            meanwhile()
        output, errors = _collect(process, deadline, what, max_output, watch)
    except BaseException:
        _kill(process)
        raise
    if process.returncode:
        text = errors.decode("utf-8", "replace")
        for secret in hide:
            text = text.replace(secret, "***")
        raise GitError(process.returncode, plain(text))
    return output


def _collect(
    process: subprocess.Popen[bytes], deadline: float, what: str, max_output: int, watch: Callable[[], None] | None
) -> tuple[bytes, bytes]:
    assert process.stdout is not None  # noqa: S101 - for the type checker
    assert process.stderr is not None  # noqa: S101
    output, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
        selector.register(process.stdout, selectors.EVENT_READ, output)
        selector.register(process.stderr, selectors.EVENT_READ, errors)
        while selector.get_map():
            for key, _ in selector.select(_POLL):
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    selector.unregister(key.fileobj)
                key.data.extend(chunk)
            del errors[:-8192]
            if len(output) > max_output:
                raise LimitExceeded(
                    f"{what}: Git answered more than {max_output:,} bytes; the repository has too many refs."
                )
            _check_time(deadline, what)
            if watch is not None:
                watch()
        while process.poll() is None:
            _check_time(deadline, what)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL)
    return bytes(output), bytes(errors)


def _check_time(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise FetchFailed(
            f"{what}: Git did not finish in the time allowed (limit: timeout); raise the time limit or try again later."
        )


def _wrapper(memory: int, max_file: int | None) -> list[str]:
    """Programs of util-linux that start Git with limits; where they are missing, Git runs without.

    Git must not outlive a worker that was killed: it would go on downloading and hold the lock.
    """
    words = []
    if shutil.which("prlimit"):
        words += ["prlimit", "--core=0", f"--as={memory}", *([] if max_file is None else [f"--fsize={max_file}"])]
    if shutil.which("setpriv"):
        words += ["setpriv", "--pdeathsig", "KILL"]
    return words


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
    process.wait()


def plain(text: str) -> str:
    """Git's message as one bounded line without control characters and without user info of URLs."""
    line = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text)
    return re.sub(r"(://)[^/\s@]*@", r"\1", line).strip()[-1000:]
