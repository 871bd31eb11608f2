"""The lineage index as a whole: written again from packages, harvests and versions; hashes of uploaded files."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib import uploader
from ckan.plugins import toolkit as tk
from sqlalchemy.orm import Session

from ckanext.mlops.catalog.weburl import import_uri
from ckanext.mlops.harvesting import memory
from ckanext.mlops.model import hashes, lineage
from ckanext.mlops.model.tables import FileHash

log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_TRIES = 10


def rebuild(session: Session) -> dict[str, int]:
    """Write all edges again and commit; how many ``datasets`` were read and ``edges`` there are."""
    counts = lineage.rebuild(session, memory.all_edges(session))
    lineage.relink(session, dict(_imports(session)))
    hashes.rebuild(session)
    session.commit()
    for package_id in _with_own_files(session):
        hash_uploads(package_id, wait=False)
    inferred = hashes.settle(session)
    return {"datasets": counts["datasets"], "edges": lineage.count(session), "inferred": inferred}


def hash_uploads(package_id: str, *, wait: bool = True) -> None:
    """Note md5 and SHA-256 of the files that were uploaded to a dataset, and what follows from them; commits.

    Files are read once: what did not change since is known. Run by CKAN's job queue after an upload.
    """
    session = model.Session()
    for attempt in range(_TRIES if wait else 1):
        resources = session.scalars(
            sa.select(model.Resource).where(model.Resource.package_id == package_id, model.Resource.state == "active")
        ).all()
        files = [each for each in map(_uploaded, resources) if each]
        if files or not wait:
            break
        session.rollback()
        time.sleep(min(attempt, 2))
    known = {
        (row.resource_id, row.algorithm): row
        for row in session.scalars(
            sa.select(FileHash).where(FileHash.package_id == package_id, FileHash.harvested.is_(False))
        )
    }
    rows = _given(resources)
    for resource, path in files:
        size, since = path.stat().st_size, resource.last_modified or resource.created
        row = known.get((resource.id, "sha256"))
        if row is not None and (row.size, row.since) == (size, since):
            digests = {
                name: known[resource.id, name].hash for name in ("md5", "sha256") if (resource.id, name) in known
            }
        else:
            digests = _digests(path)
        rows += [_row(resource, algorithm, digest, size) for algorithm, digest in digests.items()]
    hashes.store_uploaded(session, package_id, rows)
    session.commit()
    hashes.settle(session)


def sync_given(package: Mapping[str, Any]) -> None:
    """Note the hashes that people gave for files of a dataset which no harvest wrote; in the caller's transaction."""
    if any(each.get("dvc_path") for each in package.get("resources") or ()):
        return
    session = model.Session()
    ids = [each["id"] for each in package.get("resources") or () if each.get("id")]
    resources = session.scalars(sa.select(model.Resource).where(model.Resource.id.in_(ids))).all() if ids else []
    computed = session.scalars(
        sa.select(FileHash).where(
            FileHash.package_id == package["id"], FileHash.harvested.is_(False), FileHash.resource_id.in_(ids)
        )
    ).all()
    live = {each.id: each for each in resources}
    rows = _given(resources)
    # What a job found in an uploaded file holds until the file changes; the job looks again then.
    rows += [
        _row(live[row.resource_id], row.algorithm, row.hash, row.size)
        for row in computed
        if row.resource_id in live and live[row.resource_id].url_type == "upload"
    ]
    if rows or computed:
        hashes.store_uploaded(session, package["id"], rows)


def enqueue(package_id: str) -> None:
    """Have the uploaded files of a dataset hashed by a worker."""
    tk.enqueue_job(hash_uploads, [package_id], title=f"hash uploads of {package_id}")


def _imports(session: Session) -> Iterator[tuple[str, tuple[str, str]]]:
    package, resource = model.Package, model.Resource
    extras: Any = resource.extras
    rows = session.execute(
        sa.select(package.id, package.extras["dvc_repository"].astext, resource.id, extras)
        .join(resource, resource.package_id == package.id)
        .where(package.extras["dvc_repository"].astext.is_not(None), resource.state == "active")
        # What is read last counts: of several that had a file, the one that has it still.
        .order_by(sa.func.coalesce(package.extras["dvc_retired"].astext, "") == "", package.id)
    )
    for dataset, repository, resource_id, fields in rows:
        path = str((fields or {}).get("dvc_path") or "")
        if path:
            yield import_uri(repository, path), (dataset, resource_id)


def _with_own_files(session: Session) -> list[str]:
    """Datasets with files that were uploaded, or of which people gave a hash."""
    package, resource = model.Package, model.Resource
    given = sa.and_(sa.func.coalesce(resource.hash, "") != "", package.extras["dvc_repository"].astext.is_(None))
    return list(
        session.scalars(
            sa.select(resource.package_id)
            .distinct()
            .join(package, package.id == resource.package_id)
            .where(resource.state == "active", sa.or_(resource.url_type == "upload", given))
            .order_by(resource.package_id)
        )
    )


def _uploaded(resource: model.Resource) -> tuple[model.Resource, Path] | None:
    if resource.url_type != "upload":
        return None
    try:
        path = Path(uploader.get_resource_uploader({"id": resource.id, "url_type": "upload"}).get_path(resource.id))
    except (AttributeError, NotImplementedError, TypeError):  # files of other storages have no path here
        return None
    return (resource, path) if path.is_file() else None


def _given(resources: Any) -> list[dict[str, Any]]:
    """Hashes that the fields of the resources have."""
    found = []
    for each in resources:
        digest = str(each.hash or "").lower().removeprefix("md5:").removeprefix("sha256:")
        if hashes.telling(digest, each.size):
            found.append(_row(each, "sha256" if len(digest) == 64 else "md5", digest, each.size))
    return found


def _row(resource: model.Resource, algorithm: str, digest: str, size: int | None) -> dict[str, Any]:
    since = resource.last_modified or resource.created
    return {
        "path": resource.name or resource.id,
        "hash": digest,
        "algorithm": algorithm,
        "size": size,
        "resource_id": resource.id,
        "since": since.isoformat() if since is not None else None,
    }


def _digests(path: Path) -> dict[str, str]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            md5.update(chunk)
            sha256.update(chunk)
    return {"md5": md5.hexdigest(), "sha256": sha256.hexdigest()}
