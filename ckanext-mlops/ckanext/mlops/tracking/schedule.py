"""When a server is read again: regularly, and when MLflow or a person asks for it."""

from __future__ import annotations

import datetime
import logging

from ckan import model
from ckan.lib.redis import connect_to_redis
from ckan.plugins import toolkit as tk
from sqlalchemy.orm import Session

from ckanext.mlops import webhooks
from ckanext.mlops.core import mlflow_webhook
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import servers as mlflow_servers

log = logging.getLogger(__name__)

#: Messages of one server's webhooks in a minute that are listened to.
PER_MINUTE = 60
_JOB_SECONDS = 6 * 3600
_PREFIX = "ckanext-mlops:mlflow"


def due(session: Session, now: datetime.datetime) -> list[str]:
    """Names of the servers that should be read now: asked for, or not read for ``sync_every`` minutes.

    A server that failed is tried again after the same time.
    """
    every = datetime.timedelta(minutes=int(tk.config["ckanext.mlops.mlflow.sync_every"]))
    names = mlflow_servers.names()
    known = facts.states(session, names)
    found = []
    for name in names:
        state = known.get(name)
        last = state and (state.checked if state.error else state.synced)
        asked = state and state.wanted and (last is None or state.wanted > last)
        if asked or (every and (last is None or now - last >= every)):
            found.append(name)
    return found


def enqueue_due(session: Session, now: datetime.datetime) -> list[str]:
    """Give the servers that are due to CKAN's job workers, each once. Returns those that were not in the queue yet."""
    return [name for name in due(session, now) if _enqueue(name)]


def receive(session: Session, server: str, delivery: mlflow_webhook.Delivery, now: datetime.datetime) -> bool:
    """A checked message of MLflow's: read the server soon. False for one that was received before. Commits.

    :raises ~ckanext.mlops.webhooks.TooMany: more than :data:`PER_MINUTE`
    """
    webhooks.count(f"mlflow:{server}", PER_MINUTE)
    with webhooks.once(f"mlflow:{server}", [delivery.id], 2 * mlflow_webhook.TOLERANCE) as new:
        if new:
            facts.ask_for_sync(session, server, now)
            session.commit()
            _enqueue(server)
    return new


def job(server: str) -> None:
    """Read a server, in a job worker."""
    connect_to_redis().delete(_queued(server))
    session = model.Session()
    try:
        if server in due(session, utc_now()):
            user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
            answer = tk.get_action("mlops_mlflow_sync")({"user": user}, {"server": server})
            for report in answer["servers"]:
                for error in report["errors"]:
                    log.warning("%s", error)
    finally:
        model.Session.remove()


def _enqueue(server: str) -> bool:
    # Expires, so that a job that was lost with its worker does not keep the server from being read for ever.
    if not connect_to_redis().set(_queued(server), 1, nx=True, ex=3600):
        return False
    tk.enqueue_job(job, [server], title=f"MLflow sync of {server}", rq_kwargs={"timeout": _JOB_SECONDS})
    return True


def _queued(server: str) -> str:
    return f"{_PREFIX}:queued:{server}"
