"""``${}``, ``foreach`` and ``matrix`` of a ``dvc.yaml``, by DVC's own resolver over a Git tree.

DVC gets no repository, no configuration and no file system: only the parsed definition and a shim that answers from
one tree with values which our guarded readers parsed. What a resolution looked at is its key in the memo, so a
``dvc.yaml`` is resolved again only when a file that it really read changed.
"""

from __future__ import annotations

import io
import json
import logging
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

from .errors import ContentError
from .limits import Limits
from .said import said

_MAX_TEXT = 20_000_000
_INSTALL = said("install the package with its extra 'dvc'")


@dataclass(eq=False, slots=True)
class Resolved:
    """A pipeline without templates; ``looked`` maps each path that was asked for to the object found there."""

    stages: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    top: dict[str, Any] = field(default_factory=dict)
    used: dict[str, dict[str, Any]] = field(default_factory=dict)
    looked: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    remedy: str = ""


def is_templated(text: str) -> bool:
    """Whether a ``dvc.yaml`` needs resolving."""
    return "${" in text or "foreach:" in text or "matrix:" in text


def resolve(
    definition: dict[str, Any],
    folder: str,
    blob: Callable[[str], str],
    values: Callable[[str, str], Any],
    limits: Limits,
) -> Resolved:
    """All stages and top-level lists of a ``dvc.yaml`` in ``folder``.

    What cannot be resolved is in ``failed`` (stage group to reason) or, for the whole file, in ``problem``.

    :param blob: path to the object id of the file there, ``""`` for none
    :param values: ``(object id, path)`` to a file's parsed values; raises ContentError
    """
    shim = _Tree(blob, values, definition)
    result = Resolved(looked=shim.looked)
    try:
        from dvc.parsing import DataResolver
    except ImportError:
        result.problem, result.remedy = said("templates are not resolved because dvc is not installed"), _INSTALL
        return result
    logging.getLogger("dvc.parsing").setLevel(logging.ERROR)
    try:
        shim.check()
        resolver = DataResolver(cast(Any, _Repository(shim)), folder, definition)
        _sections(resolver, result)
    except Exception as error:
        result.problem = said(f"templates cannot be resolved: {_reason(error)}")
        return result
    made = size = 0
    for group, entry in resolver.definitions.items():
        try:
            made += _expected(entry, limits.generated)
            if made > limits.generated:
                raise ContentError(f"foreach and matrix make more than {limits.generated} stages (limit: generated)")
            names = list(entry.get_generated_names()) if hasattr(entry, "get_generated_names") else [str(group)]
            for name in names:
                resolved = resolver.resolve_one(name)[name]
                size += _text_size(resolved)
                if size > _MAX_TEXT:
                    raise ContentError(f"the stages come to more than {_MAX_TEXT:,} characters")
                result.stages[name] = resolved
                result.groups[name] = str(group)
        except Exception as error:
            result.failed[str(group)] = _reason(error)
    for name, files in resolver.tracked_vars.items():
        result.used[str(name)] = {str(file): dict(keys) for file, keys in files.items()}
    return result


def _sections(resolver: Any, result: Resolved) -> None:
    for key in ("artifacts", "datasets", "metrics", "params", "plots"):
        try:
            result.top[key] = getattr(resolver, f"resolve_{key}")()
        except Exception as error:
            result.failed[key] = _reason(error)


def _expected(entry: Any, most: int) -> int:
    """How many stages a definition makes, counted before they are made."""
    matrix = getattr(entry, "matrix_data", None)
    if matrix is None:
        data = getattr(entry, "resolved_iterable", None)
        return len(data) if data is not None else 1
    sizes = []
    for axis in matrix.values():
        value = entry.context.resolve(axis, unwrap=False)
        if not hasattr(value, "__len__"):
            raise ContentError("an axis of 'matrix' is not a list")
        sizes.append(min(len(value), most + 1))
    return prod(sizes)


def _text_size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_text_size, value.values()))
    return sum(map(_text_size, value)) if isinstance(value, list) else 1


def _most_references(value: Any) -> int:
    """The largest number of ``${}`` in one text."""
    if isinstance(value, str):
        return value.count("${")
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return 0
    return max(map(_most_references, value), default=0)


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]


class _Repository:
    """What DataResolver asks of a repository."""

    def __init__(self, fs: _Tree) -> None:
        self.fs = fs
        self.config: dict[str, Any] = {}


class _Tree:
    """One Git tree as DVC's resolver sees a file system; remembers what was looked at.

    Every file is presented as JSON, parsed by our own readers: DVC's YAML reader is never given foreign text.
    """

    sep = "/"

    def __init__(
        self, blob: Callable[[str], str], values: Callable[[str, str], Any], definition: dict[str, Any]
    ) -> None:
        self._blob = blob
        self._values = values
        self._references = _most_references(definition)
        self._size = _text_size(definition)
        self.looked: dict[str, str] = {}

    def join(self, *parts: str) -> str:
        return posixpath.join(*parts)

    def normpath(self, path: str) -> str:
        return posixpath.normpath(path)

    def relpath(self, path: str, start: str = ".") -> str:
        return posixpath.relpath(path, start)

    def suffix(self, path: str) -> str:
        del path
        return ".json"

    def exists(self, path: str) -> bool:
        return bool(self._oid(path))

    def isfile(self, path: str) -> bool:
        return self.exists(path)

    def isdir(self, path: str) -> bool:
        del path
        return False

    def open(self, path: str, mode: str = "r", **_: Any) -> io.StringIO:
        del mode
        oid = self._oid(path)
        if not oid:
            raise FileNotFoundError(path)
        text = json.dumps(self._values(oid, path))
        self._size += len(text)
        self.check()
        return io.StringIO(text)

    def check(self) -> None:
        """Refuse a text that could grow beyond bounds: no reference stands for more than all values together."""
        if self._references * self._size > _MAX_TEXT:
            raise ContentError(f"one text has {self._references} references to {self._size:,} characters of values")

    def _oid(self, path: str) -> str:
        path = posixpath.normpath(path)
        if path.startswith(("/", "..")):
            raise ContentError(f"{path[:100]} is outside of the repository")
        if path not in self.looked:
            self.looked[path] = self._blob(path)
        return self.looked[path]
