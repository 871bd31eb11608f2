"""Load many datasets in one request: what the client's uploads are made of.

Each dataset goes through CKAN's own ``package_create`` or ``package_update`` as the calling user. They share one
transaction, one request to Solr and one commit; when one is refused, each is tried alone, so that one bad dataset
stops no other. Nothing is removed: fields, resources and tags that are not given stay.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import sqlalchemy as sa
from ckan import model
from ckan.lib import uploader
from ckan.plugins import toolkit as tk
from ckan.types import Context
from werkzeug.datastructures import FileStorage

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.logic import creating, deferred, shown
from ckanext.mlops.search import together

log = logging.getLogger(__name__)

#: Says of a resource where its content is: the name of a file of the request, or :data:`LATER`.
CONTENT = "content"
LATER = "later"
_FILE_FIELDS = ("hash", "hash_algorithm", "size")
_NAMED = {"groups": "name", "tags": "name", "extras": "key"}


@dataclass
class File:
    """One resource after the load.

    :param needed: its content has to be uploaded still; ``hash`` is that of the content which is there
    """

    id: str
    name: str
    hash: str = ""
    needed: bool = False


@dataclass
class Loaded:
    """What was done with one dataset: ``created``, ``updated``, ``unchanged``, or ``failed`` with ``errors``."""

    name: str
    status: str
    id: str = ""
    changed: list[str] = field(default_factory=list)
    errors: dict[str, Any] = field(default_factory=dict)
    resources: list[File] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Merged:
    package: dict[str, Any]
    before: dict[str, Any] | None
    changed: list[str]
    needed: frozenset[str]


def load(
    user: str, datasets: Sequence[Mapping[str, Any]], files: Mapping[str, tuple[str, bytes]], *, dry_run: bool = False
) -> list[Loaded]:
    """Create or update the datasets; the answers are in their order.

    :param files: name of a file in the request → its file name and content
    :param dry_run: say what would be done
    """
    datasets = _by_id(datasets)
    if not dry_run and len(datasets) > 1:
        try:
            return _together(user, datasets, files)
        except Exception as error:
            log.debug("a batch is done one by one: %s", error)
            model.Session.rollback()
    return [_alone(user, each, files, dry_run=dry_run) for each in datasets]


def _together(user: str, datasets: Sequence[Mapping[str, Any]], files: Mapping[str, tuple[str, bytes]]) -> list[Loaded]:
    """All of them in one transaction; what is new is created with few statements, where no extension minds."""
    planned = [_planned(user, each, files) for each in datasets]
    new = [(loaded, merged.package) for loaded, merged in planned if merged.before is None]
    at_once = creating.possible()
    if at_once:
        uploads = [_uploads(package) for _, package in new]
        creating.create(model.Session(), [package for _, package in new], user, ignore_auth=False)
        for (loaded, package), each in zip(new, uploads, strict=True):
            loaded.id = package["id"]
            _keep(loaded.id, each)
    for loaded, merged in planned:
        if merged.before is not None or not at_once:
            _write(user, loaded, merged)
    done = [loaded for loaded, _ in planned]
    _with_ids(done)
    noted = {loaded.id for loaded, _ in new} if at_once else set()
    _finish(user, [each.id for each in done if each.status != "unchanged"], noted)
    return done


def _by_id(datasets: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The datasets with the ids of their organizations: CKAN looks a name up again and again, for each of them."""
    names = {each["owner_org"] for each in datasets if isinstance(each.get("owner_org"), str)}
    found = {name: model.Group.get(name) for name in names if name}
    ids = {name: organization.id for name, organization in found.items() if organization is not None}
    return [
        {**each, "owner_org": ids[name]} if isinstance(name := each.get("owner_org"), str) and name in ids else each
        for each in datasets
    ]


def _alone(user: str, given: Mapping[str, Any], files: Mapping[str, tuple[str, bytes]], *, dry_run: bool) -> Loaded:
    name = str(given.get("name") or "")
    try:
        done = _one(user, given, files, dry_run=dry_run)
        if dry_run:
            return done
        _with_ids([done])
        if done.status != "unchanged":
            _finish(user, [done.id])
        return done
    except tk.ValidationError as error:
        model.Session.rollback()
        return Loaded(name, "failed", errors=error.error_dict)
    except tk.NotAuthorized as error:
        model.Session.rollback()
        return Loaded(name, "failed", errors={"__type": "Authorization Error", "message": error.message or str(error)})
    except Exception as error:
        model.Session.rollback()
        log.exception("dataset %r could not be loaded", name[:200])
        said = str(error) if isinstance(error, MlopsError) else tk._("An unexpected error; the portal's log has it")
        return Loaded(name, "failed", errors={"__type": "Internal Error", "message": said})


def _finish(user: str, package_ids: list[str], new: Collection[str] = ()) -> None:
    """Index them and commit; the activities of the ``new`` ones are yet to be noted."""
    if package_ids:
        session = model.Session()
        datasets = shown.datasets(session, package_ids)
        noted = {key: each for key, each in datasets.items() if key in new}
        together.index_shown(datasets, lambda: creating.note_activities(session, noted, user))
    model.Session.commit()


def _with_ids(done: Sequence[Loaded]) -> None:
    """Fill in the resources' ids, which CKAN gave while it wrote them. One statement for all, before the commit."""
    without = [each.id for each in done if any(not file.id for file in each.resources)]
    if not without:
        return
    resource = model.Resource
    rows = model.Session.execute(
        sa.select(resource.package_id, resource.name, resource.id).where(
            resource.package_id.in_(without), resource.state == "active"
        )
    )
    ids = {(row.package_id, row.name): row.id for row in rows}
    for each in done:
        for file in each.resources:
            file.id = file.id or str(ids.get((each.id, file.name), ""))


def _one(user: str, given: Mapping[str, Any], files: Mapping[str, tuple[str, bytes]], *, dry_run: bool) -> Loaded:
    loaded, merged = _planned(user, given, files)
    if not dry_run:
        _write(user, loaded, merged)
    elif merged.before is None:
        tk.check_access("package_create", _context(user), {"owner_org": merged.package.get("owner_org")})
    return loaded


def _planned(user: str, given: Mapping[str, Any], files: Mapping[str, tuple[str, bytes]]) -> tuple[Loaded, _Merged]:
    """What is to be done with a dataset."""
    name = str(given.get("name") or "")
    if not name:
        raise tk.ValidationError({"name": [tk._("Missing value")]})
    _check_groups(given)
    merged = _merge(user, given, files)
    hashes = {
        each.get("name"): str(each.get("hash") or "")
        for each in (merged.before or {}).get("resources", ())
        if each.get("url_type") == "upload"
    }
    sent = {each.get("name") for each in given.get("resources") or ()}
    resources = [
        File(str(each.get("id") or ""), each["name"], hashes.get(each["name"], ""), each["name"] in merged.needed)
        for each in merged.package.get("resources") or ()
        if each.get("name") in sent
    ]
    if merged.before is None:
        return Loaded(name, "created", "", merged.changed, {}, resources), merged
    status = "updated" if merged.changed else "unchanged"
    return Loaded(name, status, str(merged.before["id"]), merged.changed, {}, resources), merged


def _check_groups(given: Mapping[str, Any]) -> None:
    """CKAN leaves out groups that do not exist, without a word.

    :raises ValidationError: naming one
    """
    for each in given.get("groups") or ():
        name = str(each.get("name") or each.get("id") or "") if isinstance(each, Mapping) else ""
        group = model.Group.get(name) if name else None
        if group is None or group.is_organization or group.state != "active":
            raise tk.ValidationError({"groups": [tk._("There is no group {name}").format(name=repr(name[:100]))]})


def _write(user: str, loaded: Loaded, merged: _Merged) -> None:
    """Do it, by CKAN's own actions."""
    if loaded.status == "unchanged":
        return
    uploads = _uploads(merged.package)
    if merged.before is None:
        loaded.id = cast(str, tk.get_action("package_create")(_context(user), merged.package))
    else:
        deferred.package_update(model.Session(), _context(user), merged.package)
    _keep(loaded.id, uploads)


def _uploads(package: dict[str, Any]) -> dict[str, Any]:
    """Name of a resource → CKAN's uploader of it, which takes the content out of the resource."""
    return {
        each["name"]: uploader.get_resource_uploader(each)
        for each in package.get("resources") or ()
        if "upload" in each
    }


def _keep(package_id: str, uploads: Mapping[str, Any]) -> None:
    """Write the contents, as CKAN's ``resource_create`` does: before the transaction ends."""
    if not uploads:
        return
    package = model.Package.get(package_id)
    for resource in package.resources if package else ():
        if resource.name in uploads:
            uploads[resource.name].upload(resource.id, uploader.get_max_resource_size())


def _context(user: str) -> Context:
    return cast(
        Context,
        {
            "session": model.Session,
            "user": user,
            "auth_user_obj": model.User.get(user),
            "defer_commit": True,
            "return_id_only": True,
        },
    )


def _merge(user: str, given: Mapping[str, Any], files: Mapping[str, tuple[str, bytes]]) -> _Merged:
    found = model.Package.get(str(given["name"]))
    if found is None or found.state == "deleted":
        needed: set[str] = set()
        resources = [_resource(each, None, files, needed)[0] for each in given.get("resources") or ()]
        package = {**given, "type": given.get("type") or "dataset", "resources": resources}
        return _Merged(package, None, [], frozenset(needed))
    tk.check_access("package_update", _context(user), {"id": found.id})
    # The search index would add fields that are not the dataset's own.
    before = dict(tk.get_action("package_show")({"ignore_auth": True, "use_cache": False}, {"id": found.id}))
    package, changed = dict(before), []
    for key, value in given.items():
        if key in ("id", "name", "type", "resources"):
            continue
        if key == "tags":
            value = _united(value, before.get("tags") or (), "name")
        if not _same(key, value, before.get(key)):
            package[key] = value
            changed.append(key)
    resources, changed_resources, needed_names = _resources(given, before, files)
    package["resources"] = resources
    return _Merged(package, before, changed + changed_resources, needed_names)


def _resources(
    given: Mapping[str, Any], before: Mapping[str, Any], files: Mapping[str, tuple[str, bytes]]
) -> tuple[list[dict[str, Any]], list[str], frozenset[str]]:
    present = {each.get("name"): each for each in before["resources"]}
    merged, changed, needed = dict(present), [], set[str]()
    for each in given.get("resources") or ():
        name = str(each.get("name") or "")
        merged[name], differs = _resource(each, present.get(name), files, needed)
        if differs:
            changed.append(f"resource {name}")
    unnamed = [each for each in before["resources"] if each not in merged.values() and not each.get("name")]
    return [*unnamed, *merged.values()], changed, frozenset(needed)


def _resource(
    given: Mapping[str, Any],
    present: Mapping[str, Any] | None,
    files: Mapping[str, tuple[str, bytes]],
    needed: set[str],
) -> tuple[dict[str, Any], bool]:
    """The resource to write, and whether it differs from what is there; notes in ``needed`` what has no content."""
    values = {key: value for key, value in given.items() if key not in (CONTENT, "upload")}
    if CONTENT not in given:
        changed = present is None or any(not _same(key, value, present.get(key)) for key, value in values.items())
        return {**(present or {}), **values}, changed
    name, content = str(given.get("name") or ""), files.get(str(given[CONTENT]))
    there = present is not None and present.get("url_type") == "upload" and present.get("hash") == given.get("hash")
    if not there and content is None:
        needed.add(name)
    if not there:
        values = {key: value for key, value in values.items() if key not in _FILE_FIELDS}
    changed = present is None or any(not _same(key, value, present.get(key)) for key, value in values.items())
    result = {**(present or {}), **values}
    if content is not None and not there:
        file_name, data = content
        result |= verified(given, data)
        result |= {"upload": FileStorage(io.BytesIO(data), file_name), "url": file_name, "url_type": "upload"}
        changed = True
    elif present is None:
        result.setdefault("url", "")
    return result, changed


def verified(given: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """``hash``, ``hash_algorithm`` and ``size`` of a content, computed here.

    :raises ValidationError: it is not the content that was announced
    """
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if given.get("hash_algorithm") in (None, "", "md5") and given.get("hash") not in (None, "", digest):
        raise tk.ValidationError({"hash": [tk._("The content that arrived has another hash; send it again")]})
    return {"hash": digest, "hash_algorithm": "md5", "size": len(data)}


def _united(given: Any, present: Any, key: str) -> list[dict[str, Any]]:
    known = {each[key] for each in present}
    return [*present, *(each for each in given or () if each.get(key) not in known)]


def _same(key: str, new: Any, old: Any) -> bool:
    if key in _NAMED:
        name = _NAMED[key]
        return {str(each.get(name)): each.get("value") for each in new or ()} == {
            str(each.get(name)): each.get("value") for each in old or ()
        }
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        pairs = zip(new, old, strict=True)
        return all(
            all(_same("", value, there.get(name)) for name, value in one.items())
            if isinstance(one, dict) and isinstance(there, dict)
            else one == there
            for one, there in pairs
        )
    if isinstance(new, bool) or isinstance(old, bool):
        return bool(new) == bool(old)
    if key == "format":
        return str(new or "").lower() == str(old or "").lower()
    return new == old or (new if new is not None else "") == (old if old is not None else "") or str(new) == str(old)
