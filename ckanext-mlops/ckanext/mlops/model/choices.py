"""For which fields people took what Git says: what is written to and read from ``mlops_choice``. Nothing commits."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops.model.tables import Choice, utc_now

_KEY = ("package_id", "resource", "field")


def of_dataset(session: Session, package_id: str) -> dict[tuple[str, str], Choice]:
    """(resource id or ``""``, field) → the choice."""
    found = sa.select(Choice).where(Choice.package_id == package_id).execution_options(populate_existing=True)
    return {(row.resource, row.field): row for row in session.scalars(found)}


def store(session: Session, package_id: str, resource: str, field: str, **values: Any) -> None:
    """Note a choice; of two for one field the newer one stays."""
    row = {"package_id": package_id, "resource": resource, "field": field, "created": utc_now(), **values}
    statement = insert(Choice).values(row)
    changed = {key: value for key, value in row.items() if key not in _KEY}
    session.execute(statement.on_conflict_do_update(index_elements=list(_KEY), set_=changed))


def delete(session: Session, choice: Choice) -> None:
    """Forget a choice."""
    session.delete(choice)


def delete_of_packages(session: Session, package_ids: Collection[str]) -> None:
    """Forget the choices of purged datasets."""
    session.execute(
        sa.delete(Choice).where(Choice.package_id.in_(package_ids)), execution_options={"synchronize_session": False}
    )
