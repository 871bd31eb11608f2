"""What a harvest did: every dataset by name, what happened to it and why, and whether the catalog has it all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestObjectError, HarvestObjectExtra
from sqlalchemy.orm import Session, aliased

from ckanext.mlops.catalog.plan import KINDS
from ckanext.mlops.core.said import said
from ckanext.mlops.harvesting import batches, memory
from ckanext.mlops.harvesting.approval import HELD
from ckanext.mlops.model import plans
from ckanext.mlops.model.tables import Plan

BUSY = (*batches.OPEN, "FETCH", "IMPORT")
WHAT = (*KINDS, "failed", "waiting", "held")
#: Stages of a job that can be taken back.
OVER = ("done", "failed", "aborted", "not reverted")
ON_ITS_WAY = ("waiting", "reading", "writing")
MAX_MISSING = 20


def report(
    session: Session, job: HarvestJob, *, what: str = "", limit: int = 100, offset: int = 0, fields: bool = True
) -> dict[str, Any]:
    """The report of a job as JSON values.

    :param what: only the datasets that this happened to, one of :data:`WHAT`
    :param fields: also what differs in each of them
    """
    row = plans.get(session, str(job.id))
    states = _states(session, str(job.id))
    counts = _counts(session, job, row, states)
    entries, total = _datasets(session, job, what, limit, offset, fields=fields)
    facts = row.facts if row is not None else {}
    at = stage(session, job, row, states)
    done, busy = sum(states.values()) - states.get(HELD, 0), sum(states.get(each, 0) for each in BUSY)
    if at == "reverting":
        done = busy = 0
    return {
        "job": job.id,
        "source": job.source_id,
        "created": _iso(job.created),
        "finished": _iso(job.finished),
        "stage": at,
        "progress": {"done": done - busy, "total": done, "said": row.progress if row is not None else ""},
        "summary": facts.get("summary", ""),
        "plan": _figures(row),
        "counts": counts,
        "datasets": entries,
        "count": total,
        "problems": _problems(session, str(job.id)),
        "warnings": facts.get("warnings", []),
        "check": check(session, job, row),
        "decision": facts.get("decision"),
        "stopped": facts.get("stopped"),
        "revert": facts.get("revert"),
    }


def stage(session: Session, job: HarvestJob, row: Plan | None, states: dict[str, int] | None = None) -> str:
    """Where a job is: ``waiting``, ``reading``, ``held``, ``writing``, ``done``, ``failed``, ``aborted``, ``rejected``,
    ``reverting``, ``reverted`` or ``not reverted``."""
    if row is not None and row.state in ("rejected", "reverting", "reverted", "not reverted"):
        return row.state
    states = states if states is not None else _states(session, str(job.id))
    if states.get(HELD):
        return "held"
    if job.status == "New":
        return "waiting"
    if row is not None and row.facts.get("stopped"):
        return "aborted"
    if not job.gather_finished:
        return "reading"
    if job.status != "Finished" and any(states.get(each) for each in BUSY):
        return "writing"
    return "failed" if row is not None and row.state == "failed" else "done"


def newest(session: Session, source_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """The newest jobs of a source: ``id``, ``created``, ``stage`` and ``plan`` of each, as in :func:`report`."""
    of_source = sa.select(HarvestJob).where(HarvestJob.source_id == source_id)
    jobs = session.scalars(of_source.order_by(HarvestJob.created.desc()).limit(limit)).all()
    rows = {row.id: row for row in session.scalars(sa.select(Plan).where(Plan.id.in_([job.id for job in jobs])))}
    states: dict[str, dict[str, int]] = {}
    counted = (
        sa.select(HarvestObject.harvest_job_id, HarvestObject.state, sa.func.count())
        .where(HarvestObject.harvest_job_id.in_([job.id for job in jobs]))
        .group_by(HarvestObject.harvest_job_id, HarvestObject.state)
    )
    for job_id, state, count in session.execute(counted):
        states.setdefault(job_id, {})[str(state)] = count
    return [
        {
            "id": job_id,
            "created": _iso(job.created),
            "stage": stage(session, job, rows.get(job_id), states.get(job_id, {})),
            "plan": _figures(rows.get(job_id)),
        }
        for job_id, job in ((str(job.id), job) for job in jobs)
    ]


def _figures(row: Plan | None) -> dict[str, Any] | None:
    facts = row.facts if row is not None else {}
    return {name: facts[name] for name in ("stages", "outputs", "counts")} if "stages" in facts else None


def check(session: Session, job: HarvestJob, row: Plan | None) -> dict[str, Any] | None:
    """Whether the catalog has what the source has; None for a job that is not the source's newest one that read it."""
    stages = row.facts.get("stages") if row is not None else None
    newest = sa.select(HarvestJob.id).where(
        HarvestJob.source_id == job.source_id, HarvestJob.gather_finished.is_not(None)
    )
    if stages is None or session.scalar(newest.order_by(HarvestJob.created.desc()).limit(1)) != job.id:
        return None
    package = model.Package
    retired = sa.func.coalesce(package.extras["dvc_retired"].astext, "") != ""
    current = (
        sa.select(HarvestObject.guid, package.state, package.title)
        .join(package, package.id == HarvestObject.package_id)
        .where(HarvestObject.harvest_source_id == job.source_id, HarvestObject.current, ~retired)
    )
    rows = session.execute(current).all()
    active = sum(each.state == "active" for each in rows)
    states = {"deleted": said("deleted in the portal"), "draft": said("a draft in the portal")}
    deleted = [f"{each.title}: {states.get(each.state, each.state)}" for each in rows if each.state != "active"]
    missing = [f"{entry['title']}: {entry['error'] or entry['state']}" for entry in _unwritten(session, job)]
    return {
        "source": stages,
        "catalog": active,
        "equal": active == stages,
        "missing": (deleted + missing)[:MAX_MISSING],
    }


def _states(session: Session, job_id: str) -> dict[str, int]:
    rows = session.execute(
        sa.select(HarvestObject.state, sa.func.count())
        .where(HarvestObject.harvest_job_id == job_id)
        .group_by(HarvestObject.state)
    ).all()
    return {str(state): count for state, count in rows}


def _counts(session: Session, job: HarvestJob, row: Plan | None, states: dict[str, int]) -> dict[str, int]:
    kind = sa.cast(HarvestObjectExtra.value, sa.dialects.postgresql.JSONB)["kind"].astext
    applied = session.execute(
        sa.select(kind, sa.func.count())
        .select_from(HarvestObject)
        .join(HarvestObjectExtra, HarvestObjectExtra.harvest_object_id == HarvestObject.id)
        .where(HarvestObject.harvest_job_id == job.id, HarvestObjectExtra.key == memory.STATE)
        .group_by(kind)
    ).all()
    found = dict.fromkeys(WHAT, 0) | {str(name): count for name, count in applied}
    found["failed"] = states.get("ERROR", 0)
    found["waiting"] = sum(states.get(each, 0) for each in BUSY)
    found["held"] = states.get(HELD, 0)
    found["unchanged"] = (row.facts.get("counts") or {}).get("unchanged", 0) if row is not None else 0
    return found


def _datasets(
    session: Session, job: HarvestJob, what: str, limit: int, offset: int, *, fields: bool
) -> tuple[list[dict[str, Any]], int]:
    """A page of the datasets: what went wrong first, the unchanged ones last; and how many there are."""
    state = aliased(HarvestObjectExtra)
    own = (
        sa.select(HarvestObject.id, HarvestObject.guid, HarvestObject.state, HarvestObject.package_id, state.value)
        .outerjoin(state, sa.and_(state.harvest_object_id == HarvestObject.id, state.key == memory.STATE))
        .where(HarvestObject.harvest_job_id == job.id)
    )
    kind = sa.cast(state.value, sa.dialects.postgresql.JSONB)["kind"].astext
    if what in ("added", "changed", "retired"):
        own = own.where(kind == what, HarvestObject.state != "ERROR")
    elif what == "failed":
        own = own.where(HarvestObject.state == "ERROR")
    elif what in ("waiting", "held"):
        own = own.where(HarvestObject.state.in_(BUSY if what == "waiting" else (HELD,)))
    elif what == "unchanged":
        own = own.where(sa.false())
    total = session.scalar(sa.select(sa.func.count()).select_from(own.subquery())) or 0
    first = sa.case((HarvestObject.state == "ERROR", 0), (HarvestObject.state == "COMPLETE", 2), else_=1)
    rows = session.execute(own.order_by(first, HarvestObject.guid).limit(limit).offset(offset)).all()
    entries = _entries(session, rows, fields=fields)
    if what in ("", "unchanged"):
        rest = _unchanged(job)
        more = limit - len(entries)
        if more > 0:
            left = rest.order_by(HarvestObject.guid).limit(more).offset(max(0, offset - total))
            entries += [
                entry | {"kind": "unchanged", "state": "as it was", "reason": "", "fields": []}
                for entry in _entries(session, session.execute(left).all(), fields=False)
            ]
        total += session.scalar(sa.select(sa.func.count()).select_from(rest.subquery())) or 0
    return entries, total


def _unchanged(job: HarvestJob) -> Any:
    """The datasets that the source had at that time and that the job has no object of."""
    state = aliased(HarvestObjectExtra)
    own = sa.select(HarvestObject.guid).where(HarvestObject.harvest_job_id == job.id)
    newest = (
        sa.select(HarvestObject.id)
        .join(state, sa.and_(state.harvest_object_id == HarvestObject.id, state.key == memory.STATE))
        .join(model.Package, model.Package.id == HarvestObject.package_id)
        .where(
            HarvestObject.harvest_source_id == job.source_id,
            HarvestObject.gathered <= (job.gather_finished or job.created),
            HarvestObject.guid.not_in(own),
        )
        .distinct(HarvestObject.guid)
        .order_by(HarvestObject.guid, HarvestObject.gathered.desc())
    )
    return (
        sa.select(HarvestObject.id, HarvestObject.guid, HarvestObject.state, HarvestObject.package_id, state.value)
        .join(state, sa.and_(state.harvest_object_id == HarvestObject.id, state.key == memory.STATE))
        .where(HarvestObject.id.in_(newest), sa.true() if job.gather_finished else sa.false())
    )


def _unwritten(session: Session, job: HarvestJob) -> list[dict[str, Any]]:
    entries, _ = _datasets(session, job, "failed", MAX_MISSING, 0, fields=False)
    return entries


def _entries(session: Session, rows: Sequence[Any], *, fields: bool) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    packages = [row.package_id for row in rows if row.package_id]
    errors: dict[str, str] = dict(
        session.execute(
            sa.select(HarvestObjectError.harvest_object_id, HarvestObjectError.message).where(
                HarvestObjectError.harvest_object_id.in_(ids)
            )
        )
        .tuples()
        .all()
    )
    names = {
        each.id: each
        for each in session.execute(
            sa.select(model.Package.id, model.Package.name, model.Package.title).where(model.Package.id.in_(packages))
        )
    }
    kept = memory.conflicts_of(session, ids)
    return [
        _entry(session, row, errors.get(row.id), names.get(row.package_id), kept.get(row.id, ()), fields=fields)
        for row in rows
    ]


def _entry(
    session: Session, row: Any, error: str | None, package: Any, kept: Sequence[str], *, fields: bool
) -> dict[str, Any]:
    known = json.loads(row.value or "{}")
    found: list[Any] = []
    if fields or not known:
        try:
            change = memory.change_of(
                session.scalar(sa.select(HarvestObject.content).where(HarvestObject.id == row.id))
            )
            known = known or {"kind": change.kind, "title": change.title, "reason": change.reason}
            found = change.fields if fields else []
        except (ValueError, KeyError, TypeError):
            known = known or {"kind": "changed", "title": row.guid}
    written = (
        "written"
        if row.state == "COMPLETE"
        else "failed"
        if row.state == "ERROR"
        else "held"
        if row.state == HELD
        else "waiting"
    )
    return {
        "guid": row.guid,
        "id": row.package_id,
        "name": package.name if package else None,
        "title": known.get("title") or (package.title if package else "") or row.guid,
        "kind": known.get("kind", "changed"),
        "state": written,
        "reason": known.get("reason", ""),
        "kept": list(kept),
        "error": (error or said("not written")) if written == "failed" else "",
        "fields": found,
    }


def _problems(session: Session, job_id: str) -> list[str]:
    found = sa.select(HarvestGatherError.message).where(HarvestGatherError.harvest_job_id == job_id)
    return list(session.scalars(found.order_by(HarvestGatherError.created)))


def _iso(moment: Any) -> str | None:
    return None if moment is None else moment.replace(microsecond=0).isoformat() + "Z"


def job_url(job: HarvestJob) -> str:
    """Address of the job's page."""
    package = model.Package.get(str(job.source_id))
    return str(
        tk.url_for("harvester.job_show", source=package.name if package else job.source_id, id=job.id, qualified=True)
    )
