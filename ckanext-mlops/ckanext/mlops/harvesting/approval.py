"""A plan that waits for a person: its harvest objects are :data:`HELD` until somebody approves or discards it.

The job of a held plan is finished, so that the source can be harvested again: a newer plan takes the older one's place.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.model.types import make_uuid
from ckanext.harvest import queue
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject
from sqlalchemy.orm import Session

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.harvesting import batches, refs
from ckanext.mlops.model import plans
from ckanext.mlops.search import overdue

HELD = "HELD"


class NotHeld(MlopsError):
    """The job has no plan that waits for approval."""


def hold(job: HarvestJob) -> None:
    """Let ``job``, whose objects are held, be over until it is approved. The caller commits."""
    held: Any = job
    held.status, held.finished = "Finished", _now()


def held(session: Session, job_id: str) -> int:
    """How many changes of the job wait for approval."""
    count = sa.select(sa.func.count()).where(HarvestObject.harvest_job_id == job_id, HarvestObject.state == HELD)
    return session.scalar(count) or 0


def release(job_id: str) -> int:
    """Send the held changes of a job to the workers; how many there are.

    :raises NotHeld: there are none; they were approved, discarded or replaced by a newer plan
    """
    session = model.Session()
    job: Any = session.get(HarvestJob, job_id, with_for_update=True)
    order = sa.select(HarvestObject.id).where(HarvestObject.harvest_job_id == job_id, HarvestObject.state == HELD)
    ids = session.scalars(order.order_by(HarvestObject.guid)).all()
    if job is None or not ids:
        session.rollback()
        raise NotHeld("Nothing of this harvest waits for approval any more; see the newest one.")
    first = ids[: batches.lanes(len(ids))]
    for state, chosen in (("WAITING", first), (batches.PLANNED, ids[len(first) :])):
        session.execute(sa.update(HarvestObject).where(HarvestObject.id.in_(chosen)).values(state=state))
    job.status, job.finished = "Running", None
    plans.mail_again(session, job_id)
    refs.release(session, job_id)
    session.commit()
    overdue.enqueue_missed()
    publisher = queue.get_fetch_publisher()
    for object_id in first:
        publisher.send({"harvest_object_id": object_id})
    return len(ids)


def discard(job_id: str, why: str) -> int:
    """Forget the held changes of a job; how many there were. ``why`` is shown with the job."""
    session = model.Session()
    number = _discard(session, [job_id], why)
    session.commit()
    return number


def supersede(session: Session, source_id: str, job_id: str) -> None:
    """Discard what older jobs of the source hold. The caller commits."""
    older = sa.select(HarvestObject.harvest_job_id).where(
        HarvestObject.harvest_source_id == source_id,
        HarvestObject.state == HELD,
        HarvestObject.harvest_job_id != job_id,
    )
    _discard(session, session.scalars(older.distinct()).all(), f"Replaced by the newer plan of job {job_id}.")


def _discard(session: Session, job_ids: Any, why: str) -> int:
    number = 0
    for job_id in job_ids:
        of_job = sa.and_(HarvestObject.harvest_job_id == job_id, HarvestObject.state == HELD)
        done = session.execute(sa.delete(HarvestObject).where(of_job)).rowcount  # type: ignore[attr-defined]
        if done:
            row = {"id": make_uuid(), "harvest_job_id": job_id, "message": why, "created": _now()}
            session.execute(sa.insert(HarvestGatherError), row)
        number += done
    return number


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
