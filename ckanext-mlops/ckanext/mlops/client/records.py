"""What is to be registered: a dataset and its files, as frozen records, whatever they were read from."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ckanext.mlops.core.naming import slug

_NAME = re.compile(r"[a-z0-9_-]{2,100}")
#: Fields of ckanext-mlops that a dataset may have.
DVC_FIELDS = (
    "dvc_repository",
    "dvc_revision",
    "dvc_commit",
    "dvc_stage",
    "dvc_command",
    "mlflow_server",
    "mlflow_experiment",
)
#: Fields of a dataset that are plain text.
TEXT_FIELDS = (
    "title",
    "notes",
    "url",
    "version",
    "author",
    "author_email",
    "maintainer",
    "maintainer_email",
    "license_id",
    *DVC_FIELDS,
)
_NO_DATA = (".md5", ".sha256", ".dvc", ".ds_store", ".gitignore")


@dataclass(frozen=True)
class BadRecord(Exception):
    """One record that cannot be used, and why; ``place`` names the row or file."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True)
class FileRecord:
    """A file to upload (``path``), or one that is elsewhere (``url``).

    :param name: of the resource; it tells the files of a dataset apart
    :param fields: further fields of the resource, such as ``dvc_path`` or ``dvc_kind``
    """

    name: str
    path: Path | None = None
    url: str = ""
    description: str = ""
    format: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    def resource(self) -> dict[str, Any]:
        """As CKAN's resource, without content."""
        kind = self.format or PurePosixPath(self.name).suffix.lstrip(".").upper()[:10]
        found: dict[str, Any] = {"name": self.name, "description": self.description, "format": kind}
        mimetype = mimetypes.guess_type(self.name)[0]
        if mimetype:
            found["mimetype"] = mimetype
        if self.url:
            found["url"] = self.url
        return {key: value for key, value in {**found, **self.fields}.items() if value not in ("", None)}


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset to register. What is empty is left to the portal, or as it is there."""

    name: str
    title: str = ""
    owner_org: str = ""
    private: bool | None = None
    license_id: str = ""
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    derived_from: tuple[dict[str, str], ...] = ()
    files: tuple[FileRecord, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    place: str = ""

    def checked(self) -> DatasetRecord:
        """Itself.

        :raises BadRecord: the portal could not take it
        """
        if not _NAME.fullmatch(self.name):
            raise BadRecord(self.place, f"the name {self.name!r} must be 2 to 100 of a-z, 0-9, - and _")
        names = [each.name for each in self.files]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadRecord(self.place, f"two files are called {twice[0]!r}; give them different names")
        for each in self.files:
            if each.path is not None and not each.path.is_file():
                raise BadRecord(self.place, f"there is no file {each.path}")
            if not _sendable(each.name) or (each.path is not None and not _sendable(each.path.name)):
                raise BadRecord(self.place, f"the name of the file {each.name!r} is not UTF-8; rename the file")
        for key, value in self.package().items():
            if not _sendable(value):
                raise BadRecord(self.place, f"{key}: has characters that no portal stores (NUL, or half of a pair)")
        return self

    def with_defaults(self, **values: Any) -> DatasetRecord:
        """With ``values`` where the record has none."""
        missing = {key: value for key, value in values.items() if getattr(self, key) in ("", None, (), {})}
        return replace(self, **missing)

    def package(self) -> dict[str, Any]:
        """As CKAN's dataset dictionary, without resources."""
        found: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "owner_org": self.owner_org,
            "license_id": self.license_id,
            **self.fields,
        }
        if self.private is not None:
            found["private"] = self.private
        if self.tags:
            found["tags"] = [{"name": tag} for tag in dict.fromkeys(map(tag_name, self.tags)) if tag]
        if self.groups:
            found["groups"] = [{"name": group} for group in self.groups]
        if self.derived_from:
            found["derived_from"] = [dict(each) for each in self.derived_from]
        return {key: value for key, value in found.items() if value not in ("", None)}


def unique(records: Iterable[DatasetRecord | BadRecord]) -> Iterator[DatasetRecord | BadRecord]:
    """The records; one whose name another one had before is bad: the second would write over the first."""
    seen: dict[str, str] = {}
    for each in records:
        if isinstance(each, DatasetRecord):
            if each.name in seen:
                yield BadRecord(each.place, f"the name {each.name!r} is that of {seen[each.name]}, too")
                continue
            seen[each.name] = each.place
        yield each


def _sendable(value: Any) -> bool:
    """Whether all text in a value can be stored."""
    if isinstance(value, str):
        return "\0" not in value and not re.search("[\ud800-\udfff]", value)
    if isinstance(value, dict):
        return all(_sendable(key) and _sendable(each) for key, each in value.items())
    return all(map(_sendable, value)) if isinstance(value, (list, tuple)) else True


def tag_name(text: str) -> str:
    """``text`` as CKAN allows a tag: letters, digits, blank, ``-_.``; 2 to 100 characters, else ``""``."""
    cleaned = re.sub(r"[^\w .-]+", " ", text).strip()[:100].strip()
    return cleaned if len(cleaned) >= 2 else ""


def origins(text: Any) -> tuple[dict[str, str], ...]:
    """``derived_from`` of a list or of text: addresses and names of datasets, separated by commas or blanks."""
    items = text if isinstance(text, (list, tuple)) else re.split(r"[\s,;|]+", str(text or ""))
    found = []
    for item in items:
        if isinstance(item, dict):
            found.append({str(key): str(value) for key, value in item.items() if value})
        elif str(item).strip():
            found.append({"url" if "://" in str(item) else "dataset": str(item).strip()})
    return tuple(found)


def dataset_name(text: str) -> str:
    """``text`` as the name of a dataset."""
    return slug(text)


def is_data(path: Path) -> bool:
    """Whether a file of a folder is data: not hidden, and no side file of a tool."""
    return not path.name.startswith(".") and path.suffix.lower() not in _NO_DATA
