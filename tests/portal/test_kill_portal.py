"""`kill -9` of the portal itself, then `up`: what it left is stopped properly, and no data is lost."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest


def _supervisor(portal: PortalUnderTest) -> psutil.Process:
    return next(p for p in portal.processes() if p.environ().get("MLOPS_PORTAL_SERVICE") == "supervisor")


def test_a_killed_supervisor_ends_the_portal_in_the_terminal_and_leaves_nothing(portal: PortalUnderTest) -> None:
    assert portal.terminal
    os.kill(_supervisor(portal).pid, signal.SIGKILL)

    assert portal.terminal.wait(150) == 1

    assert "The supervisor was killed" in portal.said()
    assert not portal.processes()


def test_up_after_both_were_killed(portal: PortalUnderTest) -> None:
    assert portal.terminal
    made = portal.api("organization_create", name="before-the-kill")
    left = {process.pid for process in portal.processes()} - {_supervisor(portal).pid}
    addresses = {name: service["address"] for name, service in portal.services().items()}
    os.kill(portal.terminal.pid, signal.SIGKILL)
    os.kill(_supervisor(portal).pid, signal.SIGKILL)
    portal.terminal.wait()

    result = portal.command("status")
    assert result.returncode == 1
    assert "The supervisor is dead" in result.stdout
    log = portal.home / "logs/postgres.log"
    before = log.stat().st_size
    portal.up()

    assert "An earlier portal was killed here" in portal.said()
    assert portal.status()["healthy"]
    assert {name: service["address"] for name, service in portal.services().items()} == addresses
    assert not left & {process.pid for process in portal.processes()}
    assert "was not properly shut down" not in log.read_bytes()[before:].decode(), "PostgreSQL was stopped, not killed"
    assert portal.api("organization_show", id=made["id"])["name"] == "before-the-kill"
