"""Plots that were drawn, and those that are left to a worker: a request draws what is small and remembers the rest.

What was drawn is kept by the hash of all that went into it, in a folder beside the mirrors that only saves time: it may
be deleted at any moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ckan import model
from ckan.lib.redis import connect_to_redis
from ckan.plugins import toolkit as tk

from ckanext.mlops.core import cache
from ckanext.mlops.core.plot_charts import Chart
from ckanext.mlops.harvesting import repositories as mirrors

log = logging.getLogger(__name__)
#: What a request reads for one plot (:func:`.plot_reading.cost`); more is a worker's.
ALLOWANCE = 200_000
MAX_BYTES = 256_000_000
MAX_ENTRY = 16_000_000
#: What could not be read is tried again after so many seconds.
AGAIN = 600
_JOB_SECONDS = 600
_FULL = 0.75


@dataclass(frozen=True)
class Note:
    """Why something of a plot is not shown."""

    revision: str
    path: str
    why: str


@dataclass(frozen=True)
class Image:
    """A picture at the revisions that have it: revision → bytes in it, None where that is not known."""

    path: str
    revisions: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """What the files of one plot show. Notes on them are English, as errors are.

    :param failed: some could not be had now
    :param waiting: they are left to a worker; nothing of them is here yet
    """

    charts: list[Chart] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    failed: bool = False
    waiting: bool = False


def key_of(*what: Any) -> str:
    """The name of what is drawn from ``what`` (JSON values), by this program."""
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(cache.reader_version() + text.encode()).hexdigest()


def recall(key: str) -> Drawn | None:
    """What :func:`remember` wrote; None when there is nothing that is still good."""
    path = _folder() / key
    try:
        until, value = json.loads(zlib.decompress(path.read_bytes()))
        if until and until < time.time():
            return None
        os.utime(path)
        return Drawn(
            [Chart(**each) for each in value["charts"]],
            [Image(**each) for each in value["images"]],
            [Note(**each) for each in value["notes"]],
            value["failed"],
        )
    except (OSError, ValueError, TypeError, KeyError, zlib.error):
        return None


def remember(key: str, drawn: Drawn) -> None:
    """Keep it, whole or not at all; what was not looked at for longest makes room."""
    until = time.time() + AGAIN if drawn.failed else 0
    body = zlib.compress(json.dumps([until, asdict(drawn)]).encode(), 1)
    if len(body) > MAX_ENTRY:
        return
    path = _folder() / key
    cache.write(path, body)
    with contextlib.suppress(OSError):
        _make_room(path.parent)


def leave_to_worker(key: str, user: str, repository_id: str, plot: str, revisions: Sequence[str]) -> None:
    """Let a worker draw it, as the same reader; once, however many ask."""
    # Expires, so that a job that was lost with its worker is not waited for for ever.
    if connect_to_redis().set(_asked(key), 1, nx=True, ex=_JOB_SECONDS):
        arguments = [key, user, repository_id, plot, list(revisions)]
        tk.enqueue_job(job, arguments, title=f"Draw {plot} of {repository_id}", rq_kwargs={"timeout": _JOB_SECONDS})


def job(key: str, user: str, repository_id: str, plot: str, revisions: list[str]) -> None:
    """Draw a plot, in a job worker."""
    from ckanext.mlops.logic import plots

    try:
        found = model.User.get(user) if user else None
        context: Any = {"user": found.name if found else "", "auth_user_obj": found}
        context |= {"model": model, "session": model.Session}
        plots.of_repository(context, repository_id).show(plot, revisions, worker=True)
    except (tk.ObjectNotFound, tk.NotAuthorized) as error:
        log.info("%s of %s: %s", plot, repository_id, error)
    finally:
        connect_to_redis().delete(_asked(key))
        model.Session.remove()


def _folder() -> Path:
    return mirrors.mirrors() / ".plots"


def _make_room(folder: Path) -> None:
    with os.scandir(folder) as entries:
        found = sorted((each.stat().st_mtime, each.stat().st_size, each.path) for each in entries)
    total = sum(size for _, size, _ in found)
    if total <= MAX_BYTES:
        return
    for _, size, path in found:
        if total <= MAX_BYTES * _FULL:
            break
        Path(path).unlink(missing_ok=True)
        total -= size


def _asked(key: str) -> str:
    return f"ckan:{tk.config['ckan.site_id']}:mlops:plot:{key}"
