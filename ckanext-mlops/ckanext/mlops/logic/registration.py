"""What was read of a repository, as the dataset form wants it for one reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.logic.holders import holders
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import hashes, versions

#: In the context of a ``package_create``: the version that the new dataset has, for :func:`keep_version`.
VERSION = "mlops_version"


def values(reader: Reader, found: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the dataset, with a name that is free, and what it was made from."""
    package = dict(found["package"])
    package["name"] = _free_name(str(package["dvc_repository"]), str(found["address"]))
    package["derived_from"] = [_source(reader, each) for each in found["inputs"]]
    return package


def known(reader: Reader, found: Mapping[str, Any]) -> dict[str, Any]:
    """What this portal has of it already: the harvested ``dataset`` of the same step, and ``same`` contents."""
    package = found["package"]
    harvested = naming.package_id(naming.dataset_guid(str(package["dvc_repository"]), str(found["address"])))
    seen = reader.visible([harvested])
    same = [
        holder | {"path": each["dvc_path"], "there": holder["path"]}
        for each in package["resources"]
        for holder in holders(reader, str(each.get("hash") or ""), limit=2, without=[harvested])
    ]
    row = reader.packages.get(harvested) if seen else None
    return {
        "dataset": {"id": row.id, "name": row.name, "title": row.title or row.name} if row is not None else None,
        "same": same[:10],
    }


def _source(reader: Reader, given: Mapping[str, str]) -> dict[str, str]:
    """An entry of ``derived_from``: the dataset that has the input, by its step or its content; else its address."""
    dataset = next(iter(reader.visible([given["dataset"]])), "") if given["dataset"] else ""
    if not dataset:
        dataset = next((each["dataset"] for each in holders(reader, given["hash"], limit=1)), "")
    return {"dataset": dataset, "label": given["label"]} if dataset else {"url": given["url"], "label": given["label"]}


def _free_name(url: str, address: str) -> str:
    package = model.Package
    for name in (naming.package_name(url, address), naming.package_name_unique(url, address)):
        if model.Session.scalar(sa.select(package.id).where(package.name == name)) is None:
            return name
    return ""


def keep_version(session: Session, package: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Note the state that a new dataset shows, in the transaction that creates it: its files can be taken by it."""
    package_id = str(package["id"])
    registered = naming.registered_guid(package_id, str(package["dvc_repository"]))
    row = {**given, "id": naming.version_id(registered, str(given["digest"]))}
    versions.store(session, package_id, [row])
    guid = naming.dataset_guid(str(package["dvc_repository"]), str(package["dvc_stage"]))
    hashes.store_harvested(session, {package_id: (guid, [row], [])})
