"""What the box "Get this data" shows: for each file of a version the ready commands, and whether it can be had here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context

from ckanext.mlops.catalog.recipe import legacy
from ckanext.mlops.catalog.snippets import Snippet, Subject, snippets
from ckanext.mlops.logic import files
from ckanext.mlops.model import contents
from ckanext.mlops.transfers import delivery

MAX_FILES = 20


@dataclass(frozen=True)
class GetFile:
    """A file or folder; ``state`` and ``profile`` as in ``mlops_content``, None when nobody looked.

    The profile is there for one path only, and for who may take the file. ``elsewhere`` says why this portal cannot
    give it; ``""`` when it can.
    """

    path: str
    url: str
    snippets: list[Snippet]
    is_dir: bool = False
    size: int | None = None
    hash: str = ""
    state: dict[str, Any] | None = None
    profile: dict[str, Any] | None = None
    elsewhere: str = ""


@dataclass(frozen=True)
class GetData:
    """The box of one page.

    :param whole: commands for all files together
    :param more: files that are not shown
    :param allowed: whether the reader may take the files
    """

    files: list[GetFile] = field(default_factory=list)
    whole: list[Snippet] = field(default_factory=list)
    more: int = 0
    allowed: bool = True
    recipe: str = ""


def get_data(context: Context, package: dict[str, Any], version: str = "", path: str = "") -> GetData:
    """The box for a dataset at a version, or for one path of it."""
    try:
        there = files.at(context, package, version)
    except tk.ObjectNotFound:
        return GetData()
    listed = [each for each in files.file_dicts(there) if not path or each["path"] == path]
    root, here = (tk.url_for("home.index", qualified=each, locale="default").rstrip("/") for each in (True, False))
    named = there.version.id if there.version is not None and version else ""
    outs = {each["path"]: each for each in there.outs}
    facts = there.version.facts if there.version is not None else {}
    keys = {each["path"]: (each["path"], contents.key(outs.get(each["path"], each))) for each in listed}
    # A step that goes on from another dataset has its older contents there.
    holder = there.version.package_id if there.version is not None else package["id"]
    shows = bool(path) and tk.h.check_access("mlops_profile_show", {"id": package["id"]})
    known = contents.rows(holder, keys.values(), profiles=shows)
    origin = files.origin(there)
    found = []
    for each in listed[:MAX_FILES]:
        out = outs.get(each["path"])
        elsewhere = delivery.why_not(origin, out) if out is not None else ""
        row = known.get(keys[each["path"]])
        subject = Subject(
            dataset=package["name"],
            path=each["path"],
            portal=root,
            url=f"{root}{each['address']}",
            here=not elsewhere,
            version=named,
            repository=there.repository,
            commit=there.commit,
            revision=there.revision,
            is_dir=each["is_dir"],
            dvc=out is not None and facts.get("kind") != "lfs" and not legacy(facts),
            lfs=facts.get("kind") == "lfs",
        )
        found.append(
            GetFile(
                each["path"],
                f"{here}{each['address']}",
                snippets(subject),
                each["is_dir"],
                each["size"] if isinstance(each["size"], int) else None,
                each["hash"],
                contents.state(row),
                row.profile if row is not None and shows else None,
                elsewhere,
            )
        )
    all_here = len(listed) > 1 and not path and not any(each.elsewhere for each in found)
    whole = snippets(Subject(package["name"], "", root, version=named)) if all_here else []
    allowed = tk.h.check_access("mlops_download", {"id": package["id"]})
    recipe = ""
    if there.version is not None and facts.get("command"):
        recipe = tk.url_for("mlops_download.recipe", id=package["name"], version=there.version.id)
    return GetData(found, whole, max(0, len(listed) - MAX_FILES), allowed, recipe)
