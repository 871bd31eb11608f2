"""`reset` deletes a portal's folder and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest


def test_a_folder_that_is_no_portals_is_kept(other: PortalUnderTest) -> None:
    other.home.mkdir()
    (other.home / "thesis.tex").write_text("years of work")

    result = other.command("reset", "--yes")

    assert result.returncode == 1
    assert "has no portal.toml" in result.stderr
    assert (other.home / "thesis.tex").exists()


def test_a_portals_folder_is_deleted_even_if_its_configuration_is_broken(other: PortalUnderTest) -> None:
    other.home.mkdir()
    (other.home / "portal.toml").write_text("[ckan\n")

    result = other.command("reset", "--yes")

    assert result.returncode == 0, result.stderr
    assert not other.home.exists()


def test_nothing_to_delete(other: PortalUnderTest) -> None:
    result = other.command("reset", "--yes")

    assert result.returncode == 0
    assert "Nothing to delete" in result.stdout
