"""Harvests and previews as people follow them: what is written to and read from ``mlops_plan``."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckanext.harvest.model import HarvestJob
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops.model.tables import Plan, utc_now

#: Previews of a source that are kept; older ones go when a new one is asked for.
KEPT_PREVIEWS = 5
#: A worker that reads says something within this time.
LOST = datetime.timedelta(hours=1, minutes=5)


def get(session: Session, plan_id: str) -> Plan | None:
    """The row as it is in the database now."""
    return session.get(Plan, plan_id, populate_existing=True)


def write(session: Session, plan_id: str, source_id: str, kind: str = "harvest", **values: Any) -> None:
    """Make or change the row; ``facts`` are laid over those that are there. The caller commits."""
    facts: Mapping[str, Any] = values.pop("facts", {})
    now = utc_now()
    row = {"id": plan_id, "source_id": source_id, "kind": kind, "state": "", "progress": "", "created": now}
    statement = insert(Plan).values({**row, **values, "changed": now, "facts": dict(facts)})
    changed = {**values, "changed": now, "facts": Plan.facts.op("||")(statement.excluded.facts)}
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))


def write_now(plan_id: str, source_id: str, kind: str = "harvest", **values: Any) -> None:
    """:func:`write` in a transaction of its own, whatever the caller's is at."""
    engine: Any = model.meta.engine
    with Session(engine) as session, session.begin():
        write(session, plan_id, source_id, kind, **values)


def mail_again(session: Session, plan_id: str) -> None:
    """Let the report be mailed anew when the job is over: what was mailed was that it waits. The caller commits."""
    session.execute(sa.update(Plan).where(Plan.id == plan_id).values(mailed=None, changed=utc_now()))


def is_lost(row: Plan) -> bool:
    """Whether it is to be read, and nothing was said of it for so long that nobody can be at it any more."""
    return row.state in ("waiting", "reading") and utc_now() - row.changed > LOST


def last_preview(session: Session, source_id: str) -> Plan | None:
    """The newest preview of a source."""
    of_source = sa.select(Plan).where(Plan.source_id == source_id, Plan.kind == "preview")
    newest = of_source.order_by(Plan.created.desc()).limit(1)
    return session.scalars(newest.execution_options(populate_existing=True)).first()


def under_way(session: Session, source_id: str, kind: str) -> int:
    """How many of them a worker is at, or is to be at."""
    found = session.scalars(
        sa.select(Plan).where(Plan.source_id == source_id, Plan.kind == kind, Plan.state.in_(("waiting", "reading")))
    )
    return sum(not is_lost(each) for each in found)


def forget_previews(session: Session, source_id: str, kind: str = "preview") -> None:
    """Delete all but the newest previews of a source."""
    of_source = sa.and_(Plan.source_id == source_id, Plan.kind == kind)
    kept = sa.select(Plan.id).where(of_source).order_by(Plan.created.desc()).limit(KEPT_PREVIEWS)
    session.execute(
        sa.delete(Plan).where(of_source, Plan.id.not_in(kept)), execution_options={"synchronize_session": False}
    )


def forget_lost(session: Session, source_id: str) -> None:
    """Delete what is known of harvests whose jobs are cleared."""
    lost = sa.and_(Plan.source_id == source_id, Plan.kind == "harvest", Plan.id.not_in(sa.select(HarvestJob.id)))
    session.execute(sa.delete(Plan).where(lost), execution_options={"synchronize_session": False})


def delete_of_source(session: Session, source_id: str) -> None:
    """Forget what was done for a purged source."""
    session.execute(
        sa.delete(Plan).where(Plan.source_id == source_id), execution_options={"synchronize_session": False}
    )
