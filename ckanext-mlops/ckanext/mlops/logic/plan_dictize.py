"""What actions answer of a plan's row, whatever a worker was asked to read for it."""

from __future__ import annotations

from typing import Any

from ckanext.mlops.core.said import said
from ckanext.mlops.logic.told import told
from ckanext.mlops.model import Plan, plans


def how_far(row: Plan) -> dict[str, Any]:
    """``id``, ``state``, ``progress`` and ``told`` (the same in the language of the address), ``created``."""
    lost = plans.is_lost(row)
    progress = said("The worker that read the repository was stopped.") if lost else row.progress
    return {
        "id": row.id,
        "state": "failed" if lost else row.state,
        "progress": progress,
        "told": told(progress),
        "created": row.created.replace(microsecond=0).isoformat() + "Z",
    }
