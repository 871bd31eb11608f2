"""Starts one service of a portal: `python launch.py [--unprivileged] NAME COMMAND...`.

Ends first what an earlier, killed start of the same service left running (a server's worker outlives its master and
holds the port), then becomes the command. The environment variables `MLOPS_PORTAL_HOME` and `MLOPS_PORTAL_SERVICE` mark
every process of a portal, children included.

`--unprivileged`: PostgreSQL refuses to run as root, or as a user without a name (a number given to a container). Such
a user becomes uid 65534 of a user namespace of its own, which keeps its access to its own files; where such namespaces
are forbidden, root becomes the user nobody.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

HOME, SERVICE = "MLOPS_PORTAL_HOME", "MLOPS_PORTAL_SERVICE"
NOBODY = 65534
CLONE_NEWUSER = 0x10000000
CANNOT = 77  # exit code: these rights cannot be had here


def marked(home: str, service: str = "") -> list[psutil.Process]:
    """Living processes of the portal at that home, or of one of its services; never the caller."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get(HOME) == home and service in ("", environment.get(SERVICE)):
            found.append(process)
    return found


def end_leftovers(home: str, service: str, seconds: float = 10) -> int:
    """End the service's processes of an earlier start; how many there were."""
    left = marked(home, service)
    for process in left:
        _signal(process, kill=False)
    alive = wait_ended(left, seconds)
    for process in alive:
        _signal(process, kill=True)
    wait_ended(alive, seconds)
    return len(left)


def wait_ended(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the end of processes; those that live on after that time.

    A zombie has ended: it is another's child, perhaps of one that will never ask (in a container without an init).
    """
    end = time.monotonic() + seconds
    while alive := [process for process in processes if _lives(process)]:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.Error):
        process.kill() if kill else process.terminate()


def give_up_root(folder: Path, executable: Path) -> str:
    """Stop being root, or nameless; the way that was taken.

    :param folder: data folder of the service, which must stay its own
    :raises PermissionError: no way is open here
    """
    try:
        _own(folder, os.geteuid(), os.getegid())
        enter_user_namespace()
    except OSError:
        become_nobody(folder, executable)
        return "nobody"
    return "namespace"


def enter_user_namespace() -> None:
    """Become uid and gid 65534 of a new user namespace, in which the caller's own files stay its own."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1", encoding="ascii")


def become_nobody(folder: Path, executable: Path) -> None:
    """Become the user nobody.

    :raises PermissionError: nobody cannot reach the folder or the program
    """
    if os.geteuid() != 0:
        raise PermissionError(
            f"PostgreSQL needs a user with a name: user {os.geteuid()} is not in /etc/passwd, and user namespaces are "
            "forbidden here. Add the user, or run as another."
        )
    _own(folder, NOBODY, NOBODY)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    for path, mode in ((executable, os.X_OK), (folder, os.R_OK | os.W_OK | os.X_OK)):
        if not os.access(path, mode):
            raise PermissionError(
                "PostgreSQL does not run as root, user namespaces are forbidden here, and the user nobody cannot reach "
                f"{path}. Run the portal as an ordinary user, or put the checkout and --home where every user may "
                "enter (not below /root)."
            )


def _has_name() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _own(folder: Path, user: int, group: int) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_uid != user:
            os.chown(path, user, group, follow_symlinks=False)


def main(arguments: list[str]) -> None:
    """Become the command."""
    unprivileged = arguments[0] == "--unprivileged"
    name, *command = arguments[1:] if unprivileged else arguments
    if count := end_leftovers(os.environ[HOME], name):
        print(f"{name}: ended {count} processes of an earlier start", file=sys.stderr, flush=True)
    if unprivileged and (os.geteuid() == 0 or not _has_name()):
        try:
            give_up_root(Path.cwd(), Path(command[0]))
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
            sys.exit(CANNOT)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
