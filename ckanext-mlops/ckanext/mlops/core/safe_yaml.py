"""YAML 1.2 for hostile text: libyaml's parser, own values, and a bound on everything.

DVC reads YAML with ruamel.yaml, whose scalars are those of YAML 1.2 (``on`` is text, ``1e-5`` a number); PyYAML's are
those of 1.1. Here libyaml only builds the node graph and :func:`load` makes the values, by ruamel's rules. Text that
could nest deeply is first run through as flat events, because composing recurses in C and would overrun the stack.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # its stub leaves it out

from .errors import ContentError
from .limits import DEFAULTS, Limits

_INT = re.compile(r"[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+")
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?"
)
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("~", "null", "Null", "NULL", ""), None),
}
_NUMERIC = frozenset("-+.0123456789")
_BREAKS = "\n\r\x85\u2028\u2029"
# A block collection starts right of its parent's column (a list in a mapping may start at it), so nesting needs
# either a long run of indentation and indicators at a line's start, or flow brackets.
_DEEP_BLOCK = re.compile(rf"(?:^|[{_BREAKS}])[ \t\-?:]{{50}}")
_TAG = "tag:yaml.org,2002:"
_MERGE = object()


class _Composer(CParser):
    """libyaml's composer; marks plain scalars instead of resolving their tag."""

    def descend_resolver(self, parent: Any, index: Any) -> None: ...
    def ascend_resolver(self) -> None: ...

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return "plain" if kind is yaml.ScalarNode and implicit[0] else "text"


def scalar(text: str) -> Any:
    """The value of an unquoted scalar, as ruamel.yaml reads YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    if _DATE.fullmatch(text):
        return _date(text)
    return text


def hash_safe_scalar(text: str) -> Any:
    """Like :func:`scalar` for DVC's own files, where an unquoted hash may look like a number.

    More than 18 digits, a leading zero, or 16 and more hexadecimal digits stay text.
    """
    if text[:1] not in _NUMERIC:
        return _WORDS.get(text, text)
    digits = text.lstrip("+-")
    if len(digits) < 16 and digits.isdecimal() and (digits[0] != "0" or len(digits) == 1) and digits.isascii():
        return int(text)
    if len(digits) > 15 and _HEXADECIMAL.fullmatch(digits):
        return text
    if len(digits) > 1 and digits[0] == "0" and digits.isdecimal():
        return text
    return scalar(text)


_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{19,}|(?=[0-9]*[a-fA-F])[0-9a-fA-F]{16,}")


def _integer(text: str) -> Any:
    plain = text.replace("_", "")
    digits = plain.lstrip("+-")
    if len(digits) > 4000 or not digits:
        return text
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 10)
    value = int(digits[2:] if base != 10 else digits, base)
    return -value if plain[0] == "-" else value


def _date(text: str) -> Any:
    try:
        return datetime.date.fromisoformat(text) if len(text) == 10 else datetime.datetime.fromisoformat(text)
    except ValueError:
        return text


def load(
    text: str,
    limits: Limits = DEFAULTS,
    *,
    plain: Callable[[str], Any] = scalar,
    duplicates: list[str] | None = None,
) -> Any:
    """The single document that ``text`` holds (None when it is empty).

    :param plain: value of an unquoted scalar
    :param duplicates: receives keys that were given twice in one mapping
    :raises ContentError: not YAML, several documents, unknown tags, or larger than a limit; ``line`` where known
    """
    if text.startswith("\ufeff"):
        text = text[1:]
    try:
        if _may_be_deep(text, limits.yaml_depth):
            _check_depth(text, limits)
        root = _compose(text)
    except yaml.YAMLError as error:
        raise _content_error(error) from None
    except (ValueError, RecursionError) as error:
        raise ContentError(f"not YAML: {error}"[:300]) from None
    if root is None:
        return None
    return _Builder(plain, limits, duplicates).build(root, 0)


def _compose(text: str) -> Any:
    composer = _Composer(text)
    try:
        return composer.get_single_node()
    finally:
        composer.dispose()


def _may_be_deep(text: str, depth: int) -> bool:
    return text.count("[") + text.count("{") >= depth or _DEEP_BLOCK.search(text) is not None


def _check_depth(text: str, limits: Limits) -> None:
    depth = nodes = 0
    composer = _Composer(text)
    try:
        while composer.check_event():
            event = composer.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > limits.yaml_depth:
                    raise ContentError(
                        f"nested deeper than {limits.yaml_depth} levels (limit: yaml_depth)", line=_line(event)
                    )
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            nodes += 1
            if nodes > 2 * limits.yaml_nodes:
                raise ContentError(f"more than {limits.yaml_nodes} values (limit: yaml_nodes)")
    finally:
        composer.dispose()


def _content_error(error: yaml.YAMLError) -> ContentError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return ContentError(
        f"not YAML: {problem}"[:300],
        line=mark.line + 1 if mark else None,
        remedy="correct the file; conflict markers of a merge are a usual cause",
    )


class _Builder:
    """Values of a node graph. Aliases are walked again each time, so that the bound counts what they expand to."""

    def __init__(self, plain: Callable[[str], Any], limits: Limits, duplicates: list[str] | None) -> None:
        self.plain = plain
        self.limits = limits
        self.duplicates = duplicates
        self.left = limits.yaml_nodes

    def build(self, node: Any, depth: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ContentError(
                f"expands to more than {self.limits.yaml_nodes} values (limit: yaml_nodes)", line=_line(node)
            )
        kind, tag = node.__class__, node.tag
        if kind is yaml.ScalarNode:
            if tag == "plain":
                return self.plain(node.value)
            return node.value if tag == "text" else self._tagged(node)
        if depth >= self.limits.yaml_depth:
            raise ContentError(
                f"nested deeper than {self.limits.yaml_depth} levels (limit: yaml_depth)", line=_line(node)
            )
        if kind is yaml.SequenceNode:
            if tag not in ("text", _TAG + "seq"):
                raise ContentError(f"unknown tag {tag[:80]}", line=_line(node), remedy="remove the tag")
            return [self.build(item, depth + 1) for item in node.value]
        if tag not in ("text", _TAG + "map"):
            raise ContentError(f"unknown tag {tag[:80]}", line=_line(node), remedy="remove the tag")
        return self._mapping(node, depth)

    def _mapping(self, node: Any, depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        merged: list[Any] = []
        for key_node, value_node in node.value:
            if key_node.tag == "plain" and key_node.value == "<<":
                merged.append(value_node)
                continue
            key = self.build(key_node, depth + 1)
            if isinstance(key, (dict, list)):
                raise ContentError("a mapping or list cannot be a key", line=_line(key_node))
            if key in result and self.duplicates is not None and len(self.duplicates) < 100:
                self.duplicates.append(f"{str(key)[:80]} (line {_line(key_node)})")
            result[key] = self.build(value_node, depth + 1)
        if not merged:
            return result
        below: dict[Any, Any] = {}
        for value_node in merged:
            value = self.build(value_node, depth + 1)
            for part in value if isinstance(value, list) else [value]:
                if not isinstance(part, dict):
                    raise ContentError("'<<' needs a mapping", line=_line(value_node))
                for key, item in part.items():
                    below.setdefault(key, item)
        return {**below, **result}

    def _tagged(self, node: Any) -> Any:
        name = node.tag.removeprefix(_TAG)
        if name == "str":
            return node.value
        if name in ("int", "float", "bool", "null"):
            value = scalar(node.value)
            if name == "float" and isinstance(value, int) and not isinstance(value, bool):
                return float(value) if value.bit_length() < 1000 else node.value
            return value
        raise ContentError(f"unknown tag {node.tag[:80]}", line=_line(node), remedy="remove the tag")


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
