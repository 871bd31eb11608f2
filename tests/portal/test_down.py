"""`down` and Ctrl-C: everything stops, nothing is lost."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest


def test_down_from_another_terminal(portal: PortalUnderTest) -> None:
    assert portal.terminal

    result = portal.command("down")

    assert result.returncode == 0, result.stderr
    assert "Stopped." in result.stdout
    assert portal.terminal.wait(10) == 0
    assert not portal.processes()
    assert portal.command("status").returncode == 1
    log = (portal.home / "logs/postgres.log").read_text()
    assert log.rstrip().endswith("database system is shut down")
    again = portal.command("down")
    assert again.returncode == 0
    assert "was not running" in again.stdout


def test_settings_that_were_broken_meanwhile_do_not_keep_it_running(portal: PortalUnderTest) -> None:
    assert portal.terminal
    settings = portal.home / "portal.toml"
    before = settings.read_text()
    settings.write_text("[ckan]\nprot = 5000\n")

    try:
        result = portal.command("down")
    finally:
        settings.write_text(before)

    assert result.returncode == 0, result.stderr
    assert "[ckan] prot is unknown" in result.stdout
    assert "Stopped." in result.stdout
    assert not portal.processes()


def test_ctrl_c_while_it_is_still_starting(other: PortalUnderTest) -> None:
    starting = other.begin()
    assert other.wait(lambda: "Preparing CKAN" in other.said())
    starting.send_signal(signal.SIGINT)

    assert starting.wait(120) == 130

    assert not other.processes()
    assert other.command("down").returncode == 0
