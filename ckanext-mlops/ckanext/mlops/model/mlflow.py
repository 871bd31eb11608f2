"""The copied MLflow facts: what is written to and read from the tables of servers, experiments and runs.

Nothing here commits or asks a server. Rows are keyed by (server name, MLflow's id); writing a fact twice is one row.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops.core import mlflow as reader
from ckanext.mlops.core import records
from ckanext.mlops.model.tables import Experiment, Run, ServerState

ACTIVE, DELETED, GONE = "active", "deleted", "gone"
UNFINISHED = ("RUNNING", "SCHEDULED")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# Facts are written in bulk and read fresh; nothing holds a changed row as an object.
_UNSYNCHRONIZED = {"synchronize_session": False}


def store_experiment(session: Session, server: str, found: reader.Experiment, now: datetime.datetime) -> None:
    """Write the experiment's own facts. ``facts_at`` stays as it is for a known one: it is the age of its runs."""
    row = {
        "server": server,
        "experiment_id": found.experiment_id,
        "name": found.name,
        "lifecycle_stage": DELETED if found.deleted else ACTIVE,
        "facts": records.to_dict(found),
        "facts_at": now,
    }
    _upsert(session, Experiment, [row], keep=("facts_at",))


def store_runs(session: Session, server: str, found: Iterable[reader.Run], now: datetime.datetime) -> int:
    """Write the runs' facts, read at ``now``. Returns how many."""
    rows = {run.run_id: _run_row(server, run, now) for run in found}
    _upsert(session, Run, list(rows.values()))
    return len(rows)


def experiments_read(
    session: Session, server: str, ids: Collection[str], now: datetime.datetime, *, all_runs: bool
) -> None:
    """Note that the runs of these experiments were read at ``now``: all of them, or what is new."""
    values = {"facts_at": now, "swept": now} if all_runs else {"facts_at": now}
    session.execute(sa.update(Experiment).where(_of(Experiment, server, ids)).values(values))


def experiment_gone(session: Session, server: str, experiment_id: str) -> None:
    """Mark an experiment that the server no longer knows, with its runs."""
    where = sa.and_(Experiment.server == server, Experiment.experiment_id == experiment_id)
    session.execute(sa.update(Experiment).where(where).values(lifecycle_stage=GONE), execution_options=_UNSYNCHRONIZED)
    of_it = sa.and_(Run.server == server, Run.experiment_id == experiment_id)
    session.execute(sa.update(Run).where(of_it).values(lifecycle_stage=GONE), execution_options=_UNSYNCHRONIZED)


def unseen_runs_gone(session: Session, server: str, experiment_id: str, since: datetime.datetime) -> int:
    """Mark the runs of a completely read experiment that were not in the answer. Returns how many."""
    where = sa.and_(
        Run.server == server, Run.experiment_id == experiment_id, Run.facts_at < since, Run.lifecycle_stage != GONE
    )
    return _mark_gone(session, where)


def runs_gone(session: Session, server: str, run_ids: Collection[str]) -> int:
    """Mark runs that the server no longer knows. Returns how many."""
    return _mark_gone(session, sa.and_(Run.server == server, Run.run_id.in_(run_ids), Run.lifecycle_stage != GONE))


def doubtful_runs(session: Session, server: str, ids: Collection[str], since: datetime.datetime) -> list[str]:
    """Known runs of the experiments that should have been in an answer read since then, and were not.

    They were unfinished or deleted before and now are neither running nor deleted.
    """
    query = sa.select(Run.run_id).where(
        _of(Run, server, ids),
        Run.facts_at < since,
        sa.or_(Run.lifecycle_stage == DELETED, sa.and_(Run.lifecycle_stage == ACTIVE, Run.status.in_(UNFINISHED))),
    )
    return list(session.scalars(query))


def experiments(session: Session, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Experiment]:
    """Known experiments by (server, experiment id)."""
    if not keys:
        return {}
    query = sa.select(Experiment).where(sa.tuple_(Experiment.server, Experiment.experiment_id).in_(list(keys)))
    return {
        (row.server, row.experiment_id): row for row in session.scalars(query.execution_options(populate_existing=True))
    }


def experiment_named(session: Session, server: str, name: str) -> Experiment | None:
    """The known experiment of that name, an active one before a deleted one."""
    query = (
        sa.select(Experiment)
        .where(Experiment.server == server, Experiment.name == name)
        .order_by(Experiment.lifecycle_stage, Experiment.experiment_id.desc())
        .limit(1)
    )
    return session.scalars(query).first()


def runs(session: Session, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Run]:
    """Known runs by (server, run id)."""
    if not keys:
        return {}
    query = sa.select(Run).where(sa.tuple_(Run.server, Run.run_id).in_(list(keys)))
    return {(row.server, row.run_id): row for row in session.scalars(query.execution_options(populate_existing=True))}


def runs_of_experiment(session: Session, server: str, experiment_id: str, limit: int) -> list[Run]:
    """The newest runs of an experiment, without those that are gone."""
    query = (
        sa.select(Run)
        .where(Run.server == server, Run.experiment_id == experiment_id, Run.lifecycle_stage != GONE)
        .order_by(Run.started.desc().nulls_last(), Run.run_id)
        .limit(limit)
    )
    return list(session.scalars(query))


def run_counts(session: Session, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """How many runs each of the experiments (server, experiment id) has here, without those that are gone."""
    if not keys:
        return {}
    query = (
        sa.select(Run.server, Run.experiment_id, sa.func.count())
        .where(sa.tuple_(Run.server, Run.experiment_id).in_(list(keys)), Run.lifecycle_stage != GONE)
        .group_by(Run.server, Run.experiment_id)
    )
    return {(server, experiment_id): count for server, experiment_id, count in session.execute(query)}


def record_contact(session: Session, name: str, now: datetime.datetime, error: str = "") -> None:
    """Note how a server answered at ``now``; ``error`` is empty when it did."""
    row = {"name": name, "checked": now, "answered": None if error else now, "error": error}
    _upsert(session, ServerState, [row], keep=("answered",) if error else ())


def states(session: Session, names: Collection[str]) -> dict[str, ServerState]:
    """The last contact with each of the servers that was ever asked."""
    query = sa.select(ServerState).where(ServerState.name.in_(names)).execution_options(populate_existing=True)
    return {row.name: row for row in session.scalars(query)}


def _run_row(server: str, run: reader.Run, now: datetime.datetime) -> dict[str, Any]:
    commit = run.tags.get("mlflow.source.git.commit", "").lower()
    return {
        "server": server,
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "name": run.name,
        "status": run.status,
        "started": _naive(run.start),
        "ended": _naive(run.end),
        "git_commit": commit if _COMMIT.fullmatch(commit) else None,
        "lifecycle_stage": DELETED if run.deleted else ACTIVE,
        "facts": records.to_dict(run),
        "facts_at": now,
    }


def _naive(text: str) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=None) if text else None


def _of(table: type[Experiment] | type[Run], server: str, ids: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(table.server == server, table.experiment_id.in_(ids))


def _mark_gone(session: Session, where: sa.ColumnElement[bool]) -> int:
    statement = sa.update(Run).where(where).values(lifecycle_stage=GONE).returning(Run.run_id)
    return len(session.scalars(statement, execution_options=_UNSYNCHRONIZED).all())


def _upsert(session: Session, table: Any, rows: Sequence[dict[str, Any]], keep: Collection[str] = ()) -> None:
    if not rows:
        return
    keys = [column.name for column in sa.inspect(table).primary_key]
    statement = insert(table.__table__)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys and name not in keep}
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)
