"""What a result of a search tells at a glance, for all datasets of a page in one statement.

Two more for each step that any of them goes on from under another address.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from ckan.types import Context

from ckanext.mlops.core import naming
from ckanext.mlops.logic.versions import before
from ckanext.mlops.model.tables import Edge, Link, Version
from ckanext.mlops.model.transfers import Content
from ckanext.mlops.search.facts import numbers_named


@dataclass(frozen=True)
class Card:
    """Of one dataset.

    :param repository: short name; ``""`` for a dataset of no repository
    :param size: bytes of all files whose size is known; None when none is
    :param rows: of the tables among its files that a worker looked into; None where none is known. They are at least
        so many where ``all_rows`` is False
    :param versions: with those of the datasets that it goes on from, as far as the reader may see them
    :param newest: when its newest version was committed, naive UTC
    :param used_by: datasets that were made from it, those that the reader may not see included: a number, no names
    :param runs: MLflow runs that are linked to it
    :param numbers: metrics and params of the current version that were asked for, by the name that was asked for
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
    numbers: tuple[tuple[str, float], ...] = ()


def cards(context: Context, packages: Iterable[Mapping[str, Any]], numbers: Sequence[str] = ()) -> dict[str, Card]:
    """Package id → card, for package dicts that the user of ``context`` may see.

    :param numbers: names of metrics and params whose values are told, too
    """
    found = {str(package["id"]): package for package in packages}
    if not found:
        return {}
    older = before(context, {key: str(each.get("dvc_moved_from") or "") for key, each in found.items()})
    chains = [(key, one) for key, chain in older.items() for one in (key, *(str(each.id) for each in chain))]
    files = [
        (key, str(each.get("dvc_path") or ""), str(each["hash"]))
        for key, package in found.items()
        if package.get("data_access") != "on_request"  # of these files nothing is told
        for each in package.get("resources") or ()
        if isinstance(each, dict) and each.get("hash")
    ]
    given = {"ids": sorted(found)}
    for name, rows in (("chain", chains), ("file", files)):
        given |= {f"{name}_{number}": [row[number] for row in rows] for number in range(len(_GIVEN[name]))}
    rows = context["session"]().execute(_statement(bool(numbers)), given)
    return {row.value: _card(found[row.value], row, numbers) for row in rows}


#: What the statement is given beside the ids: columns of rows.
_GIVEN = {"chain": ("newest", "package_id"), "file": ("package_id", "path", "hash")}


@cache
def _statement(numbers: bool) -> sa.Select[Any]:
    """One row for each of ``ids``, with the metrics and params of its current version where ``numbers`` are wanted."""
    given = sa.func.unnest(_parameter("ids")).table_valued("value").render_derived(name="given")
    versions = sa.select(sa.func.count().label("versions"), sa.func.max(Version.committed).label("newest")).where(
        (chains := _given("chain")).c.newest == given.c.value, Version.package_id == chains.c.package_id
    )
    uses = sa.select(sa.func.count(Edge.downstream_dataset.distinct()).label("used_by")).where(
        Edge.upstream_dataset == given.c.value, Edge.current, Edge.downstream_dataset != given.c.value
    )
    runs = sa.select(sa.func.count(sa.distinct(sa.tuple_(Link.server, Link.target))).label("runs")).where(
        Link.package_id == given.c.value, Link.kind == "run"
    )
    parts = [each.lateral() for each in (versions, uses, runs, _tables(given.c.value))]
    if numbers:
        parts.append(_values(given.c.value).lateral())
    source: Any = given
    for part in parts:
        source = source.outerjoin(part, sa.true())
    return sa.select(given.c.value, *(column for part in parts for column in part.c)).select_from(source)


def _values(package_id: sa.ColumnElement[str]) -> sa.Select[Any]:
    """Metrics and params of a dataset's current version; no row where it has none."""
    columns = (Version.facts[name].label(name) for name in ("metrics", "params"))
    return sa.select(*columns).where(Version.package_id == package_id, Version.current).limit(1)


def _tables(package_id: sa.ColumnElement[str]) -> sa.Select[Any]:
    """Rows of a dataset's tables as they are now."""
    now = _given("file")
    rows = Content.profile["rows"].as_integer()
    complete = sa.func.coalesce(Content.profile["complete"].as_boolean(), sa.false())
    return sa.select(sa.func.sum(rows).label("rows"), sa.func.bool_and(complete).label("all_rows")).where(
        Content.package_id == package_id,
        sa.tuple_(Content.package_id, Content.path, Content.hash).in_(
            sa.select(now.c.package_id, now.c.path, now.c.hash)
        ),
        Content.profile["kind"].astext == "table",
        rows.is_not(None),
    )


def _given(name: str) -> sa.TableValuedAlias:
    """Rows that the statement is given."""
    columns = _GIVEN[name]
    parameters = [_parameter(f"{name}_{number}") for number in range(len(columns))]
    return sa.func.unnest(*parameters).table_valued(*columns).render_derived(name=f"given_{name}")


def _parameter(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.ARRAY(sa.UnicodeText))


def _card(package: Mapping[str, Any], known: sa.Row[Any], numbers: Sequence[str]) -> Card:
    resources = [each for each in package.get("resources") or () if isinstance(each, dict)]
    sizes = [each["size"] for each in resources if isinstance(each.get("size"), int)]
    address = str(package.get("dvc_repository") or "")
    return Card(
        repository=naming.repository_name(address) if address else "",
        stage=str(package.get("dvc_stage") or ""),
        files=len(resources),
        size=sum(sizes) if sizes else None,
        rows=None if known.rows is None else int(known.rows),
        all_rows=known.all_rows is not False,
        versions=known.versions,
        newest=known.newest,
        used_by=known.used_by,
        runs=known.runs,
        retired=bool(package.get("dvc_retired")),
        numbers=tuple(numbers_named(known.metrics, known.params, numbers)) if numbers else (),
    )
