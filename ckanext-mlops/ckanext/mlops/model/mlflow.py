"""The copied MLflow facts of servers, experiments and runs: what is written to and read from their tables.

Nothing here commits or asks a server. Rows are keyed by (server name, MLflow's id); writing a fact twice is one row.
Models are in :mod:`.mlflow_models`.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from ckanext.mlops.core import mlflow as reader
from ckanext.mlops.core import mlflow_clues, records
from ckanext.mlops.model.tables import Experiment, Run, ServerState

ACTIVE, DELETED, GONE = "active", "deleted", "gone"
UNFINISHED = ("RUNNING", "SCHEDULED")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# Facts are written in bulk and read fresh; nothing holds a changed row as an object.
_UNSYNCHRONIZED = {"synchronize_session": False}


class RunKey(NamedTuple):
    """A run, and whether it names a Git commit."""

    server: str
    run_id: str
    has_commit: bool


def store_experiments(
    session: Session, server: str, found: Iterable[reader.Experiment], now: datetime.datetime
) -> list[str]:
    """Write experiments' own facts. ``facts_at`` stays as it is for a known one: it is the age of its runs.

    Returns their ids.
    """
    rows = {
        item.experiment_id: {
            "server": server,
            "experiment_id": item.experiment_id,
            "name": item.name,
            "lifecycle_stage": DELETED if item.deleted else ACTIVE,
            "facts": records.to_dict(item),
            "facts_at": now,
        }
        for item in found
    }
    upsert(session, Experiment, list(rows.values()), keep=("facts_at",), only_changed=("facts", "lifecycle_stage"))
    return list(rows)


def store_runs(session: Session, server: str, found: Iterable[reader.Run], now: datetime.datetime) -> int:
    """Write the runs' facts, read at ``now``. Returns how many."""
    rows = {run.run_id: run_row(server, run, now) for run in found}
    upsert(session, Run, list(rows.values()), changed="changed")
    return len(rows)


def experiments_read(
    session: Session, server: str, ids: Collection[str], now: datetime.datetime, *, all_runs: bool
) -> None:
    """Note that the runs of these experiments were read at ``now``: all of them, or what is new."""
    values: dict[str, Any] = {"facts_at": now}
    if all_runs:
        values |= {"swept": now, "sweep_began": None, "sweep_from": None}
    session.execute(sa.update(Experiment).where(_of(Experiment, server, ids)).values(values))


def sweep_reached(
    session: Session, server: str, ids: Collection[str], began: datetime.datetime, position: int | None
) -> None:
    """Note how far the sweep that began then has come: to runs of that start time (milliseconds)."""
    values = {"sweep_began": began, "sweep_from": position}
    session.execute(sa.update(Experiment).where(_of(Experiment, server, ids)).values(values))


def experiments_unseen(session: Session, server: str, seen: Collection[str]) -> list[str]:
    """Known experiments that a complete list did not name."""
    query = sa.select(Experiment.experiment_id).where(Experiment.server == server, Experiment.lifecycle_stage != GONE)
    named = set(seen)
    return [item for item in session.scalars(query) if item not in named]


def experiments_gone(session: Session, server: str, ids: Collection[str], now: datetime.datetime) -> None:
    """Mark experiments that the server no longer knows, with their runs."""
    of_it = sa.update(Experiment).where(_of(Experiment, server, ids)).values(lifecycle_stage=GONE)
    session.execute(of_it, execution_options=_UNSYNCHRONIZED)
    _mark_gone(session, sa.and_(_of(Run, server, ids), Run.lifecycle_stage != GONE), now)


def runs_unseen(session: Session, server: str, ids: Collection[str], since: datetime.datetime) -> list[str]:
    """Known runs of completely read experiments that were in no answer since then."""
    return list(
        session.scalars(
            sa.select(Run.run_id).where(_of(Run, server, ids), Run.facts_at < since, Run.lifecycle_stage != GONE)
        )
    )


def runs_gone(session: Session, server: str, run_ids: Collection[str], now: datetime.datetime) -> int:
    """Mark runs that the server no longer knows. Returns how many."""
    where = sa.and_(Run.server == server, Run.run_id.in_(run_ids), Run.lifecycle_stage != GONE)
    return _mark_gone(session, where, now)


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


def runs_with_hashes(session: Session, hashes: Collection[str]) -> list[RunKey]:
    """Known runs, on any server, whose ``hashes`` hold one of these."""
    return _keys(session, Run.hashes.overlap(list(hashes))) if hashes else []


def runs_with_commits(session: Session, commits: Collection[str]) -> list[RunKey]:
    """Known runs, on any server, that started at one of these Git commits (full ids)."""
    return _keys(session, Run.git_commit.in_(commits)) if commits else []


def runs_changed(session: Session, server: str, since: datetime.datetime) -> list[RunKey]:
    """Known runs of a server whose facts or life cycle changed at or after then."""
    return _keys(session, sa.and_(Run.server == server, Run.changed >= since))


def runs_digest(session: Session, server: str, since: datetime.datetime, until: datetime.datetime) -> str:
    """Stands for which runs of a server changed at or after ``since`` and before ``until``, and when."""
    one = sa.func.concat_ws(" ", Run.run_id, Run.changed)
    digest = sa.func.md5(sa.func.coalesce(sa.func.string_agg(one, aggregate_order_by(sa.literal(","), Run.run_id)), ""))
    query = sa.select(digest).where(Run.server == server, Run.changed >= since, Run.changed < until)
    return str(session.scalar(query))


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
    upsert(session, ServerState, [row], keep=("answered",) if error else ())


def sync_began(session: Session, name: str, now: datetime.datetime) -> None:
    """Note that a sync which began at ``now`` came to its end."""
    session.execute(sa.update(ServerState).where(ServerState.name == name).values(synced=now))


def ask_for_sync(session: Session, name: str, now: datetime.datetime) -> None:
    """Note that somebody wants the server to be read again. One that was never asked is as good as asked long ago."""
    row = {"name": name, "checked": naive("1970-01-01T00:00:00Z"), "error": "", "wanted": now}
    upsert(session, ServerState, [row], keep=("checked", "error"))


def states(session: Session, names: Collection[str]) -> dict[str, ServerState]:
    """The last contact with each of the servers that was ever asked."""
    query = sa.select(ServerState).where(ServerState.name.in_(names)).execution_options(populate_existing=True)
    return {row.name: row for row in session.scalars(query)}


def run_row(server: str, run: reader.Run, now: datetime.datetime) -> dict[str, Any]:
    """The columns of a run."""
    commit = run.tags.get("mlflow.source.git.commit", "").lower()
    return {
        "server": server,
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "name": run.name,
        "status": run.status,
        "started": naive(run.start),
        "ended": naive(run.end),
        "git_commit": commit if _COMMIT.fullmatch(commit) else None,
        "lifecycle_stage": DELETED if run.deleted else ACTIVE,
        "hashes": list(mlflow_clues.hashes(run)),
        "sources": list(mlflow_clues.sources(run)),
        "facts": records.to_dict(run),
        "facts_at": now,
        "changed": now,
    }


def naive(text: str) -> datetime.datetime | None:
    """A record's time as CKAN stores it: naive UTC."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=None) if text else None


def upsert(
    session: Session,
    table: Any,
    rows: Sequence[dict[str, Any]],
    keep: Collection[str] = (),
    *,
    changed: str = "",
    only_changed: Collection[str] = (),
) -> None:
    """Write rows, all with the same columns and no key twice.

    :param keep: columns that a known row keeps
    :param changed: a time column that moves to ``facts_at`` only where facts or life cycle differ
    :param only_changed: leave known rows alone in which these columns are equal
    """
    if not rows:
        return
    name, keys = table.__tablename__, [column.name for column in sa.inspect(table).primary_key]
    # In one order everywhere, so that two writers of the same rows wait for each other instead of for ever.
    rows = sorted(rows, key=lambda row: [row[key] for key in keys])
    given = ", ".join(rows[0])
    values = [f"{each} = excluded.{each}" for each in rows[0] if each not in (*keys, *keep, changed)]
    if changed:
        differs = "known.facts <> excluded.facts OR known.lifecycle_stage <> excluded.lifecycle_stage"
        values.append(f"{changed} = CASE WHEN {differs} THEN excluded.facts_at ELSE known.{changed} END")
    where = " OR ".join(f"known.{each} IS DISTINCT FROM excluded.{each}" for each in only_changed)
    # As one value: SQLAlchemy sends an INSERT with ON CONFLICT row by row, and compiles it each time.
    statement = f"""
        INSERT INTO {name} AS known ({given})
        SELECT {given} FROM json_populate_recordset(CAST(NULL AS {name}), CAST(:rows AS json))
        ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {", ".join(values)} {f"WHERE {where}" if where else ""}
    """  # noqa: S608 - names of our own tables and columns
    session.execute(
        sa.text(statement), {"rows": json.dumps(rows, ensure_ascii=False, default=datetime.datetime.isoformat)}
    )


def _of(table: type[Experiment] | type[Run], server: str, ids: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(table.server == server, table.experiment_id.in_(ids))


def _mark_gone(session: Session, where: sa.ColumnElement[bool], now: datetime.datetime) -> int:
    statement = sa.update(Run).where(where).values(lifecycle_stage=GONE, changed=now).returning(Run.run_id)
    return len(session.scalars(statement, execution_options=_UNSYNCHRONIZED).all())


def _keys(session: Session, where: sa.ColumnElement[bool]) -> list[RunKey]:
    columns = (Run.server, Run.run_id, Run.git_commit.is_not(None))
    query = sa.select(*columns).where(where, Run.lifecycle_stage != GONE).order_by(Run.server, Run.run_id)
    return [RunKey(*row) for row in session.execute(query)]
