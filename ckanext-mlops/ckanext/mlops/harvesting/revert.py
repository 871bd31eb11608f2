"""Revert: take one harvest back, dataset by dataset; what people or later harvests changed since stands in the way.

Each dataset is one transaction, so that a killed revert goes on where it was. The next harvest writes the same again,
unless the repository or the source's settings say something else by then.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestObjectExtra
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import undo
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.said import said
from ckanext.mlops.harvesting import apply, batches, follow, locks, memory, refs, settled, watch
from ckanext.mlops.logic import shown
from ckanext.mlops.model import Edge, Link, Version, hashes, lineage, plans, versions
from ckanext.mlops.model import revisions as revision_store
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.search import overdue, together

Step = Callable[[int, int, str], None]
_UNSYNCHRONIZED = {"synchronize_session": False}


class NotReverted(MlopsError):
    """Something stands in the way, and nothing was taken back.

    :param why: a sentence
    :param refused: title of a dataset → what stands in its way
    """

    def __init__(self, why: str, refused: dict[str, str] | None = None) -> None:
        self.why, self.refused = why, refused or {}
        shown = [f"{title} ({each})" for title, each in list(self.refused.items())[:5]]
        more = f"; and {len(self.refused) - 5:,} more" if len(self.refused) > 5 else ""
        super().__init__(f"{why[:-1]}: {'; '.join(shown)}{more}." if shown else why)


@dataclass
class Outcome:
    """What was taken back: titles; and what was not: title → why."""

    reverted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def run(job_id: str, user: str, *, partly: bool = False, step: Step | None = None) -> Outcome:
    """Take back what a job wrote.

    :param partly: take back what can be; without it, nothing is when anything stands in the way
    :raises NotReverted: the job is not over, or something stands in the way
    """
    session = model.Session()
    job = session.get(HarvestJob, job_id, populate_existing=True)
    if job is None or not watch.is_over(session, job_id):
        raise NotReverted("Only a harvest that is finished can be reverted.")
    source_id = str(job.source_id)
    with locks.locked(source_id, wait=0):
        ids = session.scalars(
            sa.select(HarvestObject.id)
            .join(HarvestObjectExtra, HarvestObjectExtra.harvest_object_id == HarvestObject.id)
            .where(HarvestObject.harvest_job_id == job_id, HarvestObjectExtra.key == memory.STATE)
            .order_by(HarvestObject.guid)
        ).all()
        outcome = Outcome()
        for object_id in ids:
            title, why = _look(session, object_id)
            if why:
                outcome.refused[title] = why
        outcome.refused |= _refs_in_the_way(session, job_id)
        session.rollback()
        if outcome.refused and not partly:
            n = f"{len(outcome.refused):,}"
            why = said(f"Not reverted, for {n} datasets are not as this harvest left them.")
            if n == "1":
                why = said("Not reverted, for one dataset is not as this harvest left it.")
            raise NotReverted(why, outcome.refused)
        if not outcome.refused:
            _branches_back(session, job_id)  # before the datasets, which are indexed with where branches are
            session.commit()
        for number, object_id in enumerate(ids, start=1):
            # A purge ends the session that it is done in.
            title = _one(model.Session(), object_id, user)
            if title:
                outcome.reverted.append(title)
            if step is not None:
                step(number, len(ids), title)
        session = model.Session()
        _refs_back(session, job_id)
        settled.forget(session, source_id)
        session.commit()
        hashes.settle(session)
        overdue.run(patience=overdue.PATIENCE)
    return outcome


@dataclass
class _Case:
    object: Any
    title: str
    change: Any
    before: Any = None
    portal: dict[str, Any] | None = None
    target: dict[str, Any] | None = None
    why: str = ""
    done: bool = False
    changed: dict[str, Any] = field(default_factory=dict)


def _look(session: Session, object_id: str) -> tuple[str, str]:
    case = _case(session, object_id)
    return case.title, "" if case.done else case.why


def _case(session: Session, object_id: str) -> _Case:
    """What is to be done about one harvest object, and what stands in its way."""
    harvest_object: Any = session.get(HarvestObject, object_id, populate_existing=True)
    extras = dict(
        session.execute(
            sa.select(HarvestObjectExtra.key, HarvestObjectExtra.value).where(
                HarvestObjectExtra.harvest_object_id == object_id
            )
        )
        .tuples()
        .all()
    )
    try:
        change = memory.change_of(str(harvest_object.content or ""))
    except ValueError as error:
        return _Case(harvest_object, str(harvest_object.guid), None, why=str(error))
    case = _Case(harvest_object, change.title or change.guid, change, done=memory.REVERTED in extras)
    if case.done:
        return case
    if model.Package.get(harvest_object.package_id) is None:
        case.done = change.kind == "added"
        case.why = said("it was purged since")
        return case
    if not harvest_object.current:
        case.why = said("a later harvest changed it")
        return case
    case.portal = shown.page(harvest_object.package_id)
    if memory.UNDO not in extras:
        return _added(session, case)
    case.changed = json.loads(extras[memory.UNDO])
    case.before = _previous(session, harvest_object)
    if case.before is None:
        case.why = said("what it was before is not remembered any more")
        return case
    case.target, in_the_way = undo.back(case.portal, case.changed)
    if in_the_way:
        case.why = _changed(in_the_way)
    elif linked := _linked(session, harvest_object.package_id, _new_versions(session, case)):
        case.why = linked
    return case


def _changed(fields: list[str]) -> str:
    names = ", ".join(fields[:5])
    return said(f"changed since: {names}")


def _added(session: Session, case: _Case) -> _Case:
    """A dataset that was not there before is purged, when it still is as it was written."""
    package_id = case.object.package_id
    differs = undo.unlike(case.portal or {}, case.change.after.package)
    differs = [each for each in differs if each not in ("name", "type", "id")]
    if (case.portal or {}).get("state") != "active":
        differs.append(said("deleted in the portal"))
    if differs:
        case.why = _changed(differs)
    else:
        case.why = _linked(session, package_id, None)
    return case


def _linked(session: Session, package_id: str, version_ids: list[str] | None) -> str:
    links = sa.select(sa.func.count()).where(Link.package_id == package_id, Link.origin == "asserted")
    if version_ids is not None:
        links = links.where(Link.version_id.in_(version_ids))
    return said("people linked it to MLflow since") if session.scalar(links) else ""


def _previous(session: Session, harvest_object: Any) -> Any:
    """The object that the dataset was of before."""
    state = sa.select(HarvestObjectExtra.harvest_object_id).where(HarvestObjectExtra.key == memory.STATE)
    taken_back = sa.select(HarvestObjectExtra.harvest_object_id).where(HarvestObjectExtra.key == memory.REVERTED)
    return session.scalars(
        sa.select(HarvestObject)
        .where(
            HarvestObject.package_id == harvest_object.package_id,
            HarvestObject.harvest_source_id == harvest_object.harvest_source_id,
            HarvestObject.gathered < harvest_object.gathered,
            HarvestObject.id.in_(state),
            HarvestObject.id.not_in(taken_back),
        )
        .order_by(HarvestObject.gathered.desc())
        .limit(1)
    ).first()


def _one(session: Session, object_id: str, user: str) -> str:
    """Take one dataset back; its title, "" when it is done or something stands in the way."""
    harvest_object: Any = session.get(HarvestObject, object_id)
    package_id = str(harvest_object.package_id)
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(package_id, 0))))
    case = _case(session, object_id)
    if case.done or case.why:
        session.rollback()
        return ""
    if case.target is None:
        _unlink(session, package_id)
        tk.get_action("dataset_purge")({"user": user, "ignore_auth": True}, {"id": package_id})
        return case.title
    _rows_back(session, case)
    hashes.renew(session, package_id)  # versions that are gone prove nothing any more
    _marks_back(session, case)
    written = apply.update(session, case.target, case.portal or {}, user)
    if written:
        together.index_together([package_id])
    session.commit()
    return case.title


def _rows_back(session: Session, case: _Case) -> None:
    """Versions and edges as they were before."""
    package_id = case.object.package_id
    before = memory.dataset_of(str(case.before.content or ""))
    refs = case.changed.get("refs") or {}
    new = _new_versions(session, case)
    versions.store(session, package_id, [row | {"refs": refs.get(row["id"], row["refs"])} for row in before.versions])
    for version_id, told in refs.items():
        session.execute(
            sa.update(Version).where(Version.id == version_id).values(refs=told), execution_options=_UNSYNCHRONIZED
        )
    session.execute(sa.delete(Version).where(Version.id.in_(new)), execution_options=_UNSYNCHRONIZED)
    lineage.store_harvested(session, package_id, before.edges)
    session.execute(
        sa.delete(Edge).where(
            Edge.downstream_dataset == package_id,
            Edge.origin == "harvested",
            Edge.first_seen >= case.object.gathered,
        ),
        execution_options=_UNSYNCHRONIZED,
    )


def _new_versions(session: Session, case: _Case) -> list[str]:
    """Ids of the versions that were not known before the harvest."""
    found = sa.select(Version.id).where(
        Version.package_id == case.object.package_id, Version.first_seen >= case.object.gathered
    )
    return list(session.scalars(found))


def _marks_back(session: Session, case: _Case) -> None:
    case.object.current, case.before.current = False, True
    session.add(HarvestObjectExtra(harvest_object_id=case.object.id, key=memory.REVERTED, value=utc_now().isoformat()))
    session.flush()


def _unlink(session: Session, package_id: str) -> None:
    """What others made from a dataset that goes is made from an outside source again, as before it was known here."""
    package = model.Package.get(package_id)
    if package is not None:
        lineage.unlink(session, package_id, str((package.extras or {}).get("dvc_repository") or ""))


def _refs_in_the_way(session: Session, job_id: str) -> dict[str, str]:
    row = plans.get(session, job_id)
    moved = (row.facts.get("moved") or {}) if row is not None else {}
    refused = {}
    for guid, (object_id, _, _, after) in moved.items():
        if refs.digest_of(session, object_id) != after:
            refused[guid] = said("its branches and tags moved since")
    return refused


def _branches_back(session: Session, job_id: str) -> None:
    """Let branches be where they were. Of a harvest that is taken back in part, the rest shows them as they are now."""
    row = plans.get(session, job_id)
    if row is not None and row.facts.get("branches"):
        revision_store.put_back(session, str(row.source_id), row.facts["branches"])


def _refs_back(session: Session, job_id: str) -> None:
    """Branches and tags of the datasets that did not change otherwise."""
    row = plans.get(session, job_id)
    moved = (row.facts.get("moved") or {}) if row is not None else {}
    mine = {guid: each for guid, each in moved.items() if refs.digest_of(session, each[0]) == each[3]}
    refs.refresh(
        session,
        {guid: each[0] for guid, each in mine.items()},
        {guid: (each[1], each[2]) for guid, each in mine.items()},
    )


def in_background(job_id: str, user: str, *, partly: bool) -> None:
    """The worker's part: revert, and note how it went where the job's page finds it."""
    session = model.Session()
    job = session.get(HarvestJob, job_id)
    if job is None:
        return
    source_id = str(job.source_id)

    def step(number: int, total: int, title: str) -> None:
        follow.note(job_id, source_id, state="reverting", progress=said(f"{number:,} of {total:,} datasets taken back"))

    try:
        outcome = run(job_id, user, partly=partly, step=step)
    except NotReverted as error:
        session.rollback()
        note(job_id, source_id, user, {"refused": error.refused}, why=error.why)
        return
    except Exception as error:
        session.rollback()
        note(job_id, source_id, user, {}, why=batches.sentence(error))
        return
    note(job_id, source_id, user, {"reverted": len(outcome.reverted), "refused": outcome.refused})


def note(job_id: str, source_id: str, user: str, facts: dict[str, Any], why: str = "") -> None:
    """Keep how a revert went, with the job."""
    told = {"by": user, "at": utc_now().replace(microsecond=0).isoformat() + "Z", "why": why, **facts}
    plans.write_now(job_id, source_id, state="not reverted" if why else "reverted", progress="", facts={"revert": told})
