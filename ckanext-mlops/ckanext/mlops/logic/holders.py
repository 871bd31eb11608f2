"""Which files of the catalog have a content: what an upload, or an input of a step, turns out to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import Version, hashes

#: Places that are looked at; the reader may see few of them.
_LOOKED_AT = 200


def holders(reader: Reader, digest: str, *, limit: int = 10, without: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The files that have the content now or had it once, of datasets that the reader may see; now first.

    :param without: ids of datasets that are left out
    """
    digest = digest.strip().lower()
    if not hashes.telling(digest, None):
        return []
    rows = hashes.holders(reader.session, digest, _LOOKED_AT)
    seen = set(reader.visible({row.package_id for row in rows})) - set(without)
    rows = [row for row in rows if row.package_id in seen][:limit]
    versions = _versions(reader, [each for row in rows for each in row.versions])
    return [
        {
            "dataset": row.package_id,
            "name": reader.packages[row.package_id].name,
            "title": reader.packages[row.package_id].title or reader.packages[row.package_id].name,
            "path": row.path,
            "resource_id": row.resource_id,
            "size": row.size,
            "made": row.made,
            "current": row.current,
            "version": next((versions[each] for each in row.versions if each in versions), None),
        }
        for row in rows
    ]


def _versions(reader: Reader, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Id → the version, the current ones and the newest first."""
    query = sa.select(Version).where(Version.id.in_(ids))
    rows = reader.session.scalars(query.order_by(Version.current.desc(), Version.position.desc()))
    return {
        row.id: {
            "id": row.id,
            "commit": row.commit,
            "refs": [each["name"] for each in row.refs if each.get("kind") in ("tag", "branch")][:5],
            "current": row.current,
        }
        for row in rows
    }
