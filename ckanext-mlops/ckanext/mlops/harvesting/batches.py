"""Batches: harvest objects of one job, taken together, applied in one transaction, indexed in one go.

ckanext-harvest hands one object at a time to a worker. That object brings others of its job along, which wait in the
state :data:`PLANNED`. What a batch took is locked in the database until its end: several workers share a job, and a
killed one leaves everything as it was. A dataset that CKAN refuses fails alone; a service that is away is waited for.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import redis
import sqlalchemy as sa
from ckan import model
from ckan.logic import ValidationError
from ckan.model.types import make_uuid
from ckanext.harvest.model import HarvestObject, HarvestObjectError
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from ckanext.mlops.catalog.text import line
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.said import said
from ckanext.mlops.harvesting.apply import Applied, Failed, apply
from ckanext.mlops.logic import creating, shown
from ckanext.mlops.model import hashes
from ckanext.mlops.search import together

log = logging.getLogger(__name__)
T = TypeVar("T")

#: State of a harvest object that comes along with another one; ckanext-harvest queues none in this state.
PLANNED = "PLANNED"
#: States of objects that nobody has begun with.
OPEN = ("WAITING", PLANNED)
#: States of objects with which nothing is left to do.
DONE = ("COMPLETE", "ERROR")
SIZE = 50
#: Messages of one job in the queue at a time: as many workers share it, and a big job lets others in between.
LANES = 8
#: Characters of the contents of one batch, so that memory stays bounded.
MAX_CONTENT = 16_000_000
#: Seconds that a database or search index may be away before the batch is given up.
PATIENCE = 150.0
_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)
_COLLISIONS = 5
_ALONE_AFTER = 3
_COLLIDED = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available


@dataclass
class Outcome:
    """What a batch did: object id → what was written, or the sentence that says why not; ``last`` is one of them."""

    applied: dict[str, Applied] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    last: str = ""

    def __len__(self) -> int:
        return len(self.applied) + len(self.failed)


def run(job_id: str, user: str, *, first: str | None = None, size: int = SIZE, patience: float = PATIENCE) -> Outcome:
    """Apply up to ``size`` waiting objects of a job and commit; the outcome is empty when there is none.

    States, times and errors of the objects are set, except for ``first``: the queue that handed it over does that.

    :param first: an object that is to be among them; the others are those that are :data:`PLANNED`. Without it, all
        that wait are taken, whatever the queue knows of them.
    :raises Exception: a service stayed away for ``patience`` seconds; nothing was written by then that was not said
    """
    outcome = Outcome()
    groups = [patiently(partial(_choose, job_id, first, size), patience)]
    while groups:
        ids = groups.pop()
        if not ids:
            continue
        try:
            outcome.applied |= patiently(partial(_together, ids, user, first), patience)
            outcome.last = ids[-1]
        except Exception as error:
            _rollback()
            cause = _cause(error)
            if _away(cause):
                raise
            bad = error.object_id if isinstance(error, Failed) else ids[0] if len(ids) == 1 else ""
            if bad:
                outcome.failed[bad] = sentence(cause)
                patiently(partial(_fail, bad, outcome.failed[bad], own=bad != first), patience)
                ids = [each for each in ids if each != bad]
            # Often a batch goes through without the one that is wrong. If not, each tries alone.
            alone = not bad or len(outcome.failed) >= _ALONE_AFTER
            groups += [[each] for each in reversed(ids)] if alone else [ids]
    if outcome.applied:
        patiently(lambda: hashes.settle(model.Session()), patience)
    return outcome


def lanes(objects: int) -> int:
    """How many objects of a job with ``objects`` go through the queue at first; the others are :data:`PLANNED`."""
    return min(LANES, -(-objects // SIZE))


def reopen(job_id: str, before: datetime.datetime | None = None) -> int:
    """Take back the objects of a job that a worker began with before it was killed; none that one is at.

    :param before: only those that were begun with before
    """
    session = model.Session()
    begun = sa.select(HarvestObject.id).where(
        HarvestObject.harvest_job_id == job_id,
        HarvestObject.state.in_(("FETCH", "IMPORT")),
        sa.true() if before is None else HarvestObject.fetch_started < before,
    )
    ids = session.scalars(begun.with_for_update(skip_locked=True)).all()
    session.execute(sa.update(HarvestObject).where(HarvestObject.id.in_(ids)).values(state="WAITING"))
    session.commit()
    return len(ids)


def promote(job_id: str) -> str | None:
    """Choose the next :data:`PLANNED` object of a job that is to go through the queue; its id, None for no more."""
    session = model.Session()
    planned = sa.select(HarvestObject.id).where(HarvestObject.harvest_job_id == job_id, HarvestObject.state == PLANNED)
    object_id = session.scalar(planned.order_by(HarvestObject.guid).limit(1).with_for_update(skip_locked=True))
    if object_id is not None:
        session.execute(sa.update(HarvestObject).where(HarvestObject.id == object_id).values(state="WAITING"))
    session.commit()
    return object_id


def sentence(error: BaseException) -> str:
    """The error for a person, in one line."""
    details: Any = error.error_summary if isinstance(error, ValidationError) else None
    if details:
        details = "; ".join(f"{key}: {text}" for key, text in details.items())
        return line(said(f"CKAN does not accept the dataset: {details}"))
    if isinstance(error, DBAPIError) and _away(error):
        log.error("the database stayed away", exc_info=error)
        return said("The database could not be reached for too long. Nothing is lost: the next harvest goes on.")
    text = line(str(getattr(error, "orig", None) or error) or type(error).__name__, 2000)  # of SQL not the values
    if isinstance(error, (MlopsError, ValueError, ValidationError)):
        return text
    log.error("unexpected", exc_info=error)
    return said(f"unexpected error, please report it with the log: {text}")


def _choose(job_id: str, first: str | None, size: int) -> list[str]:
    """Ids of a batch's objects, whose rows are locked now."""
    session = model.Session()
    if first is not None:
        session.execute(sa.select(HarvestObject.id).where(HarvestObject.id == first).with_for_update())
    others = session.scalars(
        sa.select(HarvestObject.id)
        .where(
            HarvestObject.harvest_job_id == job_id,
            HarvestObject.state.in_(OPEN if first is None else (PLANNED,)),
            HarvestObject.id != (first or ""),
        )
        .order_by(HarvestObject.guid)
        .limit(size - (first is not None))
        .with_for_update(skip_locked=True)
    ).all()
    # Beside the order, PostgreSQL would unpack the contents of all that wait, at each batch.
    sizes = sa.select(HarvestObject.id, sa.func.length(HarvestObject.content)).where(HarvestObject.id.in_(others))
    lengths = dict(session.execute(sizes).tuples().all()) if others else {}
    chosen, length = [first] if first is not None else [], 0
    for each in others:
        length += lengths.get(each) or 0
        if chosen and length > MAX_CONTENT:
            break
        chosen.append(each)
    return chosen


def _together(ids: Sequence[str], user: str, first: str | None) -> dict[str, Applied]:
    """Apply the objects that nobody else has done meanwhile, in one transaction."""
    session = model.Session()
    began = _now()
    wanted = sa.and_(HarvestObject.id.in_(ids), sa.or_(HarvestObject.state.in_(OPEN), HarvestObject.id == first))
    objects = session.scalars(sa.select(HarvestObject).where(wanted).order_by(HarvestObject.id).with_for_update()).all()
    done = apply(objects, user)
    datasets = shown.datasets(session, [each.package_id for each in done.values() if each.written])

    def finish() -> None:
        for kind in ("new", "changed"):
            noted = {each.package_id for each in done.values() if each.activity == kind}
            creating.note_activities(session, {key: each for key, each in datasets.items() if key in noted}, user, kind)
        for each in objects:
            if each.id != first:
                _finish(each, done[str(each.id)], began)
        session.flush()

    together.index_shown(datasets, finish)
    session.commit()
    return done


def _finish(harvest_object: HarvestObject, done: Applied, began: datetime.datetime) -> None:
    """The marks that ckanext-harvest's queue would set."""
    marked: Any = harvest_object
    marked.fetch_started = marked.fetch_finished = marked.import_started = began
    marked.import_finished = _now()
    marked.state = "COMPLETE"
    marked.report_status = ("updated" if done.known else "added") if done.written else "not modified"


def _fail(object_id: str, message: str, *, own: bool) -> None:
    """Note the error; ``own``: the state, too."""
    session = model.Session()
    harvest_object: Any = session.get(HarvestObject, object_id)
    if harvest_object is None:
        return
    session.execute(
        sa.insert(HarvestObjectError),
        {
            "id": make_uuid(),
            "harvest_object_id": object_id,
            "message": line(f"{harvest_object.guid}: {message}", 4000),
            "stage": "Import",
            "created": _now(),
        },
    )
    if own:
        harvest_object.import_finished = _now()
        harvest_object.state, harvest_object.report_status = "ERROR", "errored"
    session.commit()


def patiently(work: Callable[[], T], patience: float = PATIENCE) -> T:
    """Do it again when it collided with another worker, or while a service is away, ``patience`` seconds at most."""
    missed: float | None = None
    delays, collisions = iter(_DELAYS), 0
    while True:
        try:
            return work()
        except Exception as error:
            cause = _cause(error)
            now = time.monotonic()
            missed = now if missed is None else missed
            if _away(cause) and now < missed + patience:
                delay = next(delays, _DELAYS[-1])
                log.warning("waiting %g s for a service: %s", delay, line(str(cause), 300))
                _rollback()
                time.sleep(delay)
            elif _collided(cause) and collisions < _COLLISIONS:
                collisions += 1
                _rollback()
            else:
                raise


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ or error if isinstance(error, Failed) else error


def _collided(error: BaseException) -> bool:
    """Whether another worker was at the same rows: done again, it will go through."""
    return isinstance(error, IntegrityError) or (
        isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) in _COLLIDED
    )


def _away(error: BaseException) -> bool:
    """Whether a service cannot be reached, which says nothing about the datasets."""
    if isinstance(error, DBAPIError) and not _collided(error):
        return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))
    return isinstance(error, (together.IndexAway, redis.ConnectionError))


def _rollback() -> None:
    with contextlib.suppress(DBAPIError):  # of a database that is away
        model.Session.rollback()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
