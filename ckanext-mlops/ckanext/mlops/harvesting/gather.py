"""Gather: read a source's repository, plan, and leave one harvest object for each dataset that is to be written.

The functions here are what the harvester, the preview and the command line have in common.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ckan import authz, model
from ckan.model.types import make_uuid
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestSource
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import datasets, drafts, history, problems, selection
from ckanext.mlops.catalog.digests import Digests
from ckanext.mlops.catalog.edges import Harvested, imports
from ckanext.mlops.catalog.moves import Earlier
from ckanext.mlops.catalog.plan import Plan, plan
from ckanext.mlops.core import naming
from ckanext.mlops.core.address import shown
from ckanext.mlops.core.collecting import paused
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.mirror import Mirror, update_mirror
from ckanext.mlops.core.records import Problem, Repository, Snapshot
from ckanext.mlops.core.repository import Selection, read_repository
from ckanext.mlops.harvesting import (
    approval,
    batches,
    follow,
    memory,
    pushes,
    refs,
    remote_metrics,
    repositories,
    settled,
    source_config,
    triggers,
)
from ckanext.mlops.harvesting.source_config import ConfigError, SourceConfig

log = logging.getLogger(__name__)
Progress = Callable[[str], None]

_LOCK_SPACE = 0x6D6C6F70
_POLL = 0.5
_CHUNK = 500


class SourceBusy(MlopsError):
    """The source is being read by another process."""


class JobOver(MlopsError):
    """Nothing more is to be gathered for the job: it was stopped, or its message came a second time."""


@dataclass(frozen=True)
class Reading:
    """What was read from a repository at the selected revisions; ``settled``: a storage would say the same again."""

    repository: Repository
    snapshots: list[Snapshot]
    problems: list[Problem] = field(default_factory=list)
    earlier: Earlier | None = None
    settled: bool = True

    @property
    def unread(self) -> list[str]:
        """Names of the revisions that could not be read completely."""
        if not self.snapshots:  # more often a mistake than a wish
            return ["the repository"]
        return [each.name for snapshot in self.snapshots if not snapshot.complete for each in snapshot.revisions]

    def errors(self) -> list[str]:
        """One sentence for each thing that was not read; :meth:`warnings` for each that was read with doubt."""
        return problems.sentences(self.snapshots, self.problems)

    def warnings(self) -> list[str]:
        """One sentence for each thing that was read with doubt."""
        return problems.sentences(self.snapshots, self.problems, severity="warning")


@dataclass(frozen=True)
class Prepared:
    """A plan and what it was made of: ``reading`` is None when the refs alone gave the answer.

    :param errors: one sentence for each thing that was not read; ``warnings``: for what was read with doubt
    """

    plan: Plan
    errors: list[str]
    warnings: list[str]
    inputs: str = ""
    reading: Reading | None = None
    remembered: memory.Memory = field(default_factory=lambda: memory.Memory({}, {}))
    upstreams: Harvested = field(default_factory=dict)


def configuration(text: str | None) -> SourceConfig:
    """The checked configuration of a source.

    :raises ConfigError: naming the option, the fault and the remedy
    """
    return source_config.parse(text, credentials=repositories.credential_names())


def fetch(
    url: str, config: SourceConfig, progress: Progress = log.info, organizations: Collection[str] | None = None
) -> Mirror:
    """Bring the mirror of ``url`` up to date; when no ref moved, nothing is fetched.

    :param organizations: on whose behalf, as :func:`repositories.credential` takes them
    :raises RepositoryError: it cannot be reached, or must not be
    """
    policy = repositories.policy(experiments=config.experiments)
    credential = repositories.credential(config.credential, url, organizations)
    progress(f"{shown(url)}: fetching")
    return update_mirror(url, repositories.mirrors(), policy=policy, credential=credential)


def read(mirror: Mirror, config: SourceConfig, progress: Progress = log.info) -> Reading:
    """Read the revisions that the configuration selects.

    :raises RepositoryError: the repository as a whole cannot be read
    """
    chosen = Selection(
        branches=selection.wanted(config.branches),
        tags=selection.wanted(config.git_tags),
        experiments=config.experiments,
        commits=config.commits or "",
    )
    warm = mirror.git_dir.with_name(f"{mirror.git_dir.name}.cache")
    limits = repositories.limits()
    opened = read_repository(mirror.git_dir, url=mirror.url, selection=chosen, limits=limits, cache=warm)
    progress(
        f"{opened.repository.name}: reading {len(opened):,} distinct states of {len(opened.revisions):,} revisions"
    )
    shown_revisions = selection.revisions(opened, config.branches, config.git_tags)
    return _chosen(opened.repository, shown_revisions, list(opened.problems), config, opened.is_ancestor)


def _pushed(session: Session, source_id: str, config: SourceConfig) -> Reading:
    records = pushes.load(session, source_id)
    shown_revisions = selection.named(records.snapshots, config.branches, config.git_tags)
    return _chosen(records.repository, shown_revisions, records.problems, config)


def _chosen(
    repository: Repository,
    revisions: Iterable[Snapshot],
    found: list[Problem],
    config: SourceConfig,
    earlier: Earlier | None = None,
) -> Reading:
    """The stages that the configuration selects."""
    snapshots = selection.select(revisions, include=config.include, exclude=config.exclude, subfolder=config.subfolder)
    if not snapshots:
        found.append(Problem("no branch or tag is there that the source's options select; nothing is retired"))
    if config.remote:
        snapshots, without = selection.stored_in(snapshots, config.remote)
        found += [
            Problem(f"there is no DVC remote {config.remote}", ".dvc/config", revision=name, severity="warning")
            for name in without
        ]
    return Reading(repository, snapshots, found, earlier)


def prepare(
    session: Session,
    url: str,
    config: SourceConfig,
    *,
    source_id: str | None,
    owner_org: str = "",
    progress: Progress = log.info,
) -> Prepared:
    """Read and plan; nothing is written but the mirror.

    :param source_id: None for a repository that is no source: everything in it is new
    :raises RepositoryError: the repository as a whole cannot be read
    """
    organizations = None if source_id is None else _names(owner_org)
    mirror = None if config.push else fetch(url, config, progress, organizations)
    remembered = memory.recall(session, source_id) if source_id else memory.Memory({}, {})
    origin = mirror or pushes.digest(session, source_id or "")
    hidden = remote_metrics.on_request(session, source_id) if source_id and config.remote_metrics else frozenset()
    inputs = settled.inputs(origin, config, owner_org, hidden)
    answer = settled.recall(session, source_id, inputs, remembered) if source_id else None
    if answer is not None:
        progress(f"{shown(url)}: nothing moved since the last harvest: {answer.plan.summary()}")
        return Prepared(answer.plan, answer.errors, answer.warnings)
    reading = read(mirror, config, progress) if mirror else _pushed(session, source_id or "", config)
    if config.remote_metrics:
        reading = _with_remote_metrics(session, source_id, reading, hidden, progress)
    options = datasets.Options(
        owner_org=owner_org,
        private=config.private_datasets,
        tags=config.tags_added,
        groups=config.groups_added,
        mlflow_server=config.mlflow_server,
        mlflow_experiment=config.mlflow_experiment,
        title=config.title_template,
    )
    upstreams = memory.upstreams(session, imports(reading.snapshots))
    told = _digests(mirror, source_id)
    digests = Digests(settled.load_digests(told) if told else None)
    errors = reading.errors()
    with paused():
        found = drafts.draft(reading.repository, reading.snapshots, options, upstreams, reading.earlier, digests)
        made = plan(
            found,
            remembered.known,
            memory.reader(session, remembered),
            unread=reading.unread,
            today=datetime.datetime.now(datetime.UTC).date().isoformat(),
            problems=len(errors),
        )
    if told and digests.worth_keeping:
        settled.save_digests(told, digests.used)
    progress(f"{reading.repository.name}: {made.summary()}")
    return Prepared(made, errors, reading.warnings(), inputs, reading, remembered, upstreams)


def _names(owner_org: str) -> set[str]:
    """Id and name of an organization."""
    organization = model.Group.get(owner_org) if owner_org else None
    return {str(organization.id), str(organization.name)} if organization is not None else set()


def _digests(mirror: Mirror | None, source_id: str | None) -> Path | None:
    """Where the digests of a source's datasets are remembered, beside its mirror."""
    if mirror is None or source_id is None:
        return None
    return mirror.git_dir.with_name(f"{mirror.git_dir.name}.cache.{source_id}")


def _with_remote_metrics(
    session: Session, source_id: str | None, reading: Reading, hidden: frozenset[str], progress: Progress
) -> Reading:
    progress(f"{reading.repository.name}: looking for metrics in its storage")
    known = remote_metrics.fetched(session, source_id) if source_id else {}
    limits = repositories.limits()
    done = remote_metrics.fill(known, reading.repository.url, reading.snapshots, limits, hidden)
    return replace(
        reading, snapshots=done.snapshots, problems=[*reading.problems, *done.problems], settled=done.settled
    )


def gather(job: HarvestJob, progress: Progress = log.info, *, wait: float = 600.0) -> tuple[Prepared, list[str]]:
    """Read, plan, and store one harvest object for each change; their ids. Committed at once, or not at all.

    When the job was gathered before by a process that was killed, what that one left is replaced.

    :param wait: seconds for another process that reads the same source
    :raises MlopsError, ConfigError: nothing could be read; nothing was stored
    :raises JobOver: nothing was to be read any more
    """
    session = model.Session()
    source = job.source
    session.commit()  # that it has begun: a kill from here on is noticed
    with locked(source.id, wait):
        _open(session, str(job.id))
        _wait_for_imports(session, job, wait)
        triggers.answered(session, str(source.id))
        _forget(session, str(job.id))
        config = configuration(source.config)
        owner_org = _owner(session, source, config)
        prepared = prepare(
            session, source.url.strip(), config, source_id=source.id, owner_org=owner_org, progress=progress
        )
        ids = _store(session, job, prepared, held=config.approval, pushed=config.push)
    log.info("%s: %s", source.url, prepared.plan.summary())
    return prepared, ids


def preview(source: HarvestSource, progress: Progress = log.info, *, config_text: str | None = None) -> Prepared:
    """The plan of a source as of now; nothing in the catalog is written.

    :param config_text: a configuration to try in place of the source's
    :raises MlopsError, ConfigError: nothing could be read
    """
    session = model.Session()
    config = configuration(str(source.config or "") if config_text is None else config_text)
    owner_org = _owner(session, source, config)
    return prepare(
        session, source.url.strip(), config, source_id=str(source.id), owner_org=owner_org, progress=progress
    )


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
            time.sleep(_POLL)
        try:
            yield
        finally:
            with contextlib.suppress(DBAPIError):  # a connection that is lost has no lock
                connection.execute(
                    sa.select(
                        sa.func.pg_advisory_unlock(sa.literal(_LOCK_SPACE, sa.Integer), sa.func.hashtext(source_id))
                    )
                )


def _open(session: Session, job_id: str, *, held: bool = False) -> None:
    """See that the job is still to be gathered.

    :param held: and let nobody stop it until the transaction ends
    :raises JobOver: it was stopped, cleared, or gathered before
    """
    row = sa.select(HarvestJob.status, HarvestJob.gather_finished).where(HarvestJob.id == job_id)
    job = session.execute(row.with_for_update() if held else row).first()
    if job is None or job.status not in ("New", "Running") or job.gather_finished is not None:
        session.rollback()
        raise JobOver(f"Harvest job {job_id} was stopped, or gathered before.")


def _wait_for_imports(session: Session, job: HarvestJob, wait: float) -> None:
    """Let an earlier job of the source come to its end, so that the plan is made of what it wrote."""
    waiting = sa.exists().where(
        HarvestObject.harvest_job_id == HarvestJob.id,
        HarvestObject.state.not_in(("COMPLETE", "ERROR", approval.HELD)),
    )
    earlier = sa.select(HarvestJob.id).where(
        HarvestJob.source_id == job.source_id, HarvestJob.id != job.id, HarvestJob.status == "Running", waiting
    )
    deadline = time.monotonic() + wait
    while session.scalar(earlier.limit(1)) is not None and time.monotonic() < deadline:
        session.rollback()
        time.sleep(_POLL)


def _forget(session: Session, job_id: str) -> None:
    """Remove what an interrupted gather of the job left, and nobody began to import."""
    session.execute(sa.delete(HarvestGatherError).where(HarvestGatherError.harvest_job_id == job_id))
    session.execute(
        sa.delete(HarvestObject).where(
            HarvestObject.harvest_job_id == job_id, HarvestObject.state.in_((*batches.OPEN, approval.HELD))
        )
    )
    session.commit()


def _owner(session: Session, source: HarvestSource, config: SourceConfig) -> str:
    """Id of the source's organization.

    :raises ConfigError: datasets could not be created with it
    """
    package = model.Package.get(str(source.id))
    owner_org = (package.owner_org if package else None) or ""
    if not owner_org and config.private_datasets:
        raise ConfigError(
            "private_datasets: only an organization's datasets can be private; give the source an organization"
        )
    if not owner_org and not authz.check_config_permission("create_unowned_dataset"):
        raise ConfigError("in this portal every dataset belongs to an organization; give the source one")
    if config.groups_added:
        group = model.Group
        names = set(
            session.scalars(
                sa.select(group.name).where(
                    group.name.in_(config.groups_added), group.state == "active", group.is_organization.is_(False)
                )
            )
        )
        missing = sorted(set(config.groups_added) - names)
        if missing:
            raise ConfigError(
                f"groups_added: this portal has no group {', '.join(missing[:5])}; create it, or leave it out"
            )
    return owner_org


def _store(session: Session, job: HarvestJob, prepared: Prepared, *, held: bool, pushed: bool) -> list[str]:
    _open(session, str(job.id), held=True)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    work = prepared.plan.work
    sent = 0 if held else batches.lanes(len(work))
    approval.supersede(session, str(job.source_id), str(job.id))
    ids: list[str] = []
    for start in range(0, len(work), _CHUNK):  # the contents of a big plan are never in memory all at once
        rows = [
            {
                "id": make_uuid(),
                "guid": change.guid,
                "content": memory.content_of(change),
                "gathered": now,
                "state": approval.HELD if held else "WAITING" if number < sent else batches.PLANNED,
                "current": False,
                "retry_times": 0,
                "harvest_job_id": job.id,
                "harvest_source_id": job.source_id,
            }
            for number, change in enumerate(work[start : start + _CHUNK], start)
        ]
        session.execute(sa.insert(HarvestObject), rows)
        ids += [str(row["id"]) for row in rows]
    if pushed:
        memory.note_sent(session, ids)
    else:
        known = prepared.remembered.objects
        unchanged = (known.get(change.guid) for change in prepared.plan.changes if change.kind == "unchanged")
        memory.note_read(session, str(job.source_id), filter(None, unchanged))
    if ids and held:
        approval.hold(job)
    messages = problems.bounded(prepared.errors)
    if messages:
        session.execute(
            sa.insert(HarvestGatherError),
            [{"id": make_uuid(), "harvest_job_id": job.id, "message": message, "created": now} for message in messages],
        )
    follow.planned(session, str(job.id), str(job.source_id), prepared)
    if prepared.reading is not None:
        _note(session, str(job.id), str(job.source_id), prepared, prepared.reading, held=held and bool(ids))
    session.commit()
    return ids[:sent]


def _note(session: Session, job_id: str, source_id: str, prepared: Prepared, reading: Reading, *, held: bool) -> None:
    """What is known of the source now, beside its datasets."""
    moved = {change.guid: (change.refs, change.refs_digest) for change in prepared.plan.changes if change.refs}
    repository = naming.repository_slug(reading.repository.url)
    revisions = history.revisions(reading.snapshots)
    if held:
        refs.keep(session, job_id, source_id, moved, repository, revisions)
    else:
        refs.write(session, job_id, source_id, prepared.remembered, moved, repository, revisions)
    if reading.unread or not reading.settled:
        settled.forget(session, source_id)
        return
    settled.save(
        session,
        source_id,
        inputs=prepared.inputs,
        remembered=prepared.remembered,
        imports=sorted(imports(reading.snapshots)),
        upstreams=prepared.upstreams,
        answer=settled.Answer(prepared.plan, problems.bounded(prepared.errors), problems.bounded(prepared.warnings)),
    )
