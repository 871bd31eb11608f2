"""A folder in which Git, DVC and the project's own scripts run, shielded from the user's settings.

Nothing that the user configured for Git, DVC or MLflow reaches the demo, and nothing calls out: no analytics, no
update check, no prompt.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from embedded.errors import PortalError

AUTHOR, EMAIL = "Rose Datascientist", "rose@example.org"
# Threads change the order of floating point sums, and with it the model's bytes and hash.
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
_DROPPED = ("GIT_", "DVC_", "MLFLOW_", "PYTHON")
Clock = Callable[[], datetime]


class DemoError(PortalError):
    """The demo cannot go on; the message says what failed, where and what to do."""


class Workspace:
    """The work tree ``folder/titanic``, its origin ``folder/titanic.git`` and its DVC remote ``folder/dvc-remote``.

    :param folder: parent of the three
    :param python: interpreter that has dvc, scikit-learn and MLflow
    :param clock: says when a commit is made
    """

    def __init__(self, folder: Path, python: Path, clock: Clock) -> None:
        self.folder = folder.absolute()
        self.work = self.folder / "titanic"
        self.bare = self.folder / "titanic.git"
        self.remote = self.folder / "dvc-remote"
        self.settings = self.folder / "settings"
        self.python = python.absolute()
        self.clock = clock
        self.env = environment(self.settings, self.python)
        self._lock = -1

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against a second build, also against what a killed one left running."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Children inherit it, so the lock outlives a parent that was killed until they are gone as well.
            self._lock = file.fileno()
            try:
                yield
            finally:
                self._lock = -1

    def run(self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run a command in the work tree and return what it printed.

        :raises DemoError: it failed; with the last lines of its output
        """
        return self._run([str(part) for part in command], cwd or self.work, env or {}, shell=False)

    def shell(self, command: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
        """Run a stage's command through the shell, as DVC does."""
        return self._run(command, cwd, env or {}, shell=True)  # noqa: S604 - stage commands are shell commands

    def git(self, *arguments: str | Path) -> str:
        """Run Git in the work tree."""
        return self.run("git", *arguments)

    def dvc(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run DVC in the work tree."""
        return self.run(self.python, "-m", "dvc", *arguments, env=env)

    def commit(self, message: str) -> str:
        """Commit everything and return the commit's id."""
        self.git("add", "--all")
        self.run("git", "commit", "--quiet", "--message", message, env=self._dates())
        return self.git("rev-parse", "HEAD").strip()

    def tag(self, name: str, message: str) -> None:
        """Put an annotated tag on the last commit."""
        self.run("git", "tag", "--annotate", "--message", message, name, env=self._dates())

    def _dates(self) -> dict[str, str]:
        # Git counts whole seconds. Rounded up, so that a commit is never older than the training that it records.
        date = f"{int(self.clock().timestamp()) + 1} +0000"
        return {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}

    def _run(self, command: list[str] | str, cwd: Path, env: Mapping[str, str], *, shell: bool) -> str:
        result = subprocess.run(
            command,
            cwd=cwd,
            env={**self.env, **env},
            shell=shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=(self._lock,) if self._lock >= 0 else (),
        )
        if result.returncode:
            shown = command if isinstance(command, str) else " ".join(command)
            tail = "\n".join(result.stdout.strip().splitlines()[-15:])
            raise DemoError(f"'{shown}' failed in {cwd} (exit code {result.returncode}):\n{tail}")
        return result.stdout


def environment(settings: Path, python: Path) -> dict[str, str]:
    """The variables of every process of the demo.

    :param settings: folder of DVC's settings and caches, in place of the user's
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    inherited.pop("VIRTUAL_ENV", None)
    return {
        **inherited,
        **_ONE_THREAD,
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": AUTHOR,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": AUTHOR,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "DVC_NO_ANALYTICS": "1",
        "DVC_GLOBAL_CONFIG_DIR": str(settings),
        "DVC_SYSTEM_CONFIG_DIR": str(settings),
        "DVC_SITE_CACHE_DIR": str(settings / "dvc-cache"),
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)
