"""A service that is killed is started again, and says so in the log."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest

STORES = ["postgres", "redis", "solr"]


def _kill_and_wait(portal: PortalUnderTest, names: list[str]) -> None:
    before = {name: service["pid"] for name, service in portal.services().items()}
    for name in names:
        os.kill(before[name], signal.SIGKILL)

    def back() -> bool:
        time.sleep(1)  # a look costs a second of processor time itself
        status = portal.status()
        found = {service["name"]: service["pid"] for service in status["services"]}
        return status["healthy"] and all(found[name] not in (0, before[name]) for name in names)

    assert portal.wait(back), portal.command("status").stdout
    log = (portal.home / "logs/supervisor.log").read_text()
    for name in names:
        assert f"exited: {name} (terminated by SIGKILL; not expected)" in log
    assert portal.wait(lambda: all(f"exited: {name}" in portal.said() for name in names), 10), "so does the terminal"


@pytest.mark.parametrize("name", STORES)
def test_a_store_comes_back_with_its_data(portal: PortalUnderTest, name: str) -> None:
    title = f"killed {name}"
    made = portal.api("organization_create", name=f"killed-{name}", title=title)

    _kill_and_wait(portal, [name])

    assert portal.api("organization_show", id=made["id"])["title"] == title


def test_all_applications_come_back_without_leftovers(portal: PortalUnderTest) -> None:
    applications = sorted(set(portal.services()) - set(STORES))

    _kill_and_wait(portal, applications)

    # Workers of a killed master do not stay beside those of the new one.
    by_service: dict[str, int] = {}
    roots = {service["pid"] for service in portal.services().values()}
    for process in portal.processes():
        name = process.environ().get("MLOPS_PORTAL_SERVICE", "")
        if name in applications:
            family = {process.pid, *(parent.pid for parent in process.parents())}
            assert family & roots, f"{name}: {process.pid} belongs to no living master"
            by_service[name] = by_service.get(name, 0) + 1
    assert set(by_service) == set(applications)
