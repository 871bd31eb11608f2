"""The Python environment that a lock describes, made with the standard library alone.

A stamp in the environment holds the lock's hash, so that a second call costs milliseconds. `MLOPS_VENV` names a ready
environment to use instead (no check, no installation).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.errors import BootstrapError

CHECKOUT = Path(__file__).resolve().parents[2]
GIBIBYTE = 1 << 30
ENVIRONMENT_SPACE = 2 * GIBIBYTE  # measured: 1.1 GiB on Linux x86-64, and room for unpacking
Echo = Callable[[str], None]


def environment(checkout: Path = CHECKOUT) -> tuple[Path, bool]:
    """The environment's folder, and whether this module looks after it."""
    given = os.environ.get("MLOPS_VENV")
    return (Path(given).absolute(), False) if given else (checkout / ".venv", True)


def interpreter(folder: Path) -> Path:
    """The environment's Python."""
    return folder / "bin" / "python"


def lock_hash(lock: Path, checkout: Path = CHECKOUT) -> str:
    """Hash of everything that the environment is made from."""
    digest = hashlib.sha256()
    # setup.py holds the entry points, which are written down at installation.
    for file in (lock, checkout / "setup.py"):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def ensure(folder: Path, lock: Path, echo: Echo, checkout: Path = CHECKOUT) -> bool:
    """Make the environment hold exactly what the lock says, and this checkout; True if anything had to be done.

    :raises BootstrapError: no disk, no `venv` module, unreachable registry
    """
    stamp, wanted = folder / ".lock-hash", lock_hash(lock, checkout)
    if _current(stamp, wanted):
        return False
    require_space(folder.parent, ENVIRONMENT_SPACE, "the Python environment")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, echo):
        if _current(stamp, wanted):  # another process made it while this one waited
            return False
        stamp.unlink(missing_ok=True)
        echo(f"Creating the Python environment {folder} (once; about half a minute and 1.1 GB)")
        try:
            venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(folder)
        except (subprocess.CalledProcessError, OSError) as error:
            raise BootstrapError(
                f"Python's venv module cannot make {folder}: {error}\n"
                "On Debian and Ubuntu it is a package of its own: apt install python3.11-venv"
            ) from error
        _install(folder, lock, checkout, echo)
        stamp.write_text(wanted, encoding="utf-8")
    return True


def require_space(folder: Path, size: int, what: str) -> None:
    """Refuse to begin what cannot end.

    :param folder: it, or its nearest existing parent, is asked
    :param size: bytes
    :raises BootstrapError: less is free
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < size:
        raise BootstrapError(
            f"No disk space for {what}: it needs {size / GIBIBYTE:.1f} GiB at {folder}, {free / GIBIBYTE:.1f} GiB "
            "are free. Free some, or use another disk (--home for the data)."
        )


def _current(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted


def _install(folder: Path, lock: Path, checkout: Path, echo: Echo) -> None:
    python = str(interpreter(folder))
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    uv_lock = checkout / "scripts/embedded/bootstrap.lock"
    exact = ["--no-deps", "--require-hashes", "--requirement", str(lock)]
    project = ["--no-deps", "--no-build-isolation", "--editable", str(checkout)]
    if _run([*pip, "--require-hashes", "--requirement", str(uv_lock)]):
        uv = [python, "-m", "uv", "pip", "install", "--python", python]
        if _run([*uv, *exact]) and _run([*uv, "--quiet", *project]):
            return
    echo("uv could not install the packages; trying again with pip (slower)")
    if not (_run([*pip, *exact]) and _run([*pip, *project])):
        raise BootstrapError(
            f"The packages of {lock.name} could not be installed; the lines above say why. If they speak of "
            "connections or names: the package registry is unreachable from here. Check the network and pip's "
            "settings (proxy, index: `pip config list`), then run the same command again."
        )


def _run(command: list[str]) -> bool:

    return subprocess.run(command, check=False).returncode == 0


@contextmanager
def _alone(folder: Path, echo: Echo) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            echo(f"Another process is making {folder}; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def reexecute(folder: Path, arguments: list[str]) -> None:
    """Run this command again with the environment's Python; returns only if it is that Python already."""
    python = interpreter(folder)
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    if not python.exists():
        raise BootstrapError(f"There is no Python in {folder}: {python} is missing")
    sys.stdout.flush()
    os.execv(python, [str(python), *arguments])  # noqa: S606
