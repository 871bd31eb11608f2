"""The portal behind a real HTTP server, for programs that speak with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from ckanext.mlops.client import Portal


@pytest.fixture(scope="session")
def _served(_wsgi: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, _wsgi, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)


@pytest.fixture
def live(_served: str, people: Any) -> str:
    """Address of the portal; it has ``people``."""
    return _served


@pytest.fixture
def portal(live: str, people: Any) -> Portal:
    """The portal, as the editor."""
    return Portal(live, people.editor.token, retries=1, sleep=lambda seconds: None)
