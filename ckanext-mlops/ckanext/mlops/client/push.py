"""Send the records of a repository to a portal that cannot reach it."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any

from .portal import Portal


def source_url(portal: Portal, source: str) -> str:
    """The address of the repository that a harvest source is of."""
    return str(portal.action("harvest_source_show", id=source)["url"])


def push(portal: Portal, source: str, parts: Iterable[str]) -> dict[str, Any]:
    """Send a document of ``ckan-mlops read --json``, given in parts; the portal's answer.

    :raises ClientError: the portal does not answer, or refuses it
    """
    content = gzip.compress("".join(parts).encode(), 6)
    answer = portal.action("mlops_repository_push", id=source, files={"records": ("records.json.gz", content)})
    return dict(answer)
