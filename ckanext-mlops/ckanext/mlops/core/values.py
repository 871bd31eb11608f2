"""Params and metrics files: YAML, JSON, TOML and, as data only, Python."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterable
from typing import Any

from .documents import Block, DocumentParser
from .errors import ContentError
from .limits import DEFAULTS, Limits
from .memo import Memo
from .safe_yaml import scalar
from .said import said
from .untrusted import plain

LFS_REMEDY = said("fetch it with git-lfs")
_POINTER = b"version https://git-lfs.github.com/spec/"
_DEEP_PYTHON = re.compile(r"(?:[-+~]\s*){40}|(?:\bnot\s+){40}|(?:\*\*\s*\S+\s*){40}|(?:\blambda\b[^\n]*){20}")


class ValueReader:
    """Reads values files; blocks of YAML files are parsed once (see :class:`~.documents.DocumentParser`)."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self.limits = limits
        self._documents = DocumentParser(limits, plain=scalar, finish=lambda value: plain(value, limits))

    @property
    def blocks(self) -> Memo[str, Block]:
        """Blocks of YAML files that are remembered."""
        return self._documents.blocks

    def read(self, data: bytes, path: str) -> Any:
        """What the file says, as JSON values. The format is the suffix's, YAML when it is another one.

        :raises ContentError: it is not in that format
        """
        if data.startswith(_POINTER):
            raise ContentError("Git has a git-lfs pointer, not the file", remedy=LFS_REMEDY)
        text = decode(data)
        suffix = path.rpartition("/")[2].rpartition(".")[2].lower()
        try:
            if suffix == "json":
                value = json.loads(text)
            elif suffix == "toml":
                value = tomllib.loads(text)
            elif suffix == "py":
                value = python_values(text)
            else:
                return self._documents.parse_values(text)
        except ContentError:
            raise
        except (ValueError, RecursionError, MemoryError) as error:
            message = said(f"not {suffix.upper()}: {error or type(error).__name__}")
            raise ContentError(message[:300]) from None
        return plain(value, self.limits)


def decode(data: bytes) -> str:
    """UTF-8 text, a byte order mark dropped.

    :raises ContentError: it is not UTF-8, or holds NUL
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContentError(
            f"not UTF-8 at byte {error.start}", line=data.count(b"\n", 0, error.start) + 1, remedy="save it as UTF-8"
        ) from None
    if "\0" in text:
        raise ContentError("holds a NUL character: a binary file?", line=text.count("\n", 0, text.index("\0")) + 1)
    return text.removeprefix("\ufeff")


def python_values(text: str) -> dict[str, Any]:
    """Literals that a Python file assigns: at its top, in class bodies, and to ``self`` in ``__init__``. Nothing runs.

    :raises ContentError: it is not Python or nests too deeply
    """
    _refuse_deep(text)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ContentError(f"not Python: {error}"[:300], line=getattr(error, "lineno", None)) from None
    return _assigned(tree.body, in_init=False)


def _refuse_deep(text: str) -> None:
    depth = 0
    for char in re.findall(r"[()\[\]{}]", text):
        depth += 1 if char in "([{" else -1
        if depth > 80:
            raise ContentError("brackets nest deeper than 80")
    if _DEEP_PYTHON.search(text) or len(text) > 1_000_000:
        raise ContentError("an expression is too long to be a parameter")


def _assigned(body: Iterable[ast.stmt], *, in_init: bool) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for item in body:
        if isinstance(item, ast.ClassDef):
            result[item.name] = _assigned(item.body, in_init=False)
        elif isinstance(item, ast.FunctionDef) and item.name == "__init__":
            result.update(_assigned(item.body, in_init=True))
        elif isinstance(item, (ast.Assign, ast.AnnAssign)):
            targets = [item.target] if isinstance(item, ast.AnnAssign) else item.targets
            name = _target(targets[0], in_init) if len(targets) == 1 else None
            if name is None or item.value is None:
                continue
            try:
                result[name] = ast.literal_eval(item.value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
    return result


def _target(target: ast.expr, in_init: bool) -> str | None:
    if isinstance(target, ast.Name) and not in_init:
        return target.id
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        return target.attr
    return None


def metric_values(value: Any) -> Any:
    """What of a metrics file counts as metrics: numbers and text, in mappings; the rest is left out."""
    if isinstance(value, (int, float, str)):
        return value
    if not isinstance(value, dict):
        return None
    kept = {key: metric_values(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item is not None and item != {}}


def nest(target: dict[str, Any], key: str, value: Any) -> None:
    """Set the value at a dotted key, making the mappings on the way."""
    *parents, last = key.split(".")
    for part in parents:
        below = target.setdefault(part, {})
        if not isinstance(below, dict):
            return
        target = below
    target[last] = value


def select(value: Any, key: str) -> Any:
    """The value at a dotted key (``train.lr``, ``layers.0``); raises KeyError when there is none."""
    for part in key.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise KeyError(key)
    return value
