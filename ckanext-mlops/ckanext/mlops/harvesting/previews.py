"""A preview in the background: a worker reads the source and plans; its page shows how far it is, then the plan."""

from __future__ import annotations

import logging

from ckan import model
from ckanext.harvest.model import HarvestSource

from ckanext.mlops.harvesting import follow, planning
from ckanext.mlops.harvesting.batches import sentence
from ckanext.mlops.model import plans

log = logging.getLogger(__name__)


def run(plan_id: str) -> None:
    """Make the preview that waits under that id."""
    session = model.Session()
    row = plans.get(session, plan_id)
    source = session.get(HarvestSource, row.source_id) if row is not None else None
    if row is None or source is None:
        return
    source_id = str(row.source_id)
    follow.note(plan_id, source_id, "preview", state="reading")
    try:
        prepared = planning.preview(source, follow.progress(plan_id, source_id, log.info, "preview"))
    except Exception as error:
        session.rollback()
        follow.note(plan_id, source_id, "preview", state="failed", progress=sentence(error))
        return
    plans.write_now(plan_id, source_id, "preview", state="planned", progress="", facts=prepared.shown())
