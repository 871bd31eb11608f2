"""Follow a harvest: what is said about it while it reads and plans is kept where its page finds it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ckanext.mlops.catalog.text import line
from ckanext.mlops.model import plans

log = logging.getLogger(__name__)
Progress = Callable[[str], None]
_PAUSE = 0.3


def progress(plan_id: str, source_id: str, also: Progress, kind: str = "harvest") -> Progress:
    """A progress that its page shows; what comes faster than people read is left out."""
    last = [0.0]

    def say(message: str) -> None:
        also(message)
        if time.monotonic() - last[0] >= _PAUSE:
            last[0] = time.monotonic()
            note(plan_id, source_id, kind, state="reading", progress=line(message))

    return say


def note(plan_id: str, source_id: str, kind: str = "harvest", **values: Any) -> None:
    """Keep what is known of a harvest or preview. Nothing depends on it, so that nothing fails by it."""
    try:
        plans.write_now(plan_id, source_id, kind, **values)
    except SQLAlchemyError:
        log.exception("%s: its progress could not be saved", plan_id)
