"""Saved searches, and who was told of which version. Nothing here commits."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from ckanext.mlops.model.tables import Version, utc_now


class SavedSearch(tk.BaseModel):
    """A search that a person wants to be told of: ``query`` is that of its page's address, in one way to write it."""

    __tablename__ = "mlops_saved_search"
    __table_args__ = (sa.UniqueConstraint("user_id", "query", name="uq_mlops_saved_search"),)

    id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.UnicodeText)
    name: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    query: Mapped[str] = mapped_column(sa.UnicodeText)
    mail: Mapped[bool] = mapped_column(default=True)
    created: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class Notice(tk.BaseModel):
    """A person was told of a version, once, whatever led to it. ``search_id`` is None for a dataset that is followed.

    ``mailed`` is None as long as a mail about it is due.
    """

    __tablename__ = "mlops_notice"
    __table_args__ = (
        sa.Index("ix_mlops_notice_search", "search_id", "created"),
        sa.Index("ix_mlops_notice_package", "package_id"),
        sa.Index("ix_mlops_notice_due", "user_id", postgresql_where=sa.text("mailed IS NULL")),
    )

    user_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    version_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    package_id: Mapped[str] = mapped_column(sa.UnicodeText)
    search_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    created: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    mailed: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)


def of_user(session: Session, user_id: str) -> list[SavedSearch]:
    """A person's searches, newest first."""
    return list(
        session.scalars(
            sa.select(SavedSearch).where(SavedSearch.user_id == user_id).order_by(SavedSearch.created.desc())
        )
    )


def delete(session: Session, search: SavedSearch) -> None:
    """Forget a search. Who was told of what stays known, so that nobody is told twice."""
    session.execute(sa.update(Notice).where(Notice.search_id == search.id).values(search_id=None))
    session.delete(search)


def delete_of_packages(session: Session, package_ids: Collection[str]) -> None:
    """Forget what people were told of purged datasets."""
    session.execute(
        sa.delete(Notice).where(Notice.package_id.in_(package_ids)), execution_options={"synchronize_session": False}
    )


def any_wanted(session: Session) -> bool:
    """Whether there is anybody to tell."""
    follows = model.UserFollowingDataset
    wanted = sa.or_(sa.exists(sa.select(SavedSearch.id)), sa.exists(sa.select(follows.object_id)))
    return bool(session.scalar(sa.select(wanted)))


def new_versions(session: Session, since: datetime.datetime) -> dict[str, tuple[str, datetime.datetime]]:
    """Live dataset → id of the newest version that was first seen after then and is shown by a branch or tag, and when
    it was.
    """
    package = model.Package
    rows = session.execute(
        sa.select(Version.package_id, Version.id, Version.first_seen)
        .join(package, package.id == Version.package_id)
        .where(Version.first_seen > since, package.state == "active", Version.refs != sa.literal([], Version.refs.type))
        .distinct(Version.package_id)
        .order_by(Version.package_id, Version.position.desc())
    )
    return {row.package_id: (row.id, row.first_seen) for row in rows}


def wanting(session: Session) -> list[tuple[SavedSearch, model.User]]:
    """All searches of people who are active."""
    rows = session.execute(
        sa.select(SavedSearch, model.User)
        .join(model.User, model.User.id == SavedSearch.user_id)
        .where(model.User.state == "active")
        .order_by(SavedSearch.user_id, SavedSearch.created)
    )
    return [(search, user) for search, user in rows]


def following(session: Session, package_ids: Collection[str]) -> dict[str, dict[str, datetime.datetime]]:
    """Active person → the datasets among these that they follow, each with since when."""
    follows = model.UserFollowingDataset
    rows = session.execute(
        sa.select(follows.follower_id, follows.object_id, follows.datetime)
        .join(model.User, model.User.id == follows.follower_id)
        .where(follows.object_id.in_(list(package_ids)), model.User.state == "active")
    )
    found: dict[str, dict[str, datetime.datetime]] = {}
    for row in rows:
        found.setdefault(row.follower_id, {})[row.object_id] = row.datetime
    return found


def note(session: Session, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Note that somebody is told; the datasets of those rows of which they were not told before."""
    if not rows:
        return set()
    statement = insert(Notice).values(list(rows)).on_conflict_do_nothing().returning(Notice.package_id)
    return set(session.scalars(statement))


def latest(session: Session, search_ids: Collection[str], each: int) -> dict[str, list[Notice]]:
    """Search → what was found last for it, newest first, at most so many of each."""
    rank = sa.func.row_number().over(partition_by=Notice.search_id, order_by=(Notice.created.desc(), Notice.package_id))
    ranked = (
        sa.select(Notice.user_id, Notice.version_id, rank.label("place"))
        .where(Notice.search_id.in_(list(search_ids)))
        .subquery()
    )
    rows = session.scalars(
        sa.select(Notice)
        .join(ranked, sa.and_(Notice.user_id == ranked.c.user_id, Notice.version_id == ranked.c.version_id))
        .where(ranked.c.place <= each)
        .order_by(Notice.created.desc(), Notice.package_id)
    )
    found: dict[str, list[Notice]] = {}
    for row in rows:
        found.setdefault(str(row.search_id), []).append(row)
    return found


def due(session: Session, users: int) -> dict[str, list[Notice]]:
    """Person → notices of which a mail is due; their rows are locked, and left out where another worker has them."""
    chosen = session.scalars(sa.select(Notice.user_id).where(Notice.mailed.is_(None)).distinct().limit(users)).all()
    rows = session.scalars(
        sa.select(Notice)
        .where(Notice.user_id.in_(chosen), Notice.mailed.is_(None))
        .order_by(Notice.created, Notice.package_id)
        .with_for_update(skip_locked=True)
    )
    found: dict[str, list[Notice]] = {}
    for row in rows:
        found.setdefault(row.user_id, []).append(row)
    return found
