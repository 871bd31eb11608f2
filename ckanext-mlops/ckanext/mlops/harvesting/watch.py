"""Jobs that would be stuck: work that a killed process left is taken back within a minute, not after hours.

ckanext-harvest sends a message again when nobody said within 3 minutes (import) or 2 hours (gather) that it is done:
too early for a big repository, too late after a kill. So whoever works says from time to time that it is alive
(:func:`alive`), and `ckan harvester run` looks at once for work that nobody is at (:func:`take_back`): a gather holds
its source's lock, an import the locks of its rows, and both end with the process.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import threading
from collections.abc import Iterator

import redis
import sqlalchemy as sa
from ckan import model
from ckanext.harvest import queue
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource
from sqlalchemy.orm import Session

from ckanext.mlops.harvesting import batches, locks

log = logging.getLogger(__name__)
_BEAT = 45.0
_GRACE = datetime.timedelta(seconds=30)


@contextlib.contextmanager
def alive(routing_key: str, message: str) -> Iterator[None]:
    """Keep ckanext-harvest from sending the message (a job's or an object's id) again while the block runs."""
    done = threading.Event()
    try:
        connection = queue.get_connection()
    except Exception:
        log.exception("No connection to the queue")
        connection = None
    if not isinstance(connection, redis.Redis):
        yield
        return

    def beat() -> None:
        while not done.wait(_BEAT):
            with contextlib.suppress(redis.RedisError):
                # Only if it is there: a message that was acknowledged must not come back. Local time, as the reader's.
                connection.set(f"{routing_key}:{message}", str(datetime.datetime.now()), xx=True)  # noqa: DTZ005

    thread = threading.Thread(target=beat, name="harvest-alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        connection.close()


def take_back() -> None:
    """Give work of killed workers to the queue again; what somebody is at is left alone."""
    session = model.Session()
    jobs = session.execute(
        sa.select(
            HarvestJob.id,
            HarvestJob.source_id,
            HarvestJob.created,
            HarvestJob.gather_started,
            HarvestJob.gather_finished,
        )
        .join(HarvestSource, HarvestSource.id == HarvestJob.source_id)
        .where(HarvestSource.type == "dvc", HarvestJob.status == "Running")
    ).all()
    session.rollback()
    before = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - _GRACE
    for job in jobs:
        if job.gather_finished is not None:
            _imports(str(job.id), before)
        elif (job.gather_started or job.created) < before:
            _gather(str(job.id), str(job.source_id))


_LEFT = sa.exists().where(HarvestObject.harvest_job_id == HarvestJob.id, HarvestObject.state.not_in(batches.DONE))
_DONE = sa.and_(HarvestJob.status == "Running", HarvestJob.gather_finished.is_not(None), ~_LEFT)


def has_ended(session: Session, source_id: str) -> bool:
    """Whether the source has a job that is done, though `ckan harvester run` has not looked yet."""
    ended = sa.select(HarvestJob.id).where(HarvestJob.source_id == source_id, _DONE)
    return session.scalar(ended.limit(1)) is not None


def is_over(session: Session, job_id: str) -> bool:
    """Whether nothing of a job is left to do, be it marked or not."""
    over = sa.select(HarvestJob.id).where(HarvestJob.id == job_id, sa.or_(HarvestJob.status == "Finished", _DONE))
    return session.scalar(over) is not None


def _gather(job_id: str, source_id: str) -> None:
    try:
        with locks.locked(source_id, wait=0):
            pass
    except locks.SourceBusy:
        return
    connection = queue.get_connection()
    message = json.dumps({"harvest_job_id": job_id})
    if isinstance(connection, redis.Redis):
        if message in connection.lrange(queue.get_gather_routing_key(), 0, -1):
            return
        connection.delete(f"{queue.get_gather_routing_key()}:{job_id}")
    log.warning("Harvest job %s: its gather was interrupted, it is sent again", job_id)
    queue.get_gather_publisher().send({"harvest_job_id": job_id})


def _imports(job_id: str, before: datetime.datetime) -> None:
    number = batches.reopen(job_id, before)
    if number:
        log.warning("Harvest job %s: %d imports were interrupted, they are sent again", job_id, number)
    session = model.Session()
    moving = sa.select(sa.func.count()).where(
        HarvestObject.harvest_job_id == job_id, HarvestObject.state.in_(("WAITING", "FETCH", "IMPORT"))
    )
    if not session.scalar(moving):
        batches.promote(job_id)
    session.rollback()
