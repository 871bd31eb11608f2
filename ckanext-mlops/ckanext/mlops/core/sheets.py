"""Tables as text for other programs: CSV that is safe to open in a spreadsheet, and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """CSV (RFC 4180, lines end in LF) whose text cells no spreadsheet takes for formulas."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_formula_safe(cell) for cell in head])
    writer.writerows([[_formula_safe(cell) for cell in row] for row in rows])
    return stream.getvalue()


def markdown_text(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; text of strangers cannot break out of its cell."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *(line(row) for row in rows)])


def _formula_safe(cell: str) -> str:
    """A spreadsheet must not run a stranger's text as a formula; numbers stay numbers."""
    if cell[:1] not in ("=", "+", "-", "@", "\t", "\r") or cell == "-":
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell


def _markdown(cell: str) -> str:
    for char in "\\|<>[]`":
        cell = cell.replace(char, "\\" + char)
    return cell.replace("\n", " ")
