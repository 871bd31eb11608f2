"""`logs`: the last lines of one service or of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest


def test_one_service_is_shown(portal: PortalUnderTest) -> None:
    shown = portal.command("logs", "postgres", "-n", "5").stdout

    assert "database system is ready to accept connections" in portal.command("logs", "postgres", "-n", "500").stdout
    assert 0 < len(shown.splitlines()) <= 5


def test_all_are_shown_with_their_names(portal: PortalUnderTest) -> None:
    shown = portal.command("logs").stdout

    assert "==> ckan <==" in shown
    assert "==> supervisor <==" in shown


def test_an_unknown_service_is_refused_with_the_known_ones(portal: PortalUnderTest) -> None:
    result = portal.command("logs", "nginx")

    assert result.returncode == 1
    assert "no log of nginx" in result.stderr
    assert "postgres" in result.stderr
