"""Entries of the search index that are behind the tables: brought up to date apart from what changed them, in batches.

A tag over 10,000 datasets changes no dataset, but what all of them are found by. Whoever writes that notes the datasets
in the same transaction (:func:`note`), and calls :func:`begin` after it: few are indexed at once, many by a job worker.
What is noted stays so until it is indexed, whoever is killed or away.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ckanext.mlops.model.lineage import rows_of
from ckanext.mlops.model.tables import Unindexed, utc_now
from ckanext.mlops.search import together

log = logging.getLogger(__name__)
BATCH = 100
#: Seconds that a worker waits for the search index.
PATIENCE = 150.0
_PAUSE = 2.0
_JOB_SECONDS = 4 * 3600


def note(session: Session, package_ids: Iterable[str]) -> None:
    """Let the datasets be indexed when the caller has committed."""
    given = rows_of(package_ids)
    rows = sa.select(given.c.value, sa.literal(utc_now(), sa.DateTime))
    statement = insert(Unindexed).from_select(["package_id", "noted"], rows)
    # The row is locked until the commit, also where it is there already: nobody indexes what is not yet to be seen.
    session.execute(
        statement.on_conflict_do_update(index_elements=["package_id"], set_={"noted": statement.excluded.noted})
    )


def begin() -> None:
    """Index a batch, and leave the others to a job worker. Commits; no error comes out: what is noted stays so."""
    try:
        if run(most=BATCH) == BATCH:
            enqueue_missed()
    except Exception:
        log.exception("The search index is brought up to date later")
        with contextlib.suppress(DBAPIError):
            model.Session.rollback()


def enqueue_missed() -> None:
    """Let a worker index what is noted, if there is anything."""
    if model.Session.scalar(sa.select(sa.exists().where(Unindexed.package_id.is_not(None)))):
        tk.enqueue_job(job, title="Search index of datasets whose tags moved", rq_kwargs={"timeout": _JOB_SECONDS})
    model.Session.rollback()


def job() -> None:
    """Index all that is noted, in a job worker."""
    try:
        log.info("%d datasets indexed", run(patience=PATIENCE))
    finally:
        model.Session.remove()


def run(*, most: int | None = None, patience: float = 0) -> int:
    """Index what is noted, a batch a transaction, and commit; how many datasets.

    :param most: none after so many
    :param patience: seconds that the search index may be away
    :raises IndexAway: it is; what is left stays noted
    """
    done, deadline = 0, time.monotonic() + patience
    while most is None or done < most:
        try:
            number = _batch(model.Session())
        except together.IndexAway:
            model.Session.rollback()
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
            continue
        if not number:
            break
        done += number
        deadline = time.monotonic() + patience
    return done


def _batch(session: Session) -> int:
    """Index a batch that nobody else is at; how many datasets."""
    first = (
        sa.select(Unindexed.package_id).order_by(Unindexed.package_id).limit(BATCH).with_for_update(skip_locked=True)
    )
    # A part of its own: as a condition of the deletion it could be asked for each row again, and take all of them.
    free = first.cte("free")
    taken = session.scalars(
        sa.delete(Unindexed).where(Unindexed.package_id == free.c.package_id).returning(Unindexed.package_id),
        execution_options={"synchronize_session": False},
    ).all()
    try:
        if taken:
            together.index_together(taken)
    except together.NotIndexed:
        for each in taken:
            _alone(each)
    session.commit()
    return len(taken)


def _alone(package_id: str) -> None:
    try:
        together.index_together([package_id])
    except together.NotIndexed:
        log.exception("Dataset %s is not found by its new tags", package_id)
