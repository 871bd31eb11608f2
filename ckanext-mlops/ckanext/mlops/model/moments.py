"""Points in time: which state of a dataset a branch, tag, commit, version or date shows, as SQL.

In the repository that knows the ref, that is the version with the ref. What other repositories had then is the newest
version that was committed by the date of the ref's commit. Edges that belong to no version always hold: a person said
them of the dataset as a whole.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckanext.harvest.model import HarvestObject
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from ckanext.mlops.core import naming
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Edge, Revision, Version
from ckanext.mlops.model.versions import naive_utc

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_HOLDS_NOW = Edge.current.is_(True)
# Evidence of edges that hold only where the upstream had the file at that time.
_INSIDE = ("locked", "declared", "content")


@dataclass(frozen=True)
class Moment:
    """A point in time.

    :param kind: ``branch``, ``tag``, ``experiment``, ``commit``, ``version`` or ``date``
    :param ref: name of the branch, tag or experiment, id of the commit or version, or the date as given
    :param date: of the commit; naive UTC
    :param repository: URL of the repository that knows the ref; ``""`` for a date
    :param shown: what an entry of ``refs`` of the versions there has; empty when only the date tells
    :param pinned: (dataset, version) that was asked for itself
    """

    kind: str
    ref: str
    commit: str = ""
    date: datetime.datetime | None = None
    repository: str = ""
    shown: tuple[tuple[str, str], ...] = ()
    pinned: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As answers give it."""
        date = None if self.date is None else self.date.replace(microsecond=0).isoformat() + "Z"
        return {"ref": self.ref, "kind": self.kind, "commit": self.commit, "date": date}


def version_of(moment: Moment | None, package: Any) -> sa.ColumnElement[str]:
    """Id of the version that the dataset with the id ``package`` (a column) shows; NULL for none."""
    version = aliased(Version)
    own = sa.select(version.id).where(version.package_id == package).limit(1).correlate_except(version)
    if moment is None:
        return own.where(version.current).scalar_subquery()
    newest = (version.committed.desc().nulls_last(), version.position.desc())
    # A commit without a date says nothing of other repositories: what they show now is the best guess.
    then = version.current if moment.date is None else version.committed <= moment.date
    found: Any = own.where(then).order_by(*newest).scalar_subquery()
    if moment.shown:
        there = aliased(model.Package)
        repository = sa.select(there.extras["dvc_repository"].astext).where(there.id == package)
        refs = own.where(version.refs.contains([dict(moment.shown)])).order_by(version.position.desc())
        found = sa.case(
            (repository.correlate_except(there).scalar_subquery() == moment.repository, refs.scalar_subquery()),
            else_=found,
        )
    if moment.pinned:
        found = sa.case((package == moment.pinned[0], moment.pinned[1]), else_=found)
    return found


def holds(moment: Moment | None) -> sa.ColumnElement[bool]:
    """Whether a row of :class:`Edge` is part of the graph at that moment."""
    if moment is None:
        return _HOLDS_NOW
    writer = aliased(Version)
    outs = sa.func.jsonb_build_object(
        "outs", sa.func.jsonb_build_array(sa.func.jsonb_build_object("path", output_of_edge()))
    )
    written = sa.exists().where(
        writer.id == version_of(moment, Edge.upstream_dataset),
        sa.or_(Edge.upstream_resource.is_(None), writer.facts.op("@>")(sa.cast(outs, JSONB))),
    )
    any_version = aliased(Version)
    uploaded = sa.and_(
        Edge.evidence["kind"].astext == "content",
        ~sa.exists().where(any_version.package_id == Edge.upstream_dataset).correlate(Edge),
    )
    return sa.or_(
        Edge.version_id.is_(None),
        sa.and_(
            Edge.version_id == version_of(moment, Edge.downstream_dataset),
            sa.or_(Edge.evidence["kind"].astext.not_in(_INSIDE), written.correlate(Edge), uploaded),
        ),
    )


def output_of_edge() -> sa.ColumnElement[str]:
    """Path of the upstream's output that an edge reads: where it differs from the input's path, the evidence has it."""
    return sa.func.coalesce(Edge.evidence["output"].astext, Edge.path)


def seen_by(package_ids: Collection[str]) -> sa.ColumnElement[bool]:
    """Whether a :class:`Revision` is of a source that one of these datasets is of: a field alone tells no history."""
    return Revision.source_id.in_(_sources(package_ids))


def _sources(package_ids: Collection[str]) -> sa.Select[Any]:
    return sa.select(HarvestObject.harvest_source_id).where(
        HarvestObject.package_id == sa.any_(texts(package_ids)), HarvestObject.current
    )


def find(session: Session, text: str, repository: str, package_ids: Collection[str]) -> Moment | None:
    """The moment that ``text`` means in the repository of that URL: a tag, branch, experiment, commit, version or date.

    None when there is none. A name that several have means the tag first, as Git has it.

    :param package_ids: of datasets of that repository: their sources know its refs
    """
    order = sa.case({"tag": 0, "branch": 1, "experiment": 2}, value=Revision.kind, else_=3)
    if repository:
        known = sa.select(Revision).where(
            Revision.repository == naming.repository_slug(repository), seen_by(package_ids)
        )
        row = session.scalars(known.where(Revision.name == text).order_by(order, Revision.position.desc())).first()
        if row is not None:
            return _of_revision(row, repository)
        if _COMMIT.fullmatch(text.lower()):
            row = session.scalars(
                known.where(Revision.commit.startswith(text.lower())).order_by(order, Revision.position.desc())
            ).first()
            if row is not None:
                return replace(_of_revision(row, repository), kind="commit", ref=row.commit)
    version = session.get(Version, text)
    if version is not None:
        return _of_version(session, version)
    if repository and _COMMIT.fullmatch(text.lower()):
        row = _version_at_commit(session, text.lower(), package_ids)
        if row is not None:
            return Moment("commit", row.commit, row.commit, row.committed)
    return _of_date(text)


def _of_revision(row: Revision, repository: str) -> Moment:
    shown = (("kind", row.kind), ("name", row.name))
    return Moment(row.kind, row.name, row.commit, row.committed, repository, shown)


def _of_version(session: Session, version: Version) -> Moment:
    pinned = (version.package_id, version.id)
    package = session.get(model.Package, version.package_id)
    repository = str((package.extras or {}).get("dvc_repository") or "") if package else ""
    ref = next((ref for ref in version.refs if ref.get("kind") in ("branch", "tag", "experiment", "commit")), None)
    if ref is None or not repository:
        return Moment("version", version.id, version.commit, version.committed, pinned=pinned)
    shown = (("kind", ref["kind"]), ("name", ref["name"]))
    return Moment("version", version.id, version.commit, version.committed, repository, shown, pinned)


def _version_at_commit(session: Session, commit: str, package_ids: Collection[str]) -> Version | None:
    beside = sa.select(HarvestObject.package_id).where(
        HarvestObject.current, HarvestObject.harvest_source_id.in_(_sources(package_ids))
    )
    mine = sa.or_(Version.package_id == sa.any_(texts(package_ids)), Version.package_id.in_(beside))
    query = sa.select(Version).where(mine, Version.commit.startswith(commit))
    return session.scalars(query.order_by(Version.committed.desc().nulls_last(), Version.id).limit(1)).first()


def _of_date(text: str) -> Moment | None:
    if not _DATE.match(text):
        return None
    try:
        moment = naive_utc(datetime.datetime.fromisoformat(text))
    except ValueError:
        return None
    if moment is not None and len(text) == len("2019-09-02"):
        moment += datetime.timedelta(days=1, microseconds=-1)
    return Moment("date", text, date=moment)
