"""What is known of contents: is it pushed, what is in it. Nothing here commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import defer

from ckanext.mlops.model.transfers import Content

Key = tuple[str, str]


def key(out: Mapping[str, Any]) -> str:
    """What tells a content of a path from another: its hash, Git's object id, or the storage's version."""
    return str(out.get("hash") or out.get("blob") or out.get("version_id") or "")


def rows(package_id: str, keys: Iterable[Key], *, profiles: bool = True) -> dict[Key, Content]:
    """(path, hash) → the row, of those that there are.

    :param profiles: False leaves out what is in the files, which is most of a row
    """
    wanted = list(keys)
    if not wanted:
        return {}
    query = sa.select(Content).where(
        Content.package_id == package_id, sa.tuple_(Content.path, Content.hash).in_(wanted)
    )
    if not profiles:
        query = query.options(defer(Content.profile, raiseload=True))
    found = model.Session.scalars(query.execution_options(populate_existing=True))
    return {(each.path, each.hash): each for each in found}


def state(row: Content | None) -> dict[str, Any] | None:
    """``state``, ``detail`` and ``checked`` of a content that somebody looked for."""
    if row is None or row.checked is None:
        return None
    return {"state": row.state, "detail": row.detail, "checked": f"{row.checked:%Y-%m-%dT%H:%M:%SZ}"}


def note(package_id: str, path: str, digest: str, **values: Any) -> None:
    """Write some columns of a content."""
    statement = insert(Content.__table__).values(
        {"package_id": package_id, "path": path, "hash": digest, "state": "unknown", "detail": "", **values}
    )
    model.Session.execute(statement.on_conflict_do_update(index_elements=["package_id", "path", "hash"], set_=values))


def profile(package_id: str, path: str, digest: str) -> dict[str, Any] | None:
    """The profile of a content, when there is one."""
    row = rows(package_id, [(path, digest)]).get((path, digest))
    return row.profile if row is not None else None


def columns(package_id: str, keys: Iterable[Key]) -> list[str]:
    """Names of the columns of the tables among the contents, for the search."""
    found: dict[str, None] = {}
    for row in rows(package_id, keys).values():
        for column in (row.profile or {}).get("columns", ()):
            found.setdefault(str(column.get("name", "")), None)
    return [name for name in found if name]
