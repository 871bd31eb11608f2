"""Gather: read a source's repository, plan, and leave one harvest object for each dataset that is to be written."""

from __future__ import annotations

import datetime
import logging
import time

import sqlalchemy as sa
from ckan import model
from ckan.model.types import make_uuid
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import history, problems
from ckanext.mlops.catalog.edges import imports
from ckanext.mlops.core import naming
from ckanext.mlops.core.collecting import paused
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.harvesting import approval, batches, locks, memory, planning, reading, refs, settled, triggers
from ckanext.mlops.harvesting.follow import Progress
from ckanext.mlops.harvesting.planning import Prepared
from ckanext.mlops.harvesting.reading import Reading
from ckanext.mlops.model import plans

log = logging.getLogger(__name__)
_CHUNK = 500


class JobOver(MlopsError):
    """Nothing more is to be gathered for the job: it was stopped, or its message came a second time."""


def gather(job: HarvestJob, progress: Progress = log.info, *, wait: float = 600.0) -> tuple[Prepared, list[str]]:
    """Read, plan, and store one harvest object for each change; their ids. Committed at once, or not at all.

    When the job was gathered before by a process that was killed, what that one left is replaced.

    :param wait: seconds for another process that reads the same source
    :raises MlopsError, ConfigError: nothing could be read; nothing was stored
    :raises JobOver: nothing was to be read any more
    """
    session = model.Session()
    source = job.source
    session.commit()  # that it has begun: a kill from here on is noticed
    with locks.locked(source.id, wait):
        _open(session, str(job.id))
        _wait_for_imports(session, job, wait)
        triggers.answered(session, str(source.id))
        _forget(session, str(job.id))
        config = reading.configuration(source.config)
        owner_org = planning.owner(session, source, config)
        prepared = planning.prepare(
            session, source.url.strip(), config, source_id=source.id, owner_org=owner_org, progress=progress
        )
        with paused():
            ids = _store(session, job, prepared, held=config.approval, pushed=config.push)
    log.info("%s: %s", source.url, prepared.plan.summary())
    return prepared, ids


def _open(session: Session, job_id: str, *, held: bool = False) -> None:
    """See that the job is still to be gathered.

    :param held: and let nobody stop it until the transaction ends
    :raises JobOver: it was stopped, cleared, or gathered before
    """
    row = sa.select(HarvestJob.status, HarvestJob.gather_finished).where(HarvestJob.id == job_id)
    job = session.execute(row.with_for_update() if held else row).first()
    if job is None or job.status not in ("New", "Running") or job.gather_finished is not None:
        session.rollback()
        raise JobOver(f"Harvest job {job_id} was stopped, or gathered before.")


def _wait_for_imports(session: Session, job: HarvestJob, wait: float) -> None:
    """Let an earlier job of the source come to its end, so that the plan is made of what it wrote."""
    waiting = sa.exists().where(
        HarvestObject.harvest_job_id == HarvestJob.id,
        HarvestObject.state.not_in((*batches.DONE, approval.HELD)),
    )
    earlier = sa.select(HarvestJob.id).where(
        HarvestJob.source_id == job.source_id, HarvestJob.id != job.id, HarvestJob.status == "Running", waiting
    )
    deadline = time.monotonic() + wait
    while session.scalar(earlier.limit(1)) is not None and time.monotonic() < deadline:
        session.rollback()
        time.sleep(locks.POLL)


def _forget(session: Session, job_id: str) -> None:
    """Remove what an interrupted gather of the job left, and nobody began to import."""
    session.execute(sa.delete(HarvestGatherError).where(HarvestGatherError.harvest_job_id == job_id))
    session.execute(
        sa.delete(HarvestObject).where(
            HarvestObject.harvest_job_id == job_id, HarvestObject.state.in_((*batches.OPEN, approval.HELD))
        )
    )
    session.commit()


def _store(session: Session, job: HarvestJob, prepared: Prepared, *, held: bool, pushed: bool) -> list[str]:
    _open(session, str(job.id), held=True)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    work = prepared.plan.work
    sent = 0 if held else batches.lanes(len(work))
    approval.supersede(session, str(job.source_id), str(job.id))
    ids: list[str] = []
    for start in range(0, len(work), _CHUNK):  # the contents of a big plan are never in memory all at once
        rows = [
            {
                "id": make_uuid(),
                "guid": change.guid,
                "content": memory.content_of(change),
                "gathered": now,
                "state": approval.HELD if held else "WAITING" if number < sent else batches.PLANNED,
                "current": False,
                "retry_times": 0,
                "harvest_job_id": job.id,
                "harvest_source_id": job.source_id,
            }
            for number, change in enumerate(work[start : start + _CHUNK], start)
        ]
        session.execute(sa.insert(HarvestObject), rows)
        ids += [str(row["id"]) for row in rows]
    if pushed:
        memory.note_sent(session, ids)
    else:
        known = prepared.remembered.objects
        unchanged = (known.get(change.guid) for change in prepared.plan.changes if change.kind == "unchanged")
        memory.note_read(session, str(job.source_id), filter(None, unchanged))
    if ids and held:
        approval.hold(job)
    messages = problems.bounded(prepared.errors)
    if messages:
        session.execute(
            sa.insert(HarvestGatherError),
            [{"id": make_uuid(), "harvest_job_id": job.id, "message": message, "created": now} for message in messages],
        )
    plans.forget_lost(session, str(job.source_id))
    plans.write(session, str(job.id), str(job.source_id), state="planned", progress="", facts=prepared.facts())
    if prepared.reading is not None:
        _note(session, str(job.id), str(job.source_id), prepared, prepared.reading, held=held and bool(ids))
    session.commit()
    return ids[:sent]


def _note(session: Session, job_id: str, source_id: str, prepared: Prepared, read: Reading, *, held: bool) -> None:
    """What is known of the source now, beside its datasets."""
    moved = {change.guid: (change.refs, change.refs_digest) for change in prepared.plan.changes if change.refs}
    repository = naming.repository_slug(read.repository.url)
    revisions = history.revisions(read.snapshots)
    if held:
        refs.keep(session, job_id, source_id, moved, repository, revisions)
    else:
        refs.write(session, job_id, source_id, prepared.remembered, moved, repository, revisions)
    if read.unread or not read.settled:
        settled.forget(session, source_id)
        return
    settled.save(
        session,
        source_id,
        inputs=prepared.inputs,
        remembered=prepared.remembered,
        imports=sorted(imports(read.snapshots)),
        upstreams=prepared.upstreams,
        answer=settled.Answer(prepared.plan, problems.bounded(prepared.errors), problems.bounded(prepared.warnings)),
    )
