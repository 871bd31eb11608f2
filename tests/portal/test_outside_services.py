"""portal.toml names services of the operator's: they are used, checked, and not started or stopped."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from embedded import config
from embedded.settings import Settings

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest


def test_a_portal_on_the_services_of_another(portal: PortalUnderTest, other: PortalUnderTest) -> None:
    lender = Settings.load(portal.home, config.load(portal.home / "portal.toml"))
    assert lender.postgres
    assert lender.redis
    database = lender.postgres.create_database("borrower", "borrowers-password")
    other.home.mkdir()
    (other.home / "portal.toml").write_text(
        f"""
        [ckan.options]
        "ckan.site_id" = "borrower"
        [postgres]
        url = "{database}"
        [redis]
        url = "{lender.redis.url(5)}"
        [solr]
        url = "{lender.solr_url}"
        [mlflow]
        url = "{lender.mlflow_url}"
        """
    )

    other.up()

    found = other.services()
    assert {name for name, service in found.items() if service["state"] == "outside"} == {
        "postgres", "redis", "solr", "mlflow"
    }  # fmt: skip
    assert other.status()["healthy"]
    assert "borrowers-password" not in other.command("status").stdout
    running = {process.environ().get("MLOPS_PORTAL_SERVICE") for process in other.processes()}
    assert running == {"supervisor", "ckan", "worker", "gather", "fetch", "timer"}
    other.api("organization_create", name="of-the-borrower")
    assert "of-the-borrower" not in portal.api("organization_list")
    assert other.terminal
    other.terminal.send_signal(signal.SIGINT)
    assert other.terminal.wait(120) == 0
    assert "Stopping the portal; data is kept" in other.said()
    assert not other.processes()
    assert portal.status()["healthy"]


def test_one_that_does_not_answer_is_named_without_its_password(other: PortalUnderTest) -> None:
    other.home.mkdir()
    (other.home / "portal.toml").write_text(
        '[redis]\nurl = "redis://:hidden-word@127.0.0.1:9/0"\n[solr]\nurl = "http://127.0.0.1:9/solr/ckan"\n'
        '[mlflow]\nurl = "http://127.0.0.1:9"\n'
    )

    result = other.command("up")

    assert result.returncode == 1
    assert "Your Redis, named in" in result.stderr
    assert "redis://127.0.0.1:9/0" in result.stderr
    assert "hidden-word" not in result.stdout + result.stderr
    assert not other.processes()
