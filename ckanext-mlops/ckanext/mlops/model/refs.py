"""Branches and tags, as the versions of datasets show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.model import revisions
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Version


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch, tag or experiment of a repository.

    :param committed: the newest commit that a version of it was first seen at, naive UTC
    :param datasets: of those that were asked for, so many show it
    """

    name: str
    kind: str
    commit: str
    committed: datetime | None
    datasets: int


def of_datasets(session: Session, ids: Iterable[str], limit: int) -> list[Ref]:
    """The refs that show a version of one of the datasets ``ids``: tags first, newest first."""
    ids = list(ids)
    each = sa.func.jsonb_array_elements(Version.refs).table_valued("value").render_derived()
    value = each.c.value
    name, kind, commit = (value.op("->>")(key) for key in ("name", "kind", "commit"))
    newest = sa.func.max(Version.committed)
    statement = (
        sa.select(
            name.label("name"),
            kind.label("kind"),
            sa.func.max(commit).label("commit"),
            newest.label("committed"),
            sa.func.count(Version.package_id.distinct()).label("datasets"),
        )
        .select_from(Version)
        .join(each, sa.true())
        .where(Version.package_id == sa.any_(texts(ids)))
        .group_by(name, kind)
        .order_by((kind == "tag").desc(), newest.desc().nulls_last(), name)
        .limit(limit)
    )
    heads = {name: at for each in revisions.branches(session, ids).values() for name, at in each.items()}
    return [
        Ref(row.name, row.kind, row.commit or heads.get(row.name, ""), row.committed, row.datasets)
        for row in session.execute(statement)
    ]


def count_versions(session: Session, ids: Iterable[str]) -> int:
    """How many versions the datasets ``ids`` have together."""
    return session.scalar(sa.select(sa.func.count()).where(Version.package_id == sa.any_(texts(ids)))) or 0
