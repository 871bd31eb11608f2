"""Datasets from a table: CSV, TSV, JSON lines or Excel, one dataset a row."""

from __future__ import annotations

import codecs
import csv
import difflib
import glob
import io
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ckanext.mlops.client.folders import license_id
from ckanext.mlops.client.records import (
    TEXT_FIELDS,
    BadRecord,
    DatasetRecord,
    FileRecord,
    dataset_name,
    origins,
    unique,
)

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
MAX_CELL = 16 * 1024 * 1024
_YES, _NO = ("true", "yes", "1", "private"), ("false", "no", "0", "public", "")


def read_rows(path: Path, columns: Collection[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, values by column) of each row that is not empty; a row that cannot be read has its reason under ``""``.

    :param columns: names that tell which separator a CSV file has
    :raises BadRecord: the table as a whole cannot be read
    """
    kind = path.suffix.lower()
    try:
        if kind in (".jsonl", ".ndjson"):
            yield from _json_lines(path)
        elif kind in (".csv", ".tsv", ".txt"):
            yield from _csv_rows(path, "\t" if kind == ".tsv" else "", columns)
        elif kind in (".xlsx", ".xlsm"):
            yield from _excel_rows(path)
        else:
            raise BadRecord(str(path), "its name must end in .csv, .tsv, .jsonl or .xlsx")
    except OSError as error:
        raise BadRecord(str(path), f"cannot be read: {error.strerror or error}") from None


def _csv_rows(path: Path, separator: str, columns: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    text = _decoded(path)
    separator = separator or _separator(text.split("\n", 1)[0], columns)
    lines, broken = _cells(text, separator)
    header = [name.strip() for name in lines[0][1]] if lines else []
    if not any(header) and not broken:
        raise BadRecord(str(path), "it has no first row with the names of columns")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise BadRecord(str(path), f"two columns are called {twice[0]!r}")
    for first, cells in lines[1:]:
        place = f"{path.name}, row {first}"
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            said = f"{len(cells)} cells in a table of {len(header)} columns; put text with {separator!r} into quotes"
            yield place, {"": said}
            continue
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
        if values:
            yield place, values
    if broken:
        raise BadRecord(f"{path.name}, row {broken[0]}", f"no CSV: {broken[1]}")


def _cells(text: str, separator: str) -> tuple[list[tuple[int, list[str]]], tuple[int, str] | None]:
    """The first line and the cells of each row; and where and why the text is no CSV."""
    # Notes of a dataset may be long. The limit is one of the whole process.
    before = csv.field_size_limit(MAX_CELL)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    found, first = [], 1
    try:
        for cells in lines:
            found.append((first, cells))
            first = lines.line_num + 1
    except csv.Error as error:
        return found, (lines.line_num, str(error))
    finally:
        csv.field_size_limit(before)
    return found, None


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"{path.name}, row {data.count(10, 0, error.start) + 1}"
        raise BadRecord(place, "the text is not UTF-8; save the table as 'CSV UTF-8'") from None


def _separator(header: str, columns: Collection[str]) -> str:
    """The separator with which the first row names most columns; spreadsheets in much of Europe write ``;``."""

    def known(separator: str) -> int:
        names = [name.strip().strip('"').lower() for name in header.split(separator)]
        return sum(name in columns for name in names)

    return max(",;\t", key=known)


def _excel_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pandas as pd  # slow to import, and needed here only

    try:
        table = pd.read_excel(path, dtype=str, keep_default_na=False, engine="openpyxl")
    except ImportError:
        raise BadRecord(str(path), "Excel files need openpyxl: pip install 'ckanext-mlops[excel]'") from None
    except OSError:
        raise
    except Exception as error:  # a stranger's file makes openpyxl raise anything
        raise BadRecord(str(path), f"is no sound Excel file: {str(error)[:200]}") from None
    for number, row in enumerate(table.to_dict("records"), start=2):
        values = {
            str(key).strip(): str(value).strip()
            for key, value in row.items()
            if not pd.isna(value) and str(value).strip()
        }
        if values:
            yield f"{path.name}, row {number}", values


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as lines:
        for number, data in enumerate(lines, start=1):
            if not data.strip():
                continue
            place = f"{path.name}, line {number}"
            try:
                values = json.loads(data.decode("utf-8-sig"))
            except UnicodeDecodeError:
                yield place, {"": "the text is not UTF-8"}
                continue
            except (ValueError, RecursionError) as error:
                yield place, {"": f"no JSON: {error}"}
                continue
            yield place, values if isinstance(values, dict) else {"": "must be a JSON object"}


def read_table(path: Path) -> Iterator[DatasetRecord | BadRecord]:
    """A dataset, or what is wrong with it, for each row. Files are named relative to the table; globs are fine.

    :raises BadRecord: the table as a whole cannot be read
    """
    yield from unique(_records(path))


def _records(path: Path) -> Iterator[DatasetRecord | BadRecord]:
    for place, values in read_rows(path, {*COLUMNS, *ALIASES}):
        try:
            yield _record(place, values, path.parent).checked()
        except BadRecord as error:
            yield error


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
    try:
        found = [folder / pattern] if (folder / pattern).is_file() else []
        found = found or [folder / each for each in sorted(glob.glob(pattern, root_dir=folder, recursive=True))]  # noqa: PTH207
        files = [FileRecord(path.name, path) for path in found if path.is_file()]
    except OSError as error:
        raise BadRecord(place, f"files: {pattern[:200]!r}: {error.strerror}") from None
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
