"""Read a source's repository: bring its mirror up to date, and select from it what the source's options say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from ckanext.mlops.catalog import problems, selection
from ckanext.mlops.catalog.moves import Earlier
from ckanext.mlops.core.address import shown
from ckanext.mlops.core.cache import Cache
from ckanext.mlops.core.mirror import Mirror, update_mirror
from ckanext.mlops.core.records import Problem, Repository, Snapshot
from ckanext.mlops.core.repository import Selection, read_repository
from ckanext.mlops.harvesting import pushes, repositories, source_config
from ckanext.mlops.harvesting.follow import Progress
from ckanext.mlops.harvesting.source_config import SourceConfig

log = logging.getLogger(__name__)


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


def configuration(text: str | None) -> SourceConfig:
    """The checked configuration of a source.

    :raises ConfigError: naming the option, the fault and the remedy
    """
    return source_config.parse(text, configured={"credential": repositories.credential_names()})


def fetch(
    url: str,
    config: SourceConfig,
    progress: Progress = log.info,
    organizations: Collection[str] | None = None,
    meanwhile: Callable[[], None] | None = None,
    ahead: Callable[[Path], None] | None = None,
) -> Mirror:
    """Bring the mirror of ``url`` up to date; when no ref moved, nothing is fetched.

    :param organizations: on whose behalf, as :func:`repositories.credential` takes them
    :param meanwhile, ahead: as :func:`update_mirror` takes them
    :raises RepositoryError: it cannot be reached, or must not be
    """
    policy = repositories.policy(experiments=config.experiments)
    credential = repositories.credential(config.credential, url, organizations)
    progress(f"{shown(url)}: fetching")
    return update_mirror(
        url, repositories.mirrors(), policy=policy, credential=credential, meanwhile=meanwhile, ahead=ahead
    )


def read(mirror: Mirror, config: SourceConfig, cache: Cache, progress: Progress = log.info) -> Reading:
    """Read the revisions that the configuration selects.

    :param cache: of :attr:`Mirror.cache`
    :raises RepositoryError: the repository as a whole cannot be read
    """
    chosen = Selection(
        branches=selection.wanted(config.branches),
        tags=selection.wanted(config.git_tags),
        experiments=config.experiments,
        commits=config.commits or "",
    )
    limits = repositories.limits()
    opened = read_repository(mirror.git_dir, url=mirror.url, selection=chosen, limits=limits, cache=cache)
    progress(
        f"{opened.repository.name}: reading {len(opened):,} distinct states of {len(opened.revisions):,} revisions"
    )
    shown_revisions = selection.revisions(opened, config.branches, config.git_tags)
    return _chosen(opened.repository, shown_revisions, list(opened.problems), config, opened.is_ancestor)


def pushed(session: Session, source_id: str, config: SourceConfig) -> Reading:
    """What was pushed last to a source that is not fetched, as far as its configuration selects it.

    :raises NotPushed: nothing was
    """
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
