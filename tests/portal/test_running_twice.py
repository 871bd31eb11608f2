"""A second `up` on the same folder changes nothing and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest


def test_up_while_it_runs_in_a_terminal(portal: PortalUnderTest) -> None:
    assert portal.terminal
    before = {process.pid for process in portal.processes()}

    result = portal.command("up")

    assert result.returncode == 1
    assert f"is running already, or just starting (process {portal.terminal.pid})" in result.stderr
    assert "`down`" in result.stderr
    assert before <= {process.pid for process in portal.processes()}


def test_reset_is_not_done_without_consent(portal: PortalUnderTest) -> None:
    result = portal.command("reset")

    assert result.returncode != 0
    assert portal.status()["healthy"]
