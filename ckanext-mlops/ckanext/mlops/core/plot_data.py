"""The values behind plots: tables and lists in files that Git holds, images by reference."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from .errors import ContentError
from .limits import DEFAULTS, Limits
from .records import Plot
from .revision_files import RevisionFiles
from .untrusted import clean, plain
from .values import LFS_REMEDY, ValueReader, decode

_IMAGES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".svg": "image/svg+xml",
}
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_MAX_ROWS = 100_000
_MAX_FIELDS = 1_000
_MAX_FILES = 1_000


@dataclass(frozen=True, slots=True)
class PlotFile:
    """One file of a plot.

    :param state: ``in-git``, ``from-remote``: its rows are here; ``image``: ``blob`` names it where Git has it;
        ``not-in-git``: a DVC remote stores it; ``invalid``: Git has it and it is no table
    :param rows: data points, as ``dvc plots`` takes them; numbers are numbers
    :param media_type: of an image
    """

    path: str
    state: Literal["in-git", "from-remote", "image", "not-in-git", "invalid"]
    rows: tuple[dict[str, Any], ...] = ()
    blob: str = ""
    size: int | None = None
    media_type: str = ""
    detail: str = ""


def plot_files(plot: Plot, files: RevisionFiles, limits: Limits = DEFAULTS) -> Iterator[PlotFile]:
    """What a plot draws, file by file; of a folder every file in it.

    :param files: of the revision that the plot is of
    """
    for each in listed_files(plot, files):
        yield loaded(each, plot, files, limits)


def listed_files(plot: Plot, files: RevisionFiles) -> Iterator[PlotFile]:
    """The same without opening any: a file of the state ``in-git`` has no rows yet, and may turn out to be no table."""
    for path in islice(_expanded(plot, files), _MAX_FILES):
        found = files.find(path)
        if found is None:
            yield PlotFile(path, "not-in-git", detail="Git has no such file; DVC stores it in a remote")
        elif found.kind == "missing":
            yield PlotFile(path, "not-in-git", detail="its content is not in this mirror")
        else:
            kind = media_type(path)
            yield PlotFile(path, "image" if kind else "in-git", blob=found.oid, size=found.size, media_type=kind)


def loaded(file: PlotFile, plot: Plot, files: RevisionFiles, limits: Limits = DEFAULTS) -> PlotFile:
    """A listed file with its rows, or what is wrong with it."""
    if file.state != "in-git":
        return file
    found = next(files.objects.read([file.blob], limits.value_bytes), None)
    if found is None or found.kind != "blob":
        detail = f"is {file.size} bytes, more than the limit of {limits.value_bytes}"
        return replace(file, state="invalid", detail=detail)
    try:
        return replace(file, rows=tuple(data_points(found.data, file.path, header=has_header(plot), limits=limits)))
    except ContentError as error:
        state: Literal["not-in-git", "invalid"] = "not-in-git" if error.remedy == LFS_REMEDY else "invalid"
        return replace(file, state=state, detail=error.message)


def has_header(plot: Plot) -> bool:
    """Whether the first line of its tables names the columns."""
    return plot.options.get("header") is not False


def _expanded(plot: Plot, files: RevisionFiles) -> Iterator[str]:
    todo = list(reversed(plot.files))
    while todo:
        path = todo.pop()
        names, folders = files.files(path), files.folders(path)
        if not names and not folders:
            yield path
        yield from (posixpath.join(path, name) for name in names)
        if path.count("/") < files.limits.depth:
            todo += [posixpath.join(path, name) for name in reversed(folders)]


def media_type(path: str) -> str:
    """Of a picture; ``""`` for what is none."""
    return _IMAGES.get(posixpath.splitext(path)[1].lower(), "")


def data_points(data: bytes, path: str, *, header: bool = True, limits: Limits = DEFAULTS) -> list[dict[str, Any]]:
    """Rows of a CSV or TSV file, or the first list of mappings in a JSON, YAML or TOML file.

    >>> data_points(b"step,loss\\n1,0.5\\n", "loss.csv")
    [{'step': 1, 'loss': 0.5}]

    :param header: False when the first line has values, too; fields are then called ``0``, ``1``, ...
    :raises ContentError: it is no such file
    """
    separator = _SEPARATORS.get(posixpath.splitext(path)[1].lower())
    if separator is not None and not data.startswith(b"version https://git-lfs"):
        return _table(decode(data), separator, header, limits)
    value = ValueReader(limits).read(data, path)
    found = _points(value)
    if found is None:
        raise ContentError("it has no list of mappings, which plots draw")
    return found[:_MAX_ROWS]


def _table(text: str, separator: str, header: bool, limits: Limits) -> list[dict[str, Any]]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        first = next((line for line in lines if line), [])
        if len(first) > _MAX_FIELDS:
            raise ContentError(f"more than {_MAX_FIELDS} columns")
        fields = [clean(name, limits.text) for name in first] if header else [str(at) for at in range(len(first))]
        rows = [] if header else [_row(fields, first, limits)]
        rows += [_row(fields, line, limits) for line in islice(lines, _MAX_ROWS) if line]
    except csv.Error as error:
        raise ContentError(f"not a table: {error}") from None
    return rows


def _row(fields: list[str], line: list[str], limits: Limits) -> dict[str, Any]:
    return {field: _cell(text, limits) for field, text in zip(fields, line, strict=False)}


def _cell(text: str, limits: Limits) -> Any:
    if len(text) <= 40 and _NUMBER.fullmatch(text):
        value = float(text)
        return int(text) if text.lstrip("+-").isdecimal() else plain(value, limits)
    return clean(text, 10 * limits.text)


def _points(value: Any) -> list[dict[str, Any]] | None:
    """The list of mappings that is found first, looking into mappings."""
    if isinstance(value, list):
        return value if value and all(isinstance(item, dict) for item in value) else None
    if isinstance(value, dict):
        return next((found for item in value.values() if (found := _points(item)) is not None), None)
    return None
