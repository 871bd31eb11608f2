"""Datasets from folders: a metadata file beside the data, in the form of Kaggle, Frictionless or Croissant.

The file's own words become the dataset's. What they have no word for (name, organization, groups, visibility, DVC and
MLflow fields, ``derived_from``) may stand in an object ``ckan`` of the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ckanext.mlops.client.records import (
    TEXT_FIELDS,
    BadRecord,
    DatasetRecord,
    FileRecord,
    dataset_name,
    is_data,
    origins,
    unique,
)

KAGGLE = "dataset-metadata.json"
FRICTIONLESS = "datapackage.json"
CROISSANT = ("croissant.json", "*.croissant.json", "*.jsonld", "metadata.json")
MAX_METADATA = 16 * 1024 * 1024
_OWN = {"name", "owner_org", "private", "groups", "tags", "derived_from", *TEXT_FIELDS}
#: What others call the licences that CKAN's list has.
_LICENSES = {
    "cc0-1.0": "cc-zero", "cc0": "cc-zero", "cc-by-4.0": "cc-by", "cc-by": "cc-by", "cc-by-sa-4.0": "cc-by-sa",
    "cc-by-sa-3.0": "cc-by-sa", "cc-by-nc-4.0": "cc-nc", "odbl-1.0": "odc-odbl", "odc-odbl": "odc-odbl",
    "odc-by-1.0": "odc-by", "pddl": "odc-pddl", "pddl-1.0": "odc-pddl", "gfdl-1.3": "gfdl", "unknown": "notspecified",
    "other": "other-open",
}  # fmt: skip


def read_folder(folder: Path) -> Iterator[DatasetRecord | BadRecord]:
    """The dataset of ``folder``, or one for each folder below it that has a metadata file.

    :raises BadRecord: there is none at all
    """
    found = [folder] if metadata_file(folder) else sorted(_below(folder))
    if not found:
        raise BadRecord(
            str(folder), f"no metadata file: put a {KAGGLE}, a {FRICTIONLESS} or a croissant.json beside the data"
        )
    yield from unique(_datasets(found))


def _datasets(folders: Iterable[Path]) -> Iterator[DatasetRecord | BadRecord]:
    for each in folders:
        try:
            yield read_dataset(each)
        except BadRecord as error:
            yield error
        except OSError as error:
            yield BadRecord(str(each), f"cannot be read: {error.strerror or error}")


def _below(folder: Path) -> Iterator[Path]:
    for each in folder.iterdir() if folder.is_dir() else ():
        if each.is_dir() and not each.is_symlink() and not each.name.startswith("."):
            if metadata_file(each):
                yield each
            else:
                yield from _below(each)


def metadata_file(folder: Path) -> Path | None:
    """The metadata file of a folder."""
    for name in (KAGGLE, FRICTIONLESS, *CROISSANT):
        for found in sorted(folder.glob(name)):
            if found.is_file() and (found.name != "metadata.json" or _names_croissant(found)):
                return found
    return None


def _names_croissant(path: Path) -> bool:
    with path.open("rb") as stream:
        return b"croissant" in stream.read(MAX_METADATA)


def read_dataset(folder: Path) -> DatasetRecord:
    """The dataset of a folder with a metadata file.

    :raises BadRecord: the file is none of the forms, or names what is not there
    """
    path = metadata_file(folder)
    if path is None:
        raise BadRecord(str(folder), "no metadata file")
    try:
        if path.stat().st_size > MAX_METADATA:
            raise BadRecord(str(path), f"larger than {MAX_METADATA:,} bytes")
        data = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadRecord(str(path), f"no JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadRecord(str(path), "must hold a JSON object")
    read = {KAGGLE: _kaggle, FRICTIONLESS: _frictionless}.get(path.name, _croissant)
    try:
        record = read(data, folder, str(path))
    except (AttributeError, TypeError, KeyError, IndexError) as error:
        raise BadRecord(str(path), f"not in the form of its kind: {error}") from None
    return own(record, data.get("ckan") or {}).checked()


def own(record: DatasetRecord, values: Mapping[str, Any]) -> DatasetRecord:
    """The record with the values of the object ``ckan``, which win.

    :raises BadRecord: naming the key that is wrong
    """
    if not isinstance(values, Mapping):
        raise BadRecord(record.place, "ckan: must be an object")
    unknown = sorted(values.keys() - _OWN)
    if unknown:
        raise BadRecord(record.place, f"ckan: no field {unknown[0]!r}; there are {', '.join(sorted(_OWN))}")
    fields = {**record.fields, **{key: values[key] for key in TEXT_FIELDS if values.get(key) and key != "license_id"}}
    title = str(fields.pop("title", "") or record.title)
    return DatasetRecord(
        name=str(values.get("name") or record.name),
        title=title,
        owner_org=str(values.get("owner_org") or record.owner_org),
        private=bool(values["private"]) if "private" in values else record.private,
        license_id=str(values.get("license_id") or record.license_id),
        tags=tuple(values.get("tags") or record.tags),
        groups=tuple(values.get("groups") or record.groups),
        derived_from=origins(values["derived_from"]) if values.get("derived_from") else record.derived_from,
        files=record.files,
        fields=fields,
        place=record.place,
    )


def license_id(text: Any) -> str:
    """CKAN's id of a licence that others name."""
    name = str(text or "").strip()
    last = name.rstrip("/").rsplit("/", 1)[-1] if "spdx.org" in name or "opensource.org" in name else name
    if "creativecommons.org/" in name:
        parts = name.rstrip("/").split("/")
        last = "cc0-1.0" if "zero" in parts else f"cc-{parts[-2]}-{parts[-1]}"
    return _LICENSES.get(last.lower().removesuffix(".html"), last)


def _kaggle(data: Mapping[str, Any], folder: Path, place: str) -> DatasetRecord:
    identifier = str(data.get("id") or data.get("title") or folder.name)
    described = {str(each["path"]): each for each in data.get("resources") or ()}
    files = {path: _inside(folder, path, place) for path in described}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink() and relative != KAGGLE and is_data(path):
            files.setdefault(relative, path)
    licenses = [each.get("name") for each in data.get("licenses") or ()]
    notes = "\n\n".join(str(data[key]) for key in ("subtitle", "description") if data.get(key))
    source = f"https://www.kaggle.com/datasets/{identifier}" if identifier.count("/") == 1 else ""
    return DatasetRecord(
        name=dataset_name(identifier.rsplit("/", 1)[-1]),
        title=str(data.get("title") or ""),
        license_id=license_id(licenses[0]) if licenses else "",
        tags=tuple(map(str, data.get("keywords") or ())),
        private=data.get("isPrivate"),
        files=tuple(
            FileRecord(name, path, description=str(described.get(name, {}).get("description") or ""))
            for name, path in files.items()
        ),
        fields={key: value for key, value in {"notes": notes, "url": source}.items() if value},
        place=place,
    )


def _frictionless(data: Mapping[str, Any], folder: Path, place: str) -> DatasetRecord:
    files: list[FileRecord] = []
    for each in data.get("resources") or ():
        paths = each.get("path") or ()
        for path in [paths] if isinstance(paths, str) else paths:
            many = not isinstance(paths, str) and len(paths) > 1
            name = path.rsplit("/", 1)[-1] if many else str(each.get("title") or each.get("name") or path)
            files.append(
                _file(folder, name, path, place, str(each.get("description") or ""), str(each.get("format") or ""))
            )
    licenses = data.get("licenses") or ()
    people = [each for each in data.get("contributors") or () if isinstance(each, dict)]
    fields: dict[str, Any] = {
        "notes": data.get("description"),
        "version": data.get("version"),
        "url": data.get("homepage"),
        "author": people[0].get("title") if people else None,
        "author_email": people[0].get("email") if people else None,
    }
    sources = [
        {"url": str(each["path"]), "label": str(each.get("title") or "")}
        for each in data.get("sources") or ()
        if "://" in str(each.get("path"))
    ]
    return DatasetRecord(
        name=dataset_name(str(data.get("name") or folder.name)),
        title=str(data.get("title") or data.get("name") or ""),
        license_id=license_id(licenses[0].get("name") or licenses[0].get("path")) if licenses else "",
        tags=tuple(map(str, data.get("keywords") or ())),
        derived_from=origins(sources),
        files=tuple(files),
        fields={key: str(value) for key, value in fields.items() if value},
        place=place,
    )


def _croissant(data: Mapping[str, Any], folder: Path, place: str) -> DatasetRecord:
    kind = str(data.get("@type") or "")
    if not kind.endswith("Dataset"):
        raise BadRecord(place, f"@type is {kind!r}, not a Dataset")
    files = []
    for each in _many(data.get("distribution")):
        if "FileObject" not in str(each.get("@type")) or each.get("containedIn"):
            continue
        path = str(each.get("contentUrl") or each.get("name") or each.get("@id") or "")
        name = str(each.get("name") or path.rsplit("/", 1)[-1])
        files.append(_file(folder, name, path, place, str(each.get("description") or ""), ""))
    people = list(_many(data.get("creator")))
    based = [str(each.get("url") or each.get("@id") or "") for each in _many(data.get("isBasedOn"))]
    keywords = data.get("keywords") or ()
    fields = {
        "notes": data.get("description"),
        "version": data.get("version"),
        "url": data.get("url"),
        "author": people[0].get("name") if people else None,
        "author_email": people[0].get("email") if people else None,
    }
    licenses = list(_many(data.get("license")))
    return DatasetRecord(
        name=dataset_name(str(data.get("name") or folder.name)),
        title=str(data.get("name") or ""),
        license_id=license_id(licenses[0].get("url") or licenses[0].get("name")) if licenses else "",
        tags=tuple(keywords.split(",") if isinstance(keywords, str) else map(str, keywords)),
        derived_from=origins([url for url in based if "://" in url]),
        files=tuple(files),
        fields={key: str(value) for key, value in fields.items() if value},
        place=place,
    )


def _many(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of a JSON-LD value, which may be one, a list, or text."""
    items: Iterable[Any] = value if isinstance(value, list) else [] if value is None else [value]
    for each in items:
        yield each if isinstance(each, Mapping) else {"url": str(each), "name": str(each)}


def _file(folder: Path, name: str, path: str, place: str, description: str, kind: str) -> FileRecord:
    if "://" in path:
        return FileRecord(name, url=path, description=description, format=kind)
    return FileRecord(name, _inside(folder, path, place), description=description, format=kind)


def _inside(folder: Path, path: str, place: str) -> Path:
    """A file that the metadata names; it may come from a stranger and must not take along what lies elsewhere."""
    found = folder / path
    if not found.resolve().is_relative_to(folder.resolve()):
        raise BadRecord(place, f"{path!r} is not below the folder of the metadata file")
    return found
