"""The version store: what is written to and read from ``mlops_version``. Nothing here commits."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops.model.tables import Version, utc_now

_BATCH = 500
_UNSYNCHRONIZED = {"synchronize_session": False}
_GIVEN = ("package_id", "digest", "commit", "committed", "author", "message", "refs", "facts", "current", "position")
_NEWEST_FIRST = (Version.committed.desc().nulls_last(), Version.position.desc(), Version.id)


def store(
    session: Session, package_id: str, rows: Sequence[Mapping[str, Any]], now: datetime.datetime | None = None
) -> None:
    """Make the versions of a dataset equal to ``rows``; doing it twice changes nothing but ``last_seen``.

    :param rows: the keys ``id``, ``digest``, ``commit``, ``committed`` (datetime, ISO 8601 text, or empty), ``author``,
        ``message``, ``refs``, ``facts``, ``current`` and ``position``
    :param now: naive UTC

    A version that is there already keeps its ``first_seen``. One that is not given stays, for what it says about the
    past, but has no ``refs`` and is not ``current``.
    """
    store_all(session, {package_id: rows}, now)


def store_all(
    session: Session, datasets: Mapping[str, Sequence[Mapping[str, Any]]], now: datetime.datetime | None = None
) -> None:
    """:func:`store` for many datasets at once: package id → rows."""
    now = now or utc_now()
    values = {row["id"]: _values(package_id, row, now) for package_id, rows in datasets.items() for row in rows}
    session.execute(
        sa.update(Version)
        .where(
            Version.package_id == sa.any_(sa.literal(sorted(datasets), sa.ARRAY(sa.UnicodeText))),
            Version.id != sa.all_(sa.literal(sorted(values), sa.ARRAY(sa.UnicodeText))),
            sa.or_(Version.current, Version.refs != sa.literal([], Version.refs.type)),
        )
        .values(current=False, refs=[]),
        execution_options=_UNSYNCHRONIZED,
    )
    statement = insert(Version.__table__)
    statement = statement.on_conflict_do_update(
        index_elements=["id"], set_={name: statement.excluded[name] for name in (*_GIVEN, "last_seen")}
    )
    ids = sorted(values)
    for start in range(0, len(ids), _BATCH):
        session.execute(statement, [values[each] for each in ids[start : start + _BATCH]])
    session.flush()


def refs(session: Session, package_ids: Sequence[str]) -> dict[str, dict[str, list[dict[str, str]]]]:
    """Package id → version id → the branches and tags that show it, where there are any."""
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    if package_ids:
        shown = sa.and_(Version.package_id.in_(package_ids), Version.refs != sa.literal([], Version.refs.type))
        for row in session.execute(sa.select(Version.package_id, Version.id, Version.refs).where(shown)):
            found.setdefault(row.package_id, {})[row.id] = row.refs
    return found


def page(session: Session, package_ids: Sequence[str], limit: int, offset: int = 0) -> list[Version]:
    """Versions of a dataset, or of all in a chain, newest first by commit date."""
    query = sa.select(Version).where(Version.package_id.in_(package_ids)).order_by(*_NEWEST_FIRST)
    return list(session.scalars(query.limit(limit).offset(offset).execution_options(populate_existing=True)))


def count(session: Session, package_ids: Sequence[str]) -> int:
    """How many versions the datasets of a chain have."""
    return session.scalar(sa.select(sa.func.count()).where(Version.package_id.in_(package_ids))) or 0


def current(session: Session, package_id: str) -> Version | None:
    """The dataset's current version; None when it has none."""
    query = sa.select(Version).where(Version.package_id == package_id, Version.current)
    return session.scalars(query.order_by(Version.position.desc()).limit(1)).first()


def before(session: Session, version: Version, package_ids: Sequence[str]) -> Version | None:
    """The next older version among those of the datasets of a chain."""
    order = sa.func.lead(Version.id).over(order_by=_NEWEST_FIRST).label("older")
    pairs = sa.select(Version.id, order).where(Version.package_id.in_(package_ids)).subquery()
    older = session.scalar(sa.select(pairs.c.older).where(pairs.c.id == version.id))
    return None if older is None else session.get(Version, older)


def delete_of_packages(session: Session, package_ids: Collection[str]) -> None:
    """Forget the versions of purged datasets."""
    session.execute(sa.delete(Version).where(Version.package_id.in_(package_ids)), execution_options=_UNSYNCHRONIZED)


def _values(package_id: str, row: Mapping[str, Any], now: datetime.datetime) -> dict[str, Any]:
    return {
        "id": row["id"],
        "package_id": package_id,
        "digest": row["digest"],
        "commit": row["commit"],
        "committed": naive_utc(row.get("committed")),
        "author": row.get("author") or "",
        "message": row.get("message") or "",
        "refs": list(row.get("refs") or ()),
        "facts": dict(row.get("facts") or {}),
        "current": bool(row.get("current")),
        "position": int(row.get("position") or 0),
        "first_seen": now,
        "last_seen": now,
    }


def naive_utc(moment: datetime.datetime | str | None) -> datetime.datetime | None:
    """A moment as CKAN stores it; None for none."""
    if not moment:
        return None
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment)
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)
