"""What the mirrors of harvested repositories say about the commits that runs name: before the run, and after it."""

from __future__ import annotations

import datetime
import hashlib
import logging
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ckanext.harvest.model import HarvestSource
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import text
from ckanext.mlops.catalog.versions import digest
from ckanext.mlops.core import naming
from ckanext.mlops.core.commit_graph import CommitGraph, Later
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.gitobjects import GitObjects
from ckanext.mlops.core.matches import Bracket, State
from ckanext.mlops.core.mirror import known_mirror
from ckanext.mlops.core.records import to_dict
from ckanext.mlops.core.repository import commit_graph, read_commits
from ckanext.mlops.harvesting import repositories
from ckanext.mlops.model import Run
from ckanext.mlops.model import mlflow as facts

log = logging.getLogger(__name__)


@dataclass
class Mirror:
    """A repository that was harvested, as our disk has it."""

    source_id: str
    git_dir: Path
    url: str
    graph: CommitGraph
    states: dict[str, State] = field(default_factory=dict)


class Mirrors:
    """What the mirrors of the harvest sources say about commits; each commit is read once."""

    def __init__(self, session: Session, source_ids: Collection[str] | None = None) -> None:
        self.versions: dict[str, dict[str, Any]] = {}
        self.all: list[Mirror] = []
        #: (commit, script) → when its finished runs ended, sorted; of the commits in ``_read_ends``.
        self.ends: dict[tuple[str, str], list[float]] = {}
        self._read_ends: set[str] = set()
        query = sa.select(HarvestSource.id, HarvestSource.url).where(
            HarvestSource.type == "dvc", HarvestSource.active.is_(True)
        )
        if source_ids is not None:
            query = query.where(HarvestSource.id.in_(list(source_ids)))
        seen: set[Path] = set()
        for row in session.execute(query.order_by(HarvestSource.id)):
            mirror = self._open(row.id, row.url.strip())
            if mirror and mirror.git_dir not in seen:
                seen.add(mirror.git_dir)
                self.all.append(mirror)

    @property
    def looked_at(self) -> set[str]:
        """Keys of the repositories that could be read."""
        return {naming.repository_key(mirror.url) for mirror in self.all}

    def digest(self, source_id: str) -> str:
        """Of the references of a source's mirror; ``""`` when there is none."""
        for mirror in self.all:
            if mirror.source_id == source_id:
                with GitObjects(mirror.git_dir) as objects:
                    lines = "\n".join(f"{ref.oid} {ref.name}" for ref in objects.refs(["refs"]))
                return hashlib.sha256(lines.encode("utf-8", "replace")).hexdigest()
        return ""

    def _open(self, source_id: str, url: str) -> Mirror | None:
        try:
            known = known_mirror(url, repositories.mirrors(), policy=repositories.policy())
            return Mirror(source_id, *known, commit_graph(known[0])) if known else None
        except MlopsError as error:
            log.warning("MLflow links: %s", error)
            return None

    def brackets(self, session: Session, rows: Sequence[Run]) -> dict[tuple[str, str], list[Bracket]]:
        """For each run, the commit that it names in every repository that has it, and what came later."""
        found: dict[tuple[str, str], list[Bracket]] = {}
        self._ends(session, rows)
        for mirror in self.all:
            around: dict[tuple[str, str], tuple[Run, int, Later]] = {}
            for row in rows:
                if row.git_commit and row.git_commit in mirror.graph:
                    end = int(_timestamp(row.ended)) if row.ended else 0
                    # A run that has no end yet has nothing after it.
                    later = mirror.graph.later(row.git_commit, end or 2**62)
                    around[row.server, row.run_id] = (row, end, later)
            needed = {row.git_commit for row, _, _ in around.values()}
            needed |= {oid for _, _, later in around.values() for oid in (*later.passed, *later.first)}
            self._read(mirror, {oid for oid in needed if oid} - mirror.states.keys())
            for key, (row, end, later) in around.items():
                oids = sorted((*later.passed, *later.first), key=lambda oid: mirror.graph.times.get(oid, 0))
                states = [mirror.states[oid] for oid in oids if oid in mirror.states]
                at = mirror.states.get(row.git_commit or "")
                if at is None:
                    continue
                whole = bool(end and later.first and later.whole) and len(states) == len(oids)
                first = min((mirror.graph.times[oid] for oid in later.first), default=0)
                found.setdefault(key, []).append(
                    Bracket(
                        naming.repository_key(mirror.url),
                        naming.repository_name(mirror.url),
                        at,
                        tuple(states),
                        whole,
                        self._followed(row, first),
                    )
                )
        return found

    def _read(self, mirror: Mirror, oids: Collection[str]) -> None:
        if not oids:
            return
        for snapshot in read_commits(mirror.git_dir, url=mirror.url, commits=sorted(oids)):
            if not snapshot.complete:
                continue
            stages = {stage.address: stage for stage in snapshot.stages}
            ids = {}
            for address, stage in stages.items():
                guid, name = naming.dataset_guid(mirror.url, address), digest(stage)
                ids[address] = (naming.package_id(guid), naming.version_id(guid, name))
                revision = snapshot.revisions[0]
                self.versions[ids[address][1]] = {
                    "id": ids[address][1],
                    "package_id": ids[address][0],
                    "digest": name,
                    "commit": revision.commit,
                    "committed": revision.date,
                    "author": text.line(revision.author, 200),
                    "message": text.paragraph(revision.message, 2000),
                    "facts": text.plain(to_dict(stage)),
                }
            for revision in snapshot.revisions:
                time = mirror.graph.times.get(revision.commit, 0)
                mirror.states[revision.commit] = State(revision.commit, time, stages, ids)

    def _ends(self, session: Session, rows: Sequence[Run]) -> None:
        """Learn when the finished runs of the rows' commits ended, those of each commit once."""
        commits = {row.git_commit for row in rows if row.git_commit} - self._read_ends
        commits = {commit for commit in commits if any(commit in mirror.graph for mirror in self.all)}
        if not commits:
            return
        script = Run.facts["tags"]["mlflow.source.name"].astext
        query = sa.select(Run.git_commit, script, Run.ended).where(
            Run.git_commit.in_(commits),
            Run.lifecycle_stage != facts.GONE,
            Run.status == "FINISHED",
            Run.ended.is_not(None),
        )
        for commit, name, ended in session.execute(query.order_by(Run.ended)):
            self.ends.setdefault((commit or "", name or ""), []).append(_timestamp(ended))
        self._read_ends |= commits

    def _followed(self, row: Run, first: int) -> bool:
        """Whether a later run of the same script began at the same commit and ended before the next commit."""
        if row.ended is None:
            return False
        script = (row.facts.get("tags") or {}).get("mlflow.source.name", "")
        ends, own = self.ends.get((row.git_commit or "", script), []), _timestamp(row.ended)
        later = (bisect_right(ends, first) if first else len(ends)) - bisect_left(ends, own)
        # The run itself is among them.
        return later > (row.status == "FINISHED")


def _timestamp(moment: datetime.datetime) -> float:
    """Seconds since 1970 of a naive UTC time."""
    return moment.replace(tzinfo=datetime.UTC).timestamp()
