"""Harvest soon: what webhooks and pushes ask for. Nothing that was asked for is lost while a harvest is on its way."""

from __future__ import annotations

import datetime
import logging

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.logic import HarvestJobExists
from ckanext.harvest.model import HarvestJob, HarvestSource
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops import webhooks
from ckanext.mlops.catalog import selection
from ckanext.mlops.core.push_webhook import REMEMBERED, Push
from ckanext.mlops.harvesting import source_config
from ckanext.mlops.harvesting.repositories import webhook_secrets
from ckanext.mlops.harvesting.source_config import ConfigError, SourceConfig
from ckanext.mlops.model.tables import Asked, utc_now

log = logging.getLogger(__name__)
#: Messages of one source's webhook in a minute that are listened to.
PER_MINUTE = 30


def hooked(source_id: str) -> tuple[SourceConfig, list[str]] | None:
    """Configuration and secrets of a source that has a webhook; None when there is no such source."""
    source = model.Session.get(HarvestSource, source_id)
    if source is None or source.type != "dvc" or not source.active:
        return None
    try:
        config = source_config.parse(str(source.config or ""))
    except ConfigError:
        return None
    secrets = webhook_secrets(config.webhook) if config.webhook else []
    return (config, secrets) if secrets else None


def receive(source_id: str, config: SourceConfig, push: Push) -> str:
    """A checked message: harvest the source soon, when it reads what moved; in words what was done.

    :raises ~ckanext.mlops.webhooks.TooMany: more than :data:`PER_MINUTE`
    """
    webhooks.count(f"push:{source_id}", PER_MINUTE)
    if not push.kind:
        return "nothing was pushed"
    if not _reads(config, push):
        return f"this source does not read the {push.kind} {push.name}"
    with webhooks.once(f"push:{source_id}", push.marks, REMEMBERED) as new:
        if not new:
            return "received before"
        soon(source_id)
    return "a harvest is on its way"


def _reads(config: SourceConfig, push: Push) -> bool:
    if config.commits == "all" or (config.commits and push.kind == "branch"):
        return True
    globs = config.branches if push.kind == "branch" else config.git_tags
    wanted = selection.wanted(globs)
    return any(selection.fits(push.name, glob) for glob in wanted) and not selection.refused(push.name, globs)


def soon(source_id: str) -> str | None:
    """Start a harvest job, its id; None when one is on its way, then another one follows it. Commits."""
    ask(model.Session(), source_id, utc_now())
    model.Session.commit()
    return _start(source_id)


def follow_up() -> None:
    """Start what was asked for while other jobs of the same sources were on their way."""
    session = model.Session()
    busy = sa.exists().where(HarvestJob.source_id == Asked.source_id, HarvestJob.status.in_(("New", "Running")))
    for source_id in session.scalars(sa.select(Asked.source_id).where(~busy)).all():
        _start(source_id)


def ask(session: Session, source_id: str, now: datetime.datetime) -> None:
    """Note that the source is to be harvested. The caller commits."""
    statement = insert(Asked).values(source_id=source_id, asked=now)
    session.execute(statement.on_conflict_do_update(index_elements=["source_id"], set_={"asked": now}))


def answered(session: Session, source_id: str) -> None:
    """A gather begins, which will see all that was asked for until now. The caller commits."""
    session.execute(sa.delete(Asked).where(Asked.source_id == source_id))


def _start(source_id: str) -> str | None:
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})
    context: Context = {"session": model.Session(), "user": user["name"], "ignore_auth": True}
    try:
        return str(tk.get_action("harvest_job_create")(context, {"source_id": source_id, "run": True})["id"])
    except HarvestJobExists:
        return None
    except Exception:
        model.Session.rollback()
        log.exception("Harvest source %s: no job could be started; 'ckan harvester run' will try again", source_id)
        return None
