"""The portal behind a real HTTP server, for programs that speak with it."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.mlops.client import Portal


@pytest.fixture
def portal(live: str, people: Any) -> Portal:
    """The portal, as the editor."""
    return Portal(live, people.editor.token, retries=1, sleep=lambda seconds: None)
