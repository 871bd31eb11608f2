"""What a result of a search tells at a glance, for all datasets of a page in four statements."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Edge, Link, Version
from ckanext.mlops.model.transfers import Content


@dataclass(frozen=True)
class Card:
    """Of one dataset.

    :param repository: short name; ``""`` for a dataset of no repository
    :param size: bytes of all files whose size is known; None when none is
    :param rows: of the tables among its files that a worker looked into; None where none is known. They are at least
        so many where ``all_rows`` is False
    :param newest: when its newest version was committed, naive UTC
    :param used_by: datasets that were made from it, those that the reader may not see included: a number, no names
    :param runs: MLflow runs that are linked to it
    """

    repository: str = ""
    stage: str = ""
    files: int = 0
    size: int | None = None
    rows: int | None = None
    all_rows: bool = True
    versions: int = 0
    newest: datetime.datetime | None = None
    used_by: int = 0
    runs: int = 0
    retired: bool = False


def cards(session: Session, packages: Iterable[Mapping[str, Any]]) -> dict[str, Card]:
    """Package id → card, for package dicts."""
    found = {str(package["id"]): package for package in packages}
    ids = texts(found)
    versions = _by_package(
        session,
        sa.select(Version.package_id, sa.func.count().label("number"), sa.func.max(Version.committed).label("newest"))
        .where(Version.package_id == sa.any_(ids))
        .group_by(Version.package_id),
    )
    uses = _by_package(
        session,
        sa.select(
            Edge.upstream_dataset.label("package_id"), sa.func.count(Edge.downstream_dataset.distinct()).label("number")
        )
        .where(Edge.upstream_dataset == sa.any_(ids), Edge.current, Edge.downstream_dataset != Edge.upstream_dataset)
        .group_by(Edge.upstream_dataset),
    )
    runs = _by_package(
        session,
        sa.select(Link.package_id, sa.func.count(sa.distinct(sa.tuple_(Link.server, Link.target))).label("number"))
        .where(Link.package_id == sa.any_(ids), Link.kind == "run")
        .group_by(Link.package_id),
    )
    tables = _tables(session, found)
    return {
        key: _card(package, versions.get(key), uses.get(key), runs.get(key), tables.get(key))
        for key, package in found.items()
    }


def _by_package(session: Session, statement: sa.Select[Any]) -> dict[str, sa.Row[Any]]:
    return {row.package_id: row for row in session.execute(statement)}


def _tables(session: Session, packages: Mapping[str, Mapping[str, Any]]) -> dict[str, sa.Row[Any]]:
    """Rows of the tables as they are now. Of files that are given on request nothing is told."""
    hashes = {
        str(each.get("hash"))
        for package in packages.values()
        if package.get("data_access") != "on_request"
        for each in package.get("resources") or ()
        if isinstance(each, dict) and each.get("hash")
    }
    if not hashes:
        return {}
    told = [key for key, package in packages.items() if package.get("data_access") != "on_request"]
    rows = Content.profile["rows"].as_integer()
    return _by_package(
        session,
        sa.select(
            Content.package_id,
            sa.func.sum(rows).label("number"),
            sa.func.bool_and(sa.func.coalesce(Content.profile["complete"].as_boolean(), sa.false())).label("complete"),
        )
        .where(
            Content.package_id == sa.any_(texts(told)),
            Content.hash == sa.any_(texts(hashes)),
            Content.profile["kind"].astext == "table",
            rows.is_not(None),
        )
        .group_by(Content.package_id),
    )


def _card(
    package: Mapping[str, Any],
    versions: sa.Row[Any] | None,
    uses: sa.Row[Any] | None,
    runs: sa.Row[Any] | None,
    tables: sa.Row[Any] | None,
) -> Card:
    resources = [each for each in package.get("resources") or () if isinstance(each, dict)]
    sizes = [each["size"] for each in resources if isinstance(each.get("size"), int)]
    address = str(package.get("dvc_repository") or "")
    return Card(
        repository=naming.repository_name(address) if address else "",
        stage=str(package.get("dvc_stage") or ""),
        files=len(resources),
        size=sum(sizes) if sizes else None,
        rows=int(tables.number) if tables else None,
        all_rows=bool(tables.complete) if tables else True,
        versions=versions.number if versions else 0,
        newest=versions.newest if versions else None,
        used_by=uses.number if uses else 0,
        runs=runs.number if runs else 0,
        retired=bool(package.get("dvc_retired")),
    )
