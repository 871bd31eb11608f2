"""The lock of a source: whoever reads it, or takes a harvest of it back, holds it. A killed process frees it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.exc import DBAPIError

from ckanext.mlops.core.errors import MlopsError

_LOCK_SPACE = 0x6D6C6F70
#: Seconds between two looks at what is waited for.
POLL = 0.5


class SourceBusy(MlopsError):
    """The source is being read by another process."""


@contextlib.contextmanager
def locked(source_id: str, wait: float = 600.0) -> Iterator[None]:
    """Hold the lock of a source: it is never read twice at once. A killed process frees it.

    :param wait: seconds
    :raises SourceBusy: somebody else still holds it
    """
    key = sa.select(sa.func.pg_try_advisory_lock(sa.literal(_LOCK_SPACE, sa.Integer), sa.func.hashtext(source_id)))
    deadline = time.monotonic() + wait
    engine: Any = model.meta.engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.scalar(key):
            if time.monotonic() > deadline:
                raise SourceBusy("The source is being harvested by another process; try again when it is done.")
            time.sleep(POLL)
        try:
            yield
        finally:
            with contextlib.suppress(DBAPIError):  # a connection that is lost has no lock
                connection.execute(
                    sa.select(
                        sa.func.pg_advisory_unlock(sa.literal(_LOCK_SPACE, sa.Integer), sa.func.hashtext(source_id))
                    )
                )
