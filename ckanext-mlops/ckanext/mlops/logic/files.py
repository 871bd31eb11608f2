"""The files of a dataset at one version: what they are, and where the portal gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops.logic.reader import same_user
from ckanext.mlops.logic.versions import chain
from ckanext.mlops.model import Version, contents, revisions
from ckanext.mlops.transfers import origins

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class At:
    """A dataset at a version; ``version`` is None for a dataset that no repository versions."""

    package: Mapping[str, Any]
    version: Version | None

    @property
    def repository(self) -> str:
        """Address of the repository."""
        return str(self.package.get("dvc_repository") or "")

    @property
    def outs(self) -> list[dict[str, Any]]:
        """The outputs of the version."""
        facts = self.version.facts if self.version is not None else {}
        return [each for each in facts.get("outs") or () if isinstance(each, dict) and each.get("path")]

    def out(self, path: str) -> dict[str, Any] | None:
        """The output at a path."""
        return next((each for each in self.outs if each["path"] == path), None)

    @property
    def author(self) -> str:
        """Who made the version."""
        return self.version.author if self.version is not None else ""

    @property
    def revision(self) -> str:
        """A name for the version that Git knows: a tag or branch that shows it, else its commit."""
        if self.version is None:
            return ""
        names = [each["name"] for each in self.version.refs if each.get("kind") in ("tag", "branch")]
        tags = [each["name"] for each in self.version.refs if each.get("kind") == "tag"]
        return (tags or names or [self.version.commit])[0]

    @property
    def commit(self) -> str:
        """A commit that shows the version."""
        return str(self.version.commit if self.version is not None else self.package.get("dvc_commit") or "")


def at(context: Context, package: Mapping[str, Any], wanted: str = "") -> At:
    """The dataset at the version that ``wanted`` names: an id, a branch, tag or commit; without it, the current one.

    :param package: as the reader's ``package_show`` gives it
    :raises ckan.logic.NotFound: there is no such version
    """
    session: Session = model.Session()
    row = model.Package.get(package["id"])
    if row is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    if "\0" in wanted:  # no text of PostgreSQL, and the name of nothing
        raise tk.ObjectNotFound(tk._("Version not found"))
    packages = chain(context, row).ids if wanted else [row.id]
    query = sa.select(Version).where(Version.package_id.in_(packages))
    query = query.order_by(Version.position.desc()).limit(1).execution_options(populate_existing=True)
    if not wanted:
        return At(
            package, session.scalar(query.order_by(None).order_by(Version.current.desc(), Version.position.desc()))
        )
    named = [
        Version.id == wanted,
        *(Version.refs.contains([{"kind": kind, "name": wanted}]) for kind in ("tag", "branch", "experiment")),
    ]
    if _COMMIT.fullmatch(wanted):
        named.append(Version.commit.startswith(wanted))
        in_refs = sa.func.jsonb_path_exists(
            Version.refs, sa.cast(f'$[*] ? (@.commit starts with "{wanted}")', sa.dialects.postgresql.JSONPATH)
        )
        heads = revisions.branches(session, packages)
        named += [
            sa.and_(Version.package_id == package_id, Version.refs.contains([{"kind": "branch", "name": name}]))
            for package_id, found in heads.items()
            for name, commit in found.items()
            if commit.startswith(wanted)
        ]
        named.append(in_refs)
    for condition in named:
        found = session.scalar(query.where(condition))
        if found is not None:
            return At(package, found)
    raise tk.ObjectNotFound(tk._("Version not found"))


def check_owner(context: Context, there: At) -> None:
    """Whether the reader may take the files of the dataset that the version is of: a chain begins with others.

    :raises ckan.logic.NotAuthorized: they are given on request
    """
    if there.version is not None and there.version.package_id != there.package["id"]:
        tk.check_access("mlops_download", same_user(context), {"id": there.version.package_id})


def origin(there: At) -> origins.Origin:
    """Which repository the version was read from, as far as that is proven."""
    if there.version is None:
        return origins.Origin()
    return origins.of(model.Session(), there.repository, there.version)


def content(context: Context, package: Mapping[str, Any], version: str, path: str) -> dict[str, Any]:
    """What is known of a file's content at a version: as ``mlops_profile_show`` gives it, without its difference.

    :raises ckan.logic.NotFound: there is no such version, or no such file in it
    :raises ckan.logic.NotAuthorized: it is of a dataset whose files are given on request
    """
    there = at(context, package, version)
    check_owner(context, there)
    out = there.out(path)
    if out is None or there.version is None:
        raise tk.ObjectNotFound(tk._("This version has no such file"))
    key = (path, contents.key(out))
    # A step that goes on from another dataset has its older contents there.
    row = contents.rows(there.version.package_id, [key]).get(key)
    return {
        "path": path,
        "hash": key[1],
        "state": row.state if row and row.checked else None,
        "checked": f"{row.checked:%Y-%m-%dT%H:%M:%SZ}" if row and row.checked else None,
        "profile": row.profile if row else None,
    }


def file_dicts(there: At) -> list[dict[str, Any]]:
    """The files as ``mlops_file_list`` gives them."""
    name = str(there.package["name"])
    files = [
        {
            "path": out["path"],
            "is_dir": bool(out.get("is_dir")),
            "hash": str(out.get("hash") or ""),
            "algorithm": str(out.get("algorithm") or ""),
            "size": out.get("size"),
            "kind": out.get("kind") or "data",
            "address": address(name, out["path"], there.version),
        }
        for out in there.outs
    ]
    files += [
        {
            "path": _file_name(resource),
            "is_dir": False,
            "hash": str(resource.get("hash") or ""),
            "algorithm": str(resource.get("hash_algorithm") or ""),
            "size": resource.get("size"),
            "kind": resource.get("dvc_kind") or "data",
            "address": _local(tk.url_for("resource.download", id=name, resource_id=resource["id"], locale="default")),
        }
        for resource in there.package.get("resources", ())
        if resource.get("url_type") == "upload"
    ]
    return files


def address(name: str, path: str, version: Version | None, **query: str) -> str:
    """Where the portal gives a file: an address below its own."""
    values = {"path": path, **query}
    # A command must not change with the language of the page that shows it.
    page = tk.url_for("mlops_download.version", id=name, version=version.id if version else "", locale="default")
    return f"{_local(page)}?{urlencode(values)}"


def _local(url: str) -> str:
    """The address without the portal's own, which the client puts before it."""
    root = str(tk.config.get("ckan.root_path") or "").replace("/{{LANG}}", "")
    return url.removeprefix(root) if root else url


def _file_name(resource: Mapping[str, Any]) -> str:
    name = str(resource.get("name") or "")
    last = str(resource.get("url") or "").rsplit("/", 1)[-1]
    return name if "." in name and "/" not in name else last or name or str(resource["id"])
