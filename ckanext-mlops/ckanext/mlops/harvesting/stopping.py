"""Stop a harvest: what is written stays, what a worker is at is finished, nothing else is written."""

from __future__ import annotations

import sqlalchemy as sa
from ckan import model
from ckanext.harvest.model import HarvestJob, HarvestObject

from ckanext.mlops.harvesting import batches
from ckanext.mlops.model import plans
from ckanext.mlops.model.tables import utc_now


def stop(job_id: str, user: str) -> bool:
    """Let the job be over; False when it was. Commits.

    A worker that reads the repository sees it before it stores its plan; what is locked is a batch that a worker is at.
    """
    session = model.Session()
    job = session.get(HarvestJob, job_id, with_for_update=True, populate_existing=True)
    of_job = sa.and_(HarvestObject.harvest_job_id == job_id, HarvestObject.state.not_in(batches.DONE))
    left = sa.select(HarvestObject.id).where(of_job).with_for_update(skip_locked=True)
    done = session.execute(
        sa.update(HarvestObject)
        .where(HarvestObject.id.in_(left.scalar_subquery()))
        .values(state="ERROR", report_status="errored"),
        execution_options={"synchronize_session": False},
    )
    stopped = job is not None and (job.status in ("New", "Running") or done.rowcount > 0)
    if job is not None and stopped:
        if job.status in ("New", "Running"):
            job.status, job.finished = "Finished", utc_now()
        told = {"by": user, "at": utc_now().replace(microsecond=0).isoformat() + "Z"}
        plans.write(session, job_id, str(job.source_id), facts={"stopped": told})
    session.commit()
    return stopped
