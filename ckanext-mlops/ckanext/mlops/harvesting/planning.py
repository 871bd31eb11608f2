"""Plan a harvest: what was read, compared with what the catalog remembers. Nothing is written but the mirror."""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ckan import authz, model
from ckanext.harvest.model import HarvestSource
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import datasets, drafts, problems
from ckanext.mlops.catalog.digests import Digests
from ckanext.mlops.catalog.edges import Harvested, imports
from ckanext.mlops.catalog.plan import Plan, plan
from ckanext.mlops.core.address import shown
from ckanext.mlops.core.cache import Cache
from ckanext.mlops.core.collecting import paused
from ckanext.mlops.harvesting import memory, owning, pushes, reading, remote_metrics, repositories, settled
from ckanext.mlops.harvesting.follow import Progress
from ckanext.mlops.harvesting.reading import Reading
from ckanext.mlops.harvesting.source_config import ConfigError, SourceConfig

log = logging.getLogger(__name__)
MAX_CHANGES = 1000


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

    def facts(self) -> dict[str, Any]:
        """What is to be kept of the plan beside its changes."""
        return {
            "summary": self.plan.summary(),
            "counts": self.plan.counts,
            "stages": self.plan.stages,
            "outputs": self.plan.outputs,
            "warnings": problems.bounded(self.warnings),
        }

    def shown(self, limit: int = MAX_CHANGES) -> dict[str, Any]:
        """The plan as previews and their action show it: field by field, without the unchanged datasets."""
        work = self.plan.work
        return {
            **self.facts(),
            "changes": [
                {name: getattr(change, name) for name in ("kind", "guid", "title", "reason", "fields")}
                for change in work[:limit]
            ],
            "problems": problems.bounded(self.errors),
            "truncated": len(work) > limit,
        }


def preview(source: HarvestSource, progress: Progress = log.info, *, config_text: str | None = None) -> Prepared:
    """The plan of a source as of now; nothing in the catalog is written.

    What another source or organization has already is among the problems, as a harvest would refuse it.

    :param config_text: a configuration to try in place of the source's
    :raises MlopsError, ConfigError: nothing could be read
    """
    session = model.Session()
    config = reading.configuration(str(source.config or "") if config_text is None else config_text)
    owner_org = owner(session, source, config)
    prepared = prepare(
        session, source.url.strip(), config, source_id=str(source.id), owner_org=owner_org, progress=progress
    )
    new = (change.after for change in prepared.plan.changes if change.kind == "added" and change.after)
    ids = {str(dataset.package["id"]): dataset.guid for dataset in new}
    refused = owning.refusals(session, str(source.id), owner_org, ids) if ids else {}
    if not refused:
        return prepared
    left = [change for change in prepared.plan.changes if change.guid not in refused]
    problems_now = prepared.plan.problems + len(refused)
    told = [*prepared.errors, *(refused[guid] for guid in sorted(refused))]
    return replace(prepared, plan=replace(prepared.plan, changes=left, problems=problems_now), errors=told)


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
    remembered = memory.Memory({}, {})

    def recall() -> None:
        nonlocal remembered
        if source_id:
            remembered = memory.recall(session, source_id)

    kept = _Kept(source_id)
    mirror = None
    if config.push:
        recall()
    else:
        mirror = reading.fetch(url, config, progress, organizations, meanwhile=recall, ahead=kept.load_ahead)
    origin = mirror or pushes.digest(session, source_id or "")
    hidden = remote_metrics.on_request(session, source_id) if source_id and config.remote_metrics else frozenset()
    inputs = settled.inputs(origin, config, owner_org, hidden)
    answer = settled.recall(session, source_id, inputs, remembered) if source_id else None
    if answer is not None:
        progress(f"{shown(url)}: nothing moved since the last harvest: {answer.plan.summary()}")
        return Prepared(answer.plan, answer.errors, answer.warnings)
    if mirror is not None:
        read = reading.read(mirror, config, kept.cache_of(mirror.cache), progress)
    else:
        read = reading.pushed(session, source_id or "", config)
    if config.remote_metrics:
        read = _with_remote_metrics(session, source_id, read, hidden, progress)
    options = datasets.Options(
        owner_org=owner_org,
        private=config.private_datasets,
        tags=config.tags_added,
        groups=config.groups_added,
        mlflow_server=config.mlflow_server,
        mlflow_experiment=config.mlflow_experiment,
        title=config.title_template,
    )
    upstreams = memory.upstreams(session, imports(read.snapshots))
    digests = Digests(settled.load_digests(kept.digests) if kept.digests is not None else None)
    errors = read.errors()
    with paused():
        found = drafts.draft(read.repository, read.snapshots, options, upstreams, read.earlier, digests)
        made = plan(
            found,
            remembered.known,
            memory.reader(session, remembered),
            unread=read.unread,
            today=datetime.datetime.now(datetime.UTC).date().isoformat(),
            problems=len(errors),
        )
    if kept.digests is not None and digests.worth_keeping:
        settled.save_digests(kept.digests.path, digests.used)
    progress(f"{read.repository.name}: {made.summary()}")
    return Prepared(made, errors, read.warnings(), inputs, read, remembered, upstreams)


def _names(owner_org: str) -> set[str]:
    """Id and name of an organization."""
    organization = model.Group.get(owner_org) if owner_org else None
    return {str(organization.id), str(organization.name)} if organization is not None else set()


class _Kept:
    """What is remembered beside a mirror: of reading it, and the digests of the datasets that a source makes of it."""

    def __init__(self, source_id: str | None) -> None:
        self._source_id = source_id
        self._cache: Cache | None = None
        self.digests: Cache | None = None

    def cache_of(self, path: Path) -> Cache:
        """The mirror's cache, which is at ``path``."""
        if self._cache is None:
            self._cache = Cache(path)
            if self._source_id is not None:
                self.digests = Cache(path.with_name(f"{path.name}.{self._source_id}"))
        return self._cache

    def load_ahead(self, path: Path) -> None:
        """Load both while Git fetches."""
        self.cache_of(path).load_ahead()
        if self.digests is not None:
            self.digests.load_ahead()


def _with_remote_metrics(
    session: Session, source_id: str | None, read: Reading, hidden: frozenset[str], progress: Progress
) -> Reading:
    progress(f"{read.repository.name}: looking for metrics in its storage")
    known = remote_metrics.fetched(session, source_id) if source_id else {}
    limits = repositories.limits()
    done = remote_metrics.fill(known, read.repository.url, read.snapshots, limits, hidden)
    return replace(read, snapshots=done.snapshots, problems=[*read.problems, *done.problems], settled=done.settled)


def owner(session: Session, source: HarvestSource, config: SourceConfig) -> str:
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
