"""One real portal for the whole session, on free ports, in a temporary folder; each test leaves it running.

The portals use the environment that runs these tests (`MLOPS_VENV`), so nothing is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from embedded.launch import marked
from embedded.ports import free_port

PORTAL = Path(__file__).resolve().parents[2] / "scripts/portal.py"
ENVIRONMENT = {**os.environ, "MLOPS_VENV": sys.prefix}
UP_SECONDS = 240  # a busy machine with two processors


@dataclass
class PortalUnderTest:
    """A portal that is driven as a person would drive it: by its commands."""

    home: Path
    port: int
    terminal: subprocess.Popen[str] | None = None
    output: Path = field(init=False)

    def __post_init__(self) -> None:
        self.output = self.home.with_suffix(".output")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.home / "credentials.json").read_text())
        return found

    def command(self, *arguments: str, seconds: float = UP_SECONDS) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(PORTAL), arguments[0], "--home", str(self.home), *arguments[1:]],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def up(self) -> None:
        """Start it in a terminal of its own, unless it is up; return when it says so."""
        if self.terminal and self.terminal.poll() is None:
            return
        terminal = self.begin()
        ready = self.wait(lambda: "Ctrl-C stops it" in self.said() or terminal.poll() is not None)
        assert ready, self.said()
        assert terminal.poll() is None, self.said()

    def begin(self) -> subprocess.Popen[str]:
        """Start it in a terminal of its own, and do not wait."""
        with self.output.open("w") as output:
            self.terminal = subprocess.Popen(
                [sys.executable, str(PORTAL), "up", "--home", str(self.home), "--port", str(self.port)],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        return self.terminal

    def said(self) -> str:
        return self.output.read_text()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return found

    def services(self) -> dict[str, dict[str, Any]]:
        return {service["name"]: service for service in self.status()["services"]}

    def processes(self) -> list[psutil.Process]:
        return marked(str(self.home))

    def api(self, action: str, **data: Any) -> Any:
        token = {"Authorization": self.credentials["api_token"]}
        answer = requests.post(f"{self.url}/api/3/action/{action}", json=data, headers=token, timeout=60)
        assert answer.ok, answer.text
        return answer.json()["result"]

    @staticmethod
    def wait(condition: Callable[[], object], seconds: float = UP_SECONDS) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.3)
        return False

    def end(self) -> None:
        """Leave no process, whatever a failed test did."""
        if self.terminal and self.terminal.poll() is None:
            self.terminal.send_signal(signal.SIGINT)
            self.terminal.wait(120)
        self.command("down")
        for process in self.processes():
            process.kill()


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    # Not pytest's own: its names are long, and the supervisor's socket is in it.
    path = Path(tempfile.mkdtemp(prefix="portal-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def session_portal(folder: Path) -> Iterator[PortalUnderTest]:
    made = PortalUnderTest(folder / "one", free_port())
    yield made
    made.end()


@pytest.fixture
def portal(session_portal: PortalUnderTest) -> PortalUnderTest:
    """The session's portal, up."""
    session_portal.up()
    return session_portal


@pytest.fixture
def other(folder: Path, request: pytest.FixtureRequest) -> Iterator[PortalUnderTest]:
    """A portal that was never started."""
    made = PortalUnderTest(folder / request.node.name.partition("[")[0], free_port())
    yield made
    made.end()
