"""Datasets from a table: CSV, TSV, JSON lines or Excel, one dataset a row."""

from __future__ import annotations

import difflib
import glob
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ckanext.mlops.client.folders import license_id
from ckanext.mlops.client.records import TEXT_FIELDS, BadRecord, DatasetRecord, FileRecord, dataset_name, origins

#: Columns under other names that people give them.
ALIASES = {
    "description": "notes",
    "organization": "owner_org",
    "organisation": "owner_org",
    "license": "license_id",
    "licence": "license_id",
    "keywords": "tags",
    "file": "files",
    "path": "files",
    "visibility": "private",
    "source": "derived_from",
    "experiment": "mlflow_experiment",
    "repository": "dvc_repository",
    "resource_url": "urls",
}
COLUMNS = ("name", "owner_org", "private", "tags", "groups", "derived_from", "files", "urls", *TEXT_FIELDS)
_YES, _NO = ("true", "yes", "1", "private"), ("false", "no", "0", "public", "")


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, values by column) of each row that is not empty.

    :raises BadRecord: the table as a whole cannot be read
    """
    import pandas as pd  # slow to import, and needed here only

    kind = path.suffix.lower()
    try:
        if kind in (".jsonl", ".ndjson"):
            yield from _json_lines(path)
            return
        if kind in (".xlsx", ".xlsm"):
            table = pd.read_excel(path, dtype=str, keep_default_na=False)
        elif kind in (".csv", ".tsv", ".txt"):
            table = pd.read_csv(
                path, dtype=str, keep_default_na=False, sep="\t" if kind == ".tsv" else ",", encoding="utf-8-sig"
            )
        else:
            raise BadRecord(str(path), "its name must end in .csv, .tsv, .jsonl or .xlsx")
    except (OSError, ValueError, ImportError) as error:
        raise BadRecord(str(path), f"cannot be read: {error}") from None
    for number, row in enumerate(table.to_dict("records"), start=2):
        values = {str(key).strip(): str(value).strip() for key, value in row.items() if str(value).strip()}
        if values:
            yield f"{path.name}, row {number}", values


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            place = f"{path.name}, line {number}"
            try:
                values = json.loads(text)
            except ValueError as error:
                yield place, {"": f"no JSON: {error}"}
                continue
            yield place, values if isinstance(values, dict) else {"": "must be a JSON object"}


def read_table(path: Path) -> Iterator[DatasetRecord | BadRecord]:
    """A dataset, or what is wrong with it, for each row. Files are named relative to the table; globs are fine.

    :raises BadRecord: the table as a whole cannot be read
    """
    seen: dict[str, str] = {}
    for place, values in read_rows(path):
        try:
            record = _record(place, values, path.parent).checked()
            if record.name in seen:
                raise BadRecord(place, f"the name {record.name!r} is that of {seen[record.name]}, too")
        except BadRecord as error:
            yield error
            continue
        seen[record.name] = place
        yield record


def _record(place: str, values: Mapping[str, Any], folder: Path) -> DatasetRecord:
    if "" in values:
        raise BadRecord(place, str(values[""]))
    row: dict[str, Any] = {}
    resources: list[Any] = []
    for key, value in values.items():
        column = str(key).strip().lower().replace(" ", "_").replace("-", "_")
        column = ALIASES.get(column, column)
        if column == "resources" and isinstance(value, list):
            resources = value
        elif column not in COLUMNS:
            close = difflib.get_close_matches(column, [*COLUMNS, *ALIASES], 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(COLUMNS)}"
            raise BadRecord(place, f"no column {key!r}; {hint}")
        elif value not in ("", None):
            row[column] = value
    files = [file for pattern in words(row.get("files")) for file in _files(place, pattern, folder)]
    files += [FileRecord(url.rsplit("/", 1)[-1] or url, url=url) for url in words(row.get("urls"))]
    files += [
        FileRecord(str(each.get("name") or each.get("url")), url=str(each.get("url") or ""), fields=dict(each))
        for each in resources
        if isinstance(each, dict)
    ]
    name = str(row.get("name") or "") or dataset_name(str(row.get("title") or ""))
    return DatasetRecord(
        name=name,
        title=str(row.get("title") or ""),
        owner_org=str(row.get("owner_org") or ""),
        private=_flag(place, row.get("private")),
        license_id=license_id(row.get("license_id")),
        tags=tuple(words(row.get("tags"), ",;|")),
        groups=tuple(words(row.get("groups"), ",;| ")),
        derived_from=origins(row.get("derived_from")),
        files=tuple(files),
        fields={key: str(row[key]) for key in TEXT_FIELDS if key in row and key not in ("title", "license_id")},
        place=place,
    )


def words(value: Any, separators: str = ";|\n") -> list[str]:
    """The items of a cell: a list as it is, text cut at the separators."""
    if isinstance(value, (list, tuple)):
        return [str(each.get("name", "") if isinstance(each, dict) else each) for each in value]
    text = str(value or "")
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    return [each.strip() for each in text.split(separators[0]) if each.strip()]


def _files(place: str, pattern: str, folder: Path) -> list[FileRecord]:
    found = [folder / pattern] if (folder / pattern).is_file() else []
    found = found or [folder / each for each in sorted(glob.glob(pattern, root_dir=folder, recursive=True))]  # noqa: PTH207
    files = [FileRecord(path.name, path) for path in found if path.is_file()]
    if not files:
        raise BadRecord(place, f"no file matches {pattern!r} in {folder}")
    return files


def _flag(place: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise BadRecord(place, f"private: {value!r} must be true or false (or public, private)")
