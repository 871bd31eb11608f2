"""Follow a harvest: what is said about it while it reads and plans is kept where its page finds it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import problems
from ckanext.mlops.catalog.plan import Plan
from ckanext.mlops.catalog.text import line
from ckanext.mlops.model import plans

if TYPE_CHECKING:
    from ckanext.mlops.harvesting.gather import Prepared

log = logging.getLogger(__name__)
Progress = Callable[[str], None]
MAX_CHANGES = 1000
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


def planned(session: Session, job_id: str, source_id: str, prepared: Prepared) -> None:
    """Keep the figures of a harvest's plan, with the plan. The caller commits."""
    plans.forget_lost(session, source_id)
    plans.write(session, job_id, source_id, state="planned", progress="", facts=facts(prepared))


def facts(prepared: Prepared) -> dict[str, Any]:
    """What is to be kept of a plan beside its changes."""
    plan: Plan = prepared.plan
    return {
        "summary": plan.summary(),
        "counts": plan.counts,
        "stages": plan.stages,
        "outputs": plan.outputs,
        "warnings": problems.bounded(prepared.warnings),
    }


def shown(prepared: Prepared, limit: int = MAX_CHANGES) -> dict[str, Any]:
    """A plan as previews and their action show it: field by field, without the unchanged datasets."""
    work = prepared.plan.work
    return {
        **facts(prepared),
        "changes": [
            {name: getattr(change, name) for name in ("kind", "guid", "title", "reason", "fields")}
            for change in work[:limit]
        ],
        "problems": problems.bounded(prepared.errors),
        "truncated": len(work) > limit,
    }
