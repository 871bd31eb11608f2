"""DVC's YAML files, each distinct block parsed once.

A ``dvc.lock`` of 200 stages differs from the one before it in a few of them, so the file is cut at its top-level keys,
and below ``stages:`` at each stage, and every block is parsed once however many files hold it.

Why this equals parsing the whole file: a cut is made only before a line that starts a plain key at exactly the
column of its siblings, every less indented line of the file is such a key, a comment or blank, and every block must
parse alone to a mapping with exactly that one text key. A quoted text, flow collection or alias that reaches over a
cut is unbalanced or undefined in its block; a document marker, directive, tag, tab or complex key is not a plain key.
All these, and a key given twice, send the whole file to the ordinary parser. ``tests/core/test_documents.py`` compares
both ways on generated and mutated text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from . import cache, regular_yaml
from .errors import ContentError
from .limits import DEFAULTS, Limits
from .memo import Memo
from .safe_yaml import hash_safe_scalar, load

_SMALL = 100  # bytes of a packed value that is as quick to load as to leave packed
_KEY = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.@/+-]{0,200}):(?= |\n|$)")
_TOP = re.compile(r"\n(?=[^ \n#])")  # with a literal first character the search is 15 times as fast
_ONLY_COMMENTS = re.compile(r"(?:[ ]*(?:#.*)?\n)*")
_HEADER = re.compile(r"stages:[ ]*(?:#.*)?\n")
_FIRST = re.compile(r"(?:[ ]*(?:#.*)?\n)*( +)(?=[^ \n#])")


class Block:
    """A stage as its file writes it. Equal text gives the same object, so identity stands for content.

    A block from the cache has its value packed until somebody asks: of most stages nobody does, since what was made of
    them is remembered as well.
    """

    __slots__ = ("_packed", "_value", "given")

    def __init__(self, value: Any, packed: bytes = b"") -> None:
        self._value = value
        self._packed = packed
        #: Whether there is a value at all.
        self.given = bool(packed) or value is not None

    @property
    def value(self) -> Any:
        """What was written, parsed."""
        if self._packed:
            self._value, self._packed = cache.unpack(self._packed), b""
        return self._value

    def __reduce__(self) -> tuple[type[Block], tuple[Any, ...]]:
        packed = self._packed or (cache.pack(self._value) if self.given else b"")
        return Block, (None, packed) if len(packed) > _SMALL else (self.value,)


@dataclass(slots=True)
class Document:
    """A parsed file.

    :param top: top-level keys without ``stages``; not a mapping when the file is none
    :param stages: stage name to its block
    :param lines: stage name to the 1-based line where it starts, when the file was cut
    :param duplicates: keys that were given more than once
    """

    top: Any
    stages: dict[str, Block] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    duplicates: tuple[str, ...] = ()


class _Unusual(Exception):
    """The text cannot be cut safely."""


class _TooMany(Exception):
    """There are more lines that start a stage than the limit allows."""


class DocumentParser:
    """Parses files and remembers their blocks.

    :param plain: value of an unquoted scalar
    :param finish: applied to the value of every block, or to the whole when it was not cut
    """

    def __init__(
        self,
        limits: Limits = DEFAULTS,
        capacity: int = 512,
        plain: Callable[[str], Any] = hash_safe_scalar,
        finish: Callable[[Any], Any] | None = None,
    ) -> None:
        self.limits = limits
        self.finish = finish
        self.plain = plain
        self.blocks: Memo[str, Block] = Memo(capacity)

    def parse(self, text: str) -> Document:
        """The document in ``text``.

        :raises ContentError: it is not YAML or larger than a limit
        """
        if text.count("\n") > self.limits.lines:
            raise ContentError(f"more than {self.limits.lines} lines (limit: lines)", remedy="split the file")
        try:
            return self._by_blocks(text)
        except _TooMany:
            raise self._too_many() from None
        except (_Unusual, ContentError):
            return self.parse_whole(text)

    def parse_whole(self, text: str) -> Document:
        """The same without cutting."""
        duplicates: list[str] = []
        top = load(text, self.limits, plain=self.plain, duplicates=duplicates)
        if not isinstance(top, dict):
            return Document(top, duplicates=tuple(duplicates))
        stages = top.pop("stages", None)
        if isinstance(stages, dict):
            blocks = {str(name): Block(value) for name, value in stages.items()}
        else:
            blocks = {}
            if stages is not None:
                top["stages"] = stages
        self._count(blocks)
        return Document(top, blocks, duplicates=tuple(duplicates))

    def parse_values(self, text: str) -> Any:
        """A file that has no stages, such as params: its top-level keys, or whatever else it is.

        :raises ContentError: it is not YAML or larger than a limit
        """
        if text.count("\n") > self.limits.lines:
            raise ContentError(f"more than {self.limits.lines} lines (limit: lines)", remedy="split the file")
        try:
            if len(text) > 500:
                return self._sections(text)
        except (_Unusual, ContentError):
            pass
        value = load(text, self.limits, plain=self.plain)
        return self.finish(value) if self.finish else value

    def _count(self, blocks: dict[str, Block]) -> None:
        if len(blocks) > self.limits.stages:
            raise self._too_many()

    def _too_many(self) -> ContentError:
        return ContentError(
            f"more than {self.limits.stages} stages (limit: stages)", remedy="split the pipeline into folders"
        )

    def _sections(self, text: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, start, end in _cuts(text):
            if key in result:
                raise _Unusual
            result[key] = self._block(key, text[start:end]).value
        self.blocks.reserve(2 * len(result))
        return result

    def _by_blocks(self, text: str) -> Document:
        top: dict[str, Any] = {}
        stages: dict[str, Block] = {}
        lines: dict[str, int] = {}
        for key, start, end in _cuts(text):
            header = _HEADER.match(text, start)
            if key in top or (key == "stages" and header is None):
                raise _Unusual
            if header is None:
                top[key] = self._block(key, text[start:end]).value
            elif stages:
                raise _Unusual
            else:
                self._stages(text, header.end(), end, stages, lines)
        self._count(stages)
        return Document(top, stages, lines)

    def _stages(self, text: str, start: int, end: int, stages: dict[str, Block], lines: dict[str, int]) -> None:
        first = _FIRST.match(text, start, end)
        if first is None:
            raise _Unusual
        indent = len(first[1])
        # Every line that is not indented deeper than the stages' names; it must be such a name.
        cuts = [match.end() for match in _line_starts(indent).finditer(text, start - 1, end)]
        if len(cuts) > self.limits.stages:
            raise _TooMany  # before any of them is parsed, by whatever way
        line = text.count("\n", 0, start) + 1
        at = start
        cuts.append(end)
        self.blocks.reserve(2 * len(cuts))
        for cut, stop in pairwise(cuts):
            key = _KEY.match(text, cut)
            if key is None or text[cut - indent - 1] != "\n" or key[1] in stages:
                raise _Unusual
            line += text.count("\n", at, cut)
            at = cut
            lines[key[1]] = line
            stages[key[1]] = self._block(key[1], text[cut - indent : stop if stop == end else stop - indent])

    def _block(self, key: str, text: str) -> Block:
        block = self.blocks.get(text)
        if block is None:
            duplicates: list[str] = []
            try:
                value = regular_yaml.parse(text, self.plain)
            except regular_yaml.Irregular:
                value = load(text, self.limits, plain=self.plain, duplicates=duplicates)
            if duplicates or not isinstance(value, dict) or len(value) != 1 or key not in value:
                raise _Unusual
            block = Block(self.finish(value[key]) if self.finish else value[key])
            self.blocks[text] = block
        return block


def _cuts(text: str) -> Iterator[tuple[str, int, int]]:
    cuts = [0] if text[:1] not in ("", " ", "\n", "#") else []
    cuts += [match.end() for match in _TOP.finditer(text)]
    if not cuts or not _ONLY_COMMENTS.fullmatch(text, 0, cuts[0]):
        raise _Unusual
    cuts.append(len(text))
    for start, end in pairwise(cuts):
        key = _KEY.match(text, start)
        if key is None:
            raise _Unusual
        yield key[1], start, end


_STARTS: dict[int, re.Pattern[str]] = {}


def _line_starts(indent: int) -> re.Pattern[str]:
    pattern = _STARTS.get(indent)
    if pattern is None:
        pattern = _STARTS[indent] = re.compile(rf"\n {{0,{indent}}}(?=[^ \n#])")
    return pattern
