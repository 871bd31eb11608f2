"""A taken port is refused before anything starts, with who has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize(("option", "title"), [("--port", "CKAN"), ("--solr-port", "Solr")])
def test_up_names_the_process(other: PortalUnderTest, taken: int, option: str, title: str) -> None:
    ports = {"--port": str(other.port), option: str(taken)}

    result = other.command("up", *(part for pair in ports.items() for part in pair))

    assert result.returncode == 1
    assert f"Port {taken} of 127.0.0.1, wanted for {title}, is taken by" in result.stderr
    assert f"process {os.getpid()}" in result.stderr
    assert option in result.stderr
    assert not other.processes()
