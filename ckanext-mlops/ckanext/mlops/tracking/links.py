"""Finds which runs used or wrote which versions of which datasets, and keeps the links of origin ``inferred`` so.

Runs after each sync (runs that changed) and after each harvest (runs whose commit or content the repository has).
:mod:`.core.matching` decides; here it is given what the tables and the mirrors know, and what it says is written. What
a person asserted is never changed, what a person removed never comes back; evidence beside it is noted.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from sqlalchemy.orm import Session

from ckanext.mlops.core import matching
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.matches import Bracket, Match
from ckanext.mlops.core.mlflow_records import Run as RunFacts
from ckanext.mlops.core.records import from_dict
from ckanext.mlops.model import Link, LinkHint, Run, link_hints, links
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.search import together
from ckanext.mlops.tracking import suggestions
from ckanext.mlops.tracking.brackets import Mirrors

log = logging.getLogger(__name__)
_BATCH = 200
_JOB_SECONDS = 4 * 3600
_OVERLAP = datetime.timedelta(minutes=15)
_BEGINNING = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 naive UTC, as CKAN stores it
Clock = Callable[[], datetime.datetime]


@dataclass
class Report:
    """What a matching did: runs looked at, links new, changed and gone, and datasets that these belong to."""

    runs: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    candidates: int = 0
    packages: set[str] = field(default_factory=set)

    def summary(self) -> str:
        """For people."""
        return (
            f"{self.runs} runs looked at: {self.added} links added, {self.changed} changed, {self.removed} removed, "
            f"{self.candidates} candidates"
        )


def after_sync(session: Session, server: str, clock: Clock = utc_now) -> Report:
    """Look at the runs of a server that changed since this was last done. Commits."""
    scope, began = f"server:{server}", clock()
    last = link_hints.mark(session, scope)
    since = _BEGINNING
    if last:
        # A change of before the last matching can have been written after it began: then these are looked at again.
        before = last.at - _OVERLAP
        since = last.at if facts.runs_digest(session, server, before, last.at) == last.mark else before
    seen = facts.runs_digest(session, server, began - _OVERLAP, began)
    report = match_runs(session, facts.runs_changed(session, server, since), clock)
    link_hints.set_mark(session, scope, seen, began)
    session.commit()
    return report


def after_harvest(session: Session, source_id: str, clock: Clock = utc_now) -> Report:
    """Look at the runs whose commit a repository has, when its references moved; and at those that name content of
    versions that are new. Commits."""
    scope, began = f"source:{source_id}", clock()
    last = link_hints.mark(session, scope)
    mirrors = Mirrors(session, [source_id])
    found: set[facts.RunKey] = set()
    moved = mirrors.digest(source_id)
    if moved and (last is None or last.mark != moved):
        for mirror in mirrors.all:
            commits = _commits_of_runs(session)
            known = [commit for commit in commits if commit in mirror.graph]
            for group in _groups(known, 1000):
                found.update(facts.runs_with_commits(session, group))
    packages = list(
        session.scalars(
            sa.text("SELECT DISTINCT package_id FROM harvest_object WHERE harvest_source_id = :id AND current"),
            {"id": source_id},
        )
    )
    since = last.at - _OVERLAP if last else None
    for hashes in _groups(link_hints.hashes_seen_since(session, packages, since), 1000):
        found.update(facts.runs_with_hashes(session, hashes))
    report = match_runs(session, sorted(found), clock)
    link_hints.set_mark(session, scope, moved, began)
    session.commit()
    return report


def job_after_harvest(source_id: str) -> None:
    """:func:`after_harvest` in a job worker."""
    try:
        log.info("%s", after_harvest(model.Session(), source_id).summary())
    finally:
        model.Session.remove()


def enqueue_after_harvest(source_id: str) -> None:
    """Let a worker look at the runs of a source that was harvested."""
    tk.enqueue_job(
        job_after_harvest, [source_id], title="MLflow links of a harvest source", rq_kwargs={"timeout": _JOB_SECONDS}
    )


def match_runs(session: Session, found: Sequence[facts.RunKey], clock: Clock = utc_now) -> Report:
    """Match these runs and write what follows; commits batch by batch."""
    report = Report()
    # Without a commit no repository is asked.
    mirrors = Mirrors(session, None if any(key.has_commit for key in found) else ())
    for group in _groups(found, _BATCH):
        rows = list(facts.runs(session, [key[:2] for key in group]).values())
        _match_batch(session, rows, mirrors, clock(), report)
        session.commit()
    _index(report.packages)
    return report


def _match_batch(
    session: Session, rows: Sequence[Run], mirrors: Mirrors, now: datetime.datetime, report: Report
) -> None:
    content = link_hints.places_of_hashes(session, {each for row in rows for each in row.hashes} - matching.EMPTY)
    stored = link_hints.places_of_addresses(session, {uri for row in rows for uri in row.sources})
    brackets = mirrors.brackets(session, rows)
    matches: dict[tuple[str, str], list[Match]] = {}
    for row in rows:
        key = (row.server, row.run_id)
        around = brackets.get(key, [])
        clues = around or not content.keys().isdisjoint(row.hashes) or not stored.keys().isdisjoint(row.sources)
        matches[key] = matching.match(from_dict(RunFacts, row.facts), around, content, stored) if clues else []
    ids = {one.dataset for found in matches.values() for one in found}
    live = set(
        session.scalars(sa.select(model.Package.id).where(model.Package.id.in_(ids), model.Package.state == "active"))
    )
    kept = {key: [one for one in found if one.dataset in live] for key, found in matches.items()}
    wanted = {choice.version for found in kept.values() for one in found for choice in one.choices if choice.version}
    link_hints.add_versions(session, [row for id_, row in mirrors.versions.items() if id_ in wanted], now)
    writer = _Writer(session, now, report, mirrors.looked_at)
    for server in dict.fromkeys(row.server for row in rows):
        writer.write(server, {key[1]: found for key, found in kept.items() if key[0] == server}, brackets)
    nameless = [row for row in rows if not kept[row.server, row.run_id]]
    suggestions.suggest(session, nameless, now)
    report.runs += len(rows)


class _Writer:
    """Brings the stored links of runs in line with what was found."""

    def __init__(self, session: Session, now: datetime.datetime, report: Report, looked_at: Collection[str]) -> None:
        self.session, self.now, self.report, self.looked_at = session, now, report, looked_at

    def write(self, server: str, found: dict[str, list[Match]], brackets: dict[tuple[str, str], list[Bracket]]) -> None:
        stored: dict[str, list[Link]] = {}
        for link in links.of_targets(self.session, server, "run", found):
            stored.setdefault(link.target, []).append(link)
        hinted: dict[str, list[LinkHint]] = {}
        for hint in link_hints.of_targets(self.session, server, "run", found):
            hinted.setdefault(hint.target, []).append(hint)
        for run_id, matches in found.items():
            around = brackets.get((server, run_id), [])
            self._run(server, run_id, matches, around, stored.get(run_id, []), hinted.get(run_id, []))

    def _run(
        self,
        server: str,
        run_id: str,
        matches: list[Match],
        around: list[Bracket],
        stored: list[Link],
        hinted: list[LinkHint],
    ) -> None:
        dismissed = {(hint.package_id, hint.relation) for hint in hinted if hint.state == link_hints.DISMISSED}
        asserted = [link for link in stored if link.origin == links.ASSERTED]
        inferred = {link.id: link for link in stored if link.origin == links.INFERRED}
        hints = {hint.id: hint for hint in hinted if hint.state == link_hints.CANDIDATE}
        for one in matches:
            evidence = evidence_of(one, around)
            said = [
                link
                for link in asserted
                if link.package_id == one.dataset and (link.relation == "produced") == (one.relation == "produced")
            ]
            for link in said:
                self._beside(link, evidence)
            if said or (one.dataset, one.relation) in dismissed:
                continue
            key = links.link_id(one.dataset, server, "run", run_id, one.relation)
            values: dict[str, Any] = {"package_id": one.dataset, "server": server, "kind": "run", "target": run_id}
            values |= {"relation": one.relation, "evidence": evidence}
            if one.strength == "doubtful":
                self._hint(hints.pop(key, None), key, values)
            else:
                self._link(inferred.pop(key, None), key, values | {"version_id": one.version or None})
        for link in inferred.values():
            # Without its repository nobody can tell whether the evidence still holds.
            if link.evidence.get("rung") != "commit" or link.evidence.get("repository") in self.looked_at:
                self.session.delete(link)
                self.report.removed += 1
                self.report.packages.add(link.package_id)
        for hint in hints.values():
            self.session.delete(hint)

    def _beside(self, link: Link, evidence: dict[str, Any]) -> None:
        if link.evidence.get("found") != evidence:
            link.evidence = {**link.evidence, "found": evidence}
            self.report.changed += 1

    def _link(self, link: Link | None, key: str, values: dict[str, Any]) -> None:
        if link is None:
            self.session.add(Link(id=key, origin=links.INFERRED, note="", created=self.now, **values))
            self.report.added += 1
        elif link.evidence == values["evidence"] and link.version_id == values["version_id"]:
            return
        else:
            link.evidence, link.version_id = values["evidence"], values["version_id"]
            self.report.changed += 1
        self.report.packages.add(values["package_id"])

    def _hint(self, hint: LinkHint | None, key: str, values: dict[str, Any]) -> None:
        self.report.candidates += 1
        if hint is None:
            self.session.add(LinkHint(id=key, state=link_hints.CANDIDATE, created=self.now, **values))
        elif hint.evidence != values["evidence"]:
            hint.evidence = values["evidence"]


def evidence_of(one: Match, around: Sequence[Bracket]) -> dict[str, Any]:
    """What a link keeps of why it is believed."""
    own = next((each for each in around if any(owner == one.dataset for owner, _ in each.at.ids.values())), None)
    found = {
        "rung": one.rung,
        "strength": one.strength,
        "why": list(one.why),
        "against": list(one.against),
        "choices": [asdict(choice) for choice in one.choices],
    }
    return found | ({"repository": own.repository, "commit": own.at.commit} if own and one.rung == "commit" else {})


def _commits_of_runs(session: Session) -> list[str]:
    query = sa.select(Run.git_commit).distinct().where(Run.git_commit.is_not(None), Run.lifecycle_stage != facts.GONE)
    return [commit for commit in session.scalars(query) if commit]


def _index(package_ids: Collection[str]) -> None:
    """The search knows of links, too."""
    for group in _groups(sorted(package_ids), 100):
        try:
            together.index_together(group)
        except MlopsError as error:
            log.warning("MLflow links: %d datasets were not indexed: %s", len(group), error)


def _groups(items: Iterable[Any], size: int) -> Iterable[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
