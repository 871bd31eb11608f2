"""The regular part of YAML that tools write, parsed at the speed of a few regular expressions.

``dvc.lock`` and ``*.dvc`` files are written by DVC, always in the same simple style. :func:`parse` reads exactly that
style: block mappings and lists of unquoted (or simply quoted) one-line scalars in printable ASCII. Anything else (a
comment, flow collection, anchor, tag, block scalar, continued line, tab, empty or repeated key) is :class:`Irregular`,
and the caller turns to :mod:`.safe_yaml`. ``tests/core/test_documents.py`` compares both on generated text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

# indent, "- " or "", key or "", value after "key:" (with its space), scalar of a list item
_LINE = re.compile(r"( *)(- )?(?:([A-Za-z_][A-Za-z0-9_./@+-]*):( .*)?|([^\n]*))(?:\n|\Z)")
_TEXT = re.compile(r"[\n -~]*")
_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./$(-+")
_WORDS = frozenset(["true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL"])
_MAX_COLUMN = 60

Line = tuple[str, str, str, str, str]


class Irregular(Exception):
    """The text is not in the simple style."""


def parse(text: str, plain: Callable[[str], Any]) -> Any:
    """The mapping that ``text`` is.

    :param plain: value of an unquoted scalar
    :raises Irregular: it has to be parsed by a real parser
    """
    if not _TEXT.fullmatch(text):
        raise Irregular
    lines = [line for line in _LINE.findall(text) if line[1] or line[2] or line[4]]
    if not lines or lines[0][1] or not lines[0][2]:
        raise Irregular
    value, end = _mapping(lines, 0, len(lines[0][0]), plain)
    if end != len(lines):
        raise Irregular
    return value


def _mapping(lines: list[Line], at: int, column: int, plain: Callable[[str], Any]) -> tuple[dict[str, Any], int]:
    """A mapping whose keys start in ``column``; its first line may start with the dash of the list around it."""
    if column > _MAX_COLUMN:
        raise Irregular
    result: dict[str, Any] = {}
    count = len(lines)
    while True:
        _, _, key, value, _ = lines[at]
        if not key or key in result or key in _WORDS:
            raise Irregular
        at += 1
        if value:
            result[key] = _scalar(value[1:], plain)
        elif at < count:
            indent = len(lines[at][0])
            dash = lines[at][1]
            if dash and indent >= column:
                result[key], at = _list(lines, at, indent, plain)
            elif indent > column:
                result[key], at = _mapping(lines, at, indent, plain)
            else:
                result[key] = None
        else:
            result[key] = None
        if at >= count:
            return result, at
        indent = len(lines[at][0])
        if indent < column:
            return result, at
        if indent > column or lines[at][1]:
            # A list at this column that belongs to no key here may belong to a list around.
            if indent == column:
                return result, at
            raise Irregular


def _list(lines: list[Line], at: int, column: int, plain: Callable[[str], Any]) -> tuple[list[Any], int]:
    if column > _MAX_COLUMN:
        raise Irregular
    result: list[Any] = []
    count = len(lines)
    while True:
        _, _, key, _, item = lines[at]
        if key:
            value, at = _mapping(lines, at, column + 2, plain)
            result.append(value)
        else:
            result.append(_scalar(item, plain))
            at += 1
        if at >= count:
            return result, at
        indent, dash = len(lines[at][0]), lines[at][1]
        if indent > column:
            raise Irregular
        if indent < column or not dash:
            return result, at


def _scalar(text: str, plain: Callable[[str], Any]) -> Any:
    first = text[:1]
    if first == "'":
        inner = text[1:-1]
        if len(text) < 2 or text[-1] != "'" or "'" in inner:
            raise Irregular
        return inner
    if (
        first not in _FIRST
        or first == ""
        or text[-1] in " :"
        or ": " in text
        or " #" in text
        or text[:2] in ("- ", "-")
    ):
        raise Irregular
    return plain(text)
