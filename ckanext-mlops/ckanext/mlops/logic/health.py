"""An organization's catalog at a glance: what it lacks, what is stale, and which harvests fail."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestSource

from ckanext.mlops.core import naming
from ckanext.mlops.logic import coverage
from ckanext.mlops.logic.reader import Reader, same_user
from ckanext.mlops.search.document import COMMITTED

MAX_SOURCES = 200
#: Of a harvest job, in a statement: something was not read, or not written.
FAILED = sa.or_(
    sa.exists().where(HarvestGatherError.harvest_job_id == HarvestJob.id),
    sa.exists().where(HarvestObject.harvest_job_id == HarvestJob.id, HarvestObject.report_status == "errored"),
)


def answer(context: Context, organization: model.Group, *, days: int, limit: int, gaps: bool) -> dict[str, Any]:
    """The answer of ``mlops_organization_health``."""
    found = coverage.answer(context, organization, limit=limit) if gaps else {}
    return {
        "organization": organization.name,
        **{name: found[name] for name in ("count", "complete", "hidden", "truncated", "gaps") if name in found},
        "days": days,
        "stale": _stale(context, organization, days, limit),
        "sources": _sources(context, organization),
    }


def _stale(context: Context, organization: model.Group, days: int, limit: int) -> dict[str, Any]:
    """Datasets whose newest version is older, the oldest first; what is retired is not expected to go on."""
    reader = same_user(context)
    found = tk.get_action("package_search")(
        reader,
        {
            "q": f"{COMMITTED}:[* TO NOW-{days}DAYS] -extras_dvc_retired:[* TO *]",
            "fq": f'owner_org:"{organization.id}" +dataset_type:dataset',
            "fl": ["id", "name", "title", COMMITTED],
            "sort": f"{COMMITTED} asc, id asc",
            "rows": limit,
            "facet": "false",
            "include_private": True,
        },
    )
    return {
        "count": found["count"],
        "results": [
            {
                "id": each["id"],
                "name": each["name"],
                "title": each.get("title") or each["name"],
                "newest": each[COMMITTED],
            }
            for each in found["results"]
        ],
    }


def _sources(context: Context, organization: model.Group) -> list[dict[str, Any]]:
    """The harvest sources that the reader may see, those that fail first."""
    reader, package = Reader(context), model.Package
    sources = reader.session.execute(
        sa.select(HarvestSource.id, HarvestSource.url, HarvestSource.frequency)
        .join(package, package.id == HarvestSource.id)
        .where(
            package.owner_org == organization.id,
            package.state == "active",
            HarvestSource.active,
            HarvestSource.type == "dvc",
        )
        .order_by(package.title, package.id)
        .limit(MAX_SOURCES)
    ).all()
    visible = reader.look([each.id for each in sources]).visible
    sources = [each for each in sources if each.id in visible]
    jobs = {
        job.source_id: job
        for job in reader.session.execute(
            sa.select(HarvestJob.id, HarvestJob.source_id, HarvestJob.status, HarvestJob.finished)
            .where(HarvestJob.source_id.in_([each.id for each in sources]))
            .distinct(HarvestJob.source_id)
            .order_by(HarvestJob.source_id, HarvestJob.created.desc())
        )
    }
    ids = [job.id for job in jobs.values()]
    unread = _counted(reader, HarvestGatherError.harvest_job_id, ids)
    failed = _counted(reader, HarvestObject.harvest_job_id, ids, HarvestObject.report_status == "errored")
    told = [_source(reader, each, jobs.get(each.id), unread, failed) for each in sources]
    return sorted(told, key=lambda each: each["state"] in ("fine", "running"))


def _counted(reader: Reader, column: Any, ids: list[str], *where: Any) -> dict[str, int]:
    rows = reader.session.execute(sa.select(column, sa.func.count()).where(column.in_(ids), *where).group_by(column))
    return {str(key): number for key, number in rows}


def _source(reader: Reader, source: Any, job: Any, unread: dict[str, int], failed: dict[str, int]) -> dict[str, Any]:
    package = reader.packages[source.id]
    problems = unread.get(job.id, 0) if job else 0
    errors = failed.get(job.id, 0) if job else 0
    if job is None:
        state = "never"
    elif job.status != "Finished":
        state = "running"
    else:
        state = "failed" if problems or errors else "fine"
    return {
        "id": source.id,
        "name": package.name,
        "title": package.title or package.name,
        "page": tk.url_for("harvest.read", id=package.name, qualified=True),
        "repository": naming.repository_slug(source.url),
        "frequency": source.frequency,
        "state": state,
        "job": job.id if job else None,
        "finished": f"{job.finished:%Y-%m-%dT%H:%M:%SZ}" if job and job.finished else None,
        "problems": problems,
        "failed": errors,
    }
