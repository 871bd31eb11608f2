"""The harvest sources that datasets come from, as a reader may see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.model import HarvestJob, HarvestObject

from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model.lineage import texts


def sources_of(context: Context, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The sources of the datasets ``ids`` that the user of ``context`` may see, each with its last harvest."""
    reader = Reader(context)
    found = model.Session.scalars(
        sa.select(HarvestObject.harvest_source_id.distinct()).where(
            HarvestObject.current, HarvestObject.package_id == sa.any_(texts(ids))
        )
    ).all()
    reader.look([each for each in found if each])
    sources = sorted(reader.packages.values(), key=lambda each: (each.title or each.name, each.id))
    return [
        {
            "id": each.id,
            "name": each.name,
            "title": each.title or each.name,
            "page": tk.url_for("harvest.read", id=each.name, qualified=True),
            "last_harvest": _last(each.id),
        }
        for each in sources
    ]


def _last(source_id: str) -> dict[str, Any] | None:
    job = model.Session.scalars(
        sa.select(HarvestJob).where(HarvestJob.source_id == source_id).order_by(HarvestJob.created.desc()).limit(1)
    ).first()
    if job is None:
        return None
    states = model.Session.execute(
        sa.select(HarvestObject.report_status, sa.func.count())
        .where(HarvestObject.harvest_job_id == job.id)
        .group_by(HarvestObject.report_status)
    )
    return {
        "status": job.status,
        "created": job.created.isoformat(),
        "finished": None if job.finished is None else job.finished.isoformat(),
        "stats": {str(status or "waiting"): number for status, number in states},
    }
