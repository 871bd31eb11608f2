"""The link store: which dataset belongs to which experiment, run or model of MLflow. Nothing here commits.

A link exists once per (dataset, server, kind, target, relation). Besides the stored links there is at most one
*declared* per dataset: its fields ``mlflow_server`` and ``mlflow_experiment`` name an experiment. The fields are the
truth of it; it is read from them, never stored twice.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.model.tables import Link

ASSERTED, INFERRED, DECLARED = "asserted", "inferred", "declared"


@dataclass(frozen=True)
class Declared:
    """The experiment that a dataset's own fields name."""

    package_id: str
    server: str
    experiment: str


def link_id(package_id: str, server: str, kind: str, target: str, relation: str) -> str:
    """Id of a link: a version-5 UUID of what tells it from every other one."""
    return str(uuid.uuid5(naming.NAMESPACE, "link:" + json.dumps([package_id, server, kind, target, relation])))


def assert_link(
    session: Session,
    *,
    package_id: str,
    server: str,
    kind: str,
    target: str,
    relation: str,
    user_id: str | None,
    version_id: str | None,
    note: str,
    now: datetime.datetime,
    resource_id: str | None = None,
) -> tuple[Link, bool]:
    """A person says so. Returns the link and whether it is new.

    A link that exists keeps its author and date, takes over ``version_id``, ``resource_id`` and ``note`` where they are
    given, and is a person's from now on. What evidence says of the same stands beside it and is no link of its own.
    """
    key = link_id(package_id, server, kind, target, relation)
    statement = insert(Link).values(
        id=key,
        package_id=package_id,
        version_id=version_id,
        resource_id=resource_id,
        server=server,
        kind=kind,
        target=target,
        relation=relation,
        note=note,
        origin=ASSERTED,
        evidence={},
        user_id=user_id,
        created=now,
    )
    created = session.execute(statement.on_conflict_do_nothing().returning(Link.id)).first() is not None
    link = session.get_one(Link, key, populate_existing=True)
    if not created:
        link.version_id = version_id or link.version_id
        link.resource_id = resource_id or link.resource_id
        link.note = note or link.note
    assume(session, link, user_id)
    return link, created


def assume(session: Session, link: Link, user_id: str | None) -> None:
    """Make a link a person's, so that nothing but evidence *beside* it is left of what was inferred for the same."""
    if link.origin != ASSERTED:
        link.origin, link.user_id, link.evidence = ASSERTED, user_id, {"found": link.evidence}
    others = sa.select(Link).where(
        Link.package_id == link.package_id,
        Link.server == link.server,
        Link.kind == link.kind,
        Link.target == link.target,
        Link.origin == INFERRED,
        Link.id != link.id,
        (Link.relation == "produced") == (link.relation == "produced"),
    )
    for other in session.scalars(others):
        link.evidence = {**link.evidence, "found": other.evidence}
        session.delete(other)


def links_of(
    session: Session, package_id: str, limit: int, offset: int, *, origin: str = "", kind: str = "", resource: str = ""
) -> tuple[int, list[Link]]:
    """How many links a dataset has, of one origin, kind and resource or of all, and a page of them, newest first."""
    where = sa.and_(
        Link.package_id == package_id,
        *((Link.origin == origin,) if origin else ()),
        *((Link.kind == kind,) if kind else ()),
        *((Link.resource_id == resource,) if resource else ()),
    )
    count = session.scalar(sa.select(sa.func.count()).select_from(Link).where(where)) or 0
    query = sa.select(Link).where(where).order_by(Link.created.desc(), Link.id).limit(limit).offset(offset)
    return count, list(session.scalars(query)) if limit else []


def contradicted(session: Session, package_id: str, limit: int) -> list[Link]:
    """Links of a dataset that something speaks against: other evidence, or what was found beside a person's word."""
    found = Link.evidence["found"]
    query = (
        sa.select(Link)
        .where(
            Link.package_id == package_id,
            sa.or_(
                Link.evidence["against"][0].astext.is_not(None),
                sa.and_(
                    found["strength"].astext == "exact",
                    Link.version_id.is_not(None),
                    found["choices"][0]["version"].astext != Link.version_id,
                ),
            ),
        )
        .order_by(Link.created.desc(), Link.id)
    )
    return list(session.scalars(query.limit(limit)))


def of_targets(session: Session, server: str, kind: str, targets: Collection[str]) -> list[Link]:
    """All links to these targets of a server."""
    query = sa.select(Link).where(Link.server == server, Link.kind == kind, Link.target.in_(list(targets)))
    return list(session.scalars(query.execution_options(populate_existing=True)))


def has_experiment(session: Session, package_id: str, server: str, experiment_id: str) -> bool:
    """Whether a link of the dataset to that experiment is stored."""
    query = sa.select(Link.id).where(
        Link.package_id == package_id,
        Link.server == server,
        Link.kind == "experiment",
        Link.target == experiment_id,
    )
    return session.execute(query.limit(1)).first() is not None


def targets(session: Session, server: str, kind: str) -> list[str]:
    """Distinct targets of all links of that kind into a server."""
    query = sa.select(Link.target).distinct().where(Link.server == server, Link.kind == kind).order_by(Link.target)
    return list(session.scalars(query))


def declared_by(package: model.Package) -> Declared | None:
    """What the dataset's fields declare."""
    return declared_in(package.id, package.extras)


def declared_in(package_id: str, fields: Any) -> Declared | None:
    """The same from a mapping that holds the fields (a package dict, or the extras of a package)."""
    server, experiment = (str(fields.get(key) or "").strip() for key in ("mlflow_server", "mlflow_experiment"))
    return Declared(package_id, server, experiment) if server and experiment else None


def all_declared(session: Session, server: str) -> list[Declared]:
    """What all datasets that are not deleted declare about a server."""
    extras = model.Package.extras
    query = sa.select(model.Package.id, extras["mlflow_server"].astext, extras["mlflow_experiment"].astext).where(
        extras["mlflow_server"].astext == server, model.Package.state != model.State.DELETED
    )
    found = (
        declared_in(package_id, {"mlflow_server": name, "mlflow_experiment": experiment})
        for package_id, name, experiment in session.execute(query)
    )
    return [item for item in found if item]


def delete_of_packages(session: Session, package_ids: Collection[str]) -> None:
    """Forget the links of purged datasets."""
    session.execute(sa.delete(Link).where(Link.package_id.in_(package_ids)))
