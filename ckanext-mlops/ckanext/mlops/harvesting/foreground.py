"""One harvest of one source in this process, through the stages that the queue's workers call."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestObjectError, HarvestSource

from ckanext.mlops.catalog.plan import KINDS, Change
from ckanext.mlops.core import naming
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.harvester import DvcHarvester, user_name
from ckanext.mlops.harvesting import batches, memory
from ckanext.mlops.harvesting.follow import Progress
from ckanext.mlops.harvesting.planning import Prepared
from ckanext.mlops.search import overdue
from ckanext.mlops.tracking import links as mlflow_links

Step = Callable[[int, int, str], None]
_DONE = ("COMPLETE", "ERROR")


class NoSource(MlopsError):
    """There is no such harvest source, or it cannot be harvested here."""


@dataclass(frozen=True)
class Result:
    """What happened to one dataset: a kind of change, or ``failed``; ``kept`` names fields that a person owns."""

    name: str
    title: str
    kind: str
    reason: str = ""
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A finished harvest. ``read`` is False when the repository could not be read at all."""

    job: str
    summary: str
    read: bool
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Datasets by what happened, and the problems."""
        counts = dict.fromkeys((*KINDS, "failed"), 0)
        for result in self.results:
            counts[result.kind] += 1
        return counts | {"problems": len(self.problems)}

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "counts": self.counts()}


def find_source(name: str) -> HarvestSource:
    """The ``dvc`` source with that id, name or URL.

    :raises NoSource: none, several, or of another type
    """
    session = model.Session()
    package = model.Package.get(name)
    found = session.get(HarvestSource, package.id) if package else None
    if found is None:
        same = session.scalars(
            sa.select(HarvestSource).where(HarvestSource.url == name.strip(), HarvestSource.type == "dvc")
        ).all()
        if len(same) > 1:
            raise NoSource(f"{len(same)} harvest sources have the URL {name}; give the name of one.")
        found = same[0] if same else None
    if found is None:
        raise NoSource(f"There is no harvest source {name}. 'ckan harvester sources' lists them.")
    if found.type != "dvc":
        raise NoSource(f"The harvest source {name} is of type {found.type}; use 'ckan harvester run-test'.")
    return found


def harvest(source: HarvestSource, *, progress: Progress, step: Step) -> Report:
    """Harvest ``source`` and wait for the end. What an earlier, interrupted job left is finished first.

    :raises NoSource: the source is not active
    """
    if not source.active:
        raise NoSource(f"The harvest source {source.title or source.id} is not active; activate it first.")
    source_id = str(source.id)
    job = _unfinished(source_id)
    if job is not None and job.gather_finished is not None:
        progress(f"finishing harvest job {job.id}, which was interrupted")
        _import(str(job.id), step)
        _finish(source_id)
        job = None
    job_id = str(job.id) if job else _new_job(source_id)
    prepared = _gather(job_id, progress)
    _import(job_id, step)
    _finish(source_id)
    overdue.run(patience=overdue.PATIENCE)
    progress(mlflow_links.after_harvest(model.Session(), source_id).summary())
    return _report(job_id, prepared)


def _unfinished(source_id: str) -> HarvestJob | None:
    jobs = sa.select(HarvestJob).where(HarvestJob.source_id == source_id, HarvestJob.status.in_(("New", "Running")))
    return model.Session.scalars(jobs.order_by(HarvestJob.created.desc())).first()


def _new_job(source_id: str) -> str:
    job = tk.get_action("harvest_job_create")(_context(), {"source_id": source_id, "run": False})
    return str(job["id"])


def _gather(job_id: str, progress: Progress) -> Prepared | None:
    job = HarvestJob.get(job_id)
    job.status = "Running"
    job.gather_started = _now()
    job.save()
    prepared, _ = DvcHarvester().gather_prepared(job, progress, wait=0)
    job = HarvestJob.get(job_id)
    job.gather_finished = _now()
    job.save()
    return prepared


def _import(job_id: str, step: Step) -> None:
    session = model.Session()
    batches.reopen(job_id)
    left = sa.select(sa.func.count()).where(HarvestObject.harvest_job_id == job_id, HarvestObject.state.not_in(_DONE))
    total = session.scalar(left) or 0
    user, number = user_name(), 0
    while outcome := batches.run(job_id, user):
        number += len(outcome)
        step(number, max(total, number), outcome.last)
        model.Session.remove()


def _finish(source_id: str) -> None:
    tk.get_action("harvest_jobs_run")(_context(), {"source_id": source_id})


def _report(job_id: str, prepared: Prepared | None) -> Report:
    session = model.Session()
    problems = sa.select(HarvestGatherError.message).where(HarvestGatherError.harvest_job_id == job_id)
    messages = list(session.scalars(problems.order_by(HarvestGatherError.created)))
    if prepared is None:
        return Report(job_id, "the repository could not be read", read=False, problems=messages)
    states = dict(
        session.execute(
            sa.select(HarvestObject.guid, HarvestObject.state).where(HarvestObject.harvest_job_id == job_id)
        ).all()
    )
    failed = dict(
        session.execute(
            sa.select(HarvestObject.guid, HarvestObjectError.message)
            .join(HarvestObjectError, HarvestObjectError.harvest_object_id == HarvestObject.id)
            .where(HarvestObject.harvest_job_id == job_id)
        ).all()
    )
    kept = memory.conflicts(session, job_id)
    ids = {naming.package_id(change.guid): change.guid for change in prepared.plan.changes}
    package = model.Package
    names = {
        ids[row.id]: row.name for row in session.execute(sa.select(package.id, package.name).where(package.id.in_(ids)))
    }
    results = []
    for change in prepared.plan.changes:
        error = failed.get(change.guid, "") or ("not imported" if states.get(change.guid) == "ERROR" else "")
        results.append(_result(change, names.get(change.guid, ""), error, kept.get(change.guid, ())))
    return Report(job_id, prepared.plan.summary(), read=True, results=results, problems=messages)


def _result(change: Change, name: str, error: str, kept: tuple[str, ...]) -> Result:
    if error:
        return Result(name or change.guid, change.title, "failed", error)
    return Result(name or change.guid, change.title, change.kind, change.reason, kept)


def _context() -> Context:
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})
    return {"session": model.Session(), "user": user["name"], "ignore_auth": True}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
