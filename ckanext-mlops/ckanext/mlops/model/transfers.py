"""What the portal knows of contents (are they there, what is in them), who took them, and who asks for access."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from ckan.plugins import toolkit as tk
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from ckanext.mlops.model.tables import utc_now


class Content(tk.BaseModel):
    """One content of a dataset's path: ``hash`` (or Git object id) at ``path``.

    ``state``: ``pushed``, ``missing`` or ``unknown`` (``detail`` says why) as of ``checked``. ``profile`` is what a
    worker found in a bounded sample as of ``profiled``: see :mod:`ckanext.mlops.transfers.profiles`.
    """

    __tablename__ = "mlops_content"

    package_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    path: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    hash: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    state: Mapped[str] = mapped_column(sa.UnicodeText, default="unknown")
    detail: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    checked: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    profile: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    profiled: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)


class Audit(tk.BaseModel):
    """An event that somebody may have to account for: ``download``, ``access_asked``, ``access_granted``, …"""

    __tablename__ = "mlops_audit"
    __table_args__ = (sa.Index("ix_mlops_audit_package", "package_id", "at"),)

    id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    at: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    event: Mapped[str] = mapped_column(sa.UnicodeText)
    user_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    package_id: Mapped[str] = mapped_column(sa.UnicodeText)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)


class AccessRequest(tk.BaseModel):
    """A person asks to read a dataset or to take its files; ``state``: ``open``, ``granted`` or ``denied``."""

    __tablename__ = "mlops_access_request"
    __table_args__ = (sa.Index("ix_mlops_access_request_package", "package_id", "state"),)

    id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    package_id: Mapped[str] = mapped_column(sa.UnicodeText)
    user_id: Mapped[str] = mapped_column(sa.UnicodeText)
    reason: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    state: Mapped[str] = mapped_column(sa.UnicodeText, default="open")
    asked: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    decided: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    decided_by: Mapped[str | None] = mapped_column(sa.UnicodeText)
    answer: Mapped[str] = mapped_column(sa.UnicodeText, default="")


def delete_of_packages(session: Session, package_ids: Collection[str]) -> None:
    """Forget what is known of purged datasets' contents and requests. Who took them stays known."""
    for table in (Content, AccessRequest):
        session.execute(
            sa.delete(table).where(table.package_id.in_(package_ids)), execution_options={"synchronize_session": False}
        )


def granted(session: Session, package_id: str, user_id: str) -> bool:
    """Whether the person was granted access to the dataset's files."""
    return (
        session.scalar(
            sa.select(AccessRequest.id)
            .where(
                AccessRequest.package_id == package_id,
                AccessRequest.user_id == user_id,
                AccessRequest.state == "granted",
            )
            .limit(1)
        )
        is not None
    )
