"""Records that somebody sends, as ``ckan-mlops read --json`` writes them: every type, size and text is checked.

A record of the reader can be trusted to be bounded and of the right types. What comes over the network is made so here,
or refused with the place of the fault.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import ContentError
from .limits import DEFAULTS, Limits
from .records import Problem, Repository, Revision, Snapshot
from .untrusted import clean, clean_command, clean_url, has_scheme, plain

SCHEMA = "ckan-mlops/read/1"
R = TypeVar("R")
_URLS = {"url", "source", "storage", "uri"}
_LONG = {"message", "note", "desc", "command", "readme", "license", "detail"}


@dataclasses.dataclass(frozen=True)
class Received:
    """A whole document."""

    repository: Repository
    snapshots: list[Snapshot]
    problems: list[Problem]


def received(document: Any, limits: Limits = DEFAULTS) -> Received:
    """The records of a document of ``ckan-mlops read --json``.

    :raises ContentError: naming the place
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ContentError(f"not a document of 'ckan-mlops read --json': its schema must be {SCHEMA}")
    snapshots = _items(document.get("snapshots"), "snapshots", limits.commits)
    found = []
    for number, each in enumerate(snapshots):
        place = f"snapshots[{number}]"
        if not isinstance(each, dict):
            raise ContentError(f"{place}: must be an object")
        stages = _items(each.get("stages", []), f"{place}.stages", limits.stages)
        found.append(_record(Snapshot, {**each, "stages": stages, "edges": None}, place, limits, skip=("edges",)))
        _check_revisions(found[-1].revisions, f"{place}.revisions")
    if sum(len(snapshot.revisions) for snapshot in found) > limits.commits + limits.refs:
        raise ContentError("more revisions than are read (limit: commits)")
    problems = _items(document.get("problems", []), "problems", 10_000)
    return Received(
        _record(Repository, document.get("repository"), "repository", limits),
        found,
        [_record(Problem, each, f"problems[{number}]", limits) for number, each in enumerate(problems)],
    )


def _check_revisions(revisions: tuple[Revision, ...], place: str) -> None:
    if not revisions:
        raise ContentError(f"{place}: at least one is needed")
    for number, each in enumerate(revisions):
        if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", each.commit):
            raise ContentError(f"{place}[{number}].commit: must be a full commit id")
        try:
            datetime.datetime.fromisoformat(each.date or "2000-01-01")
        except ValueError:
            raise ContentError(f"{place}[{number}].date: must be a date, as in 2024-03-01T10:00:00Z") from None


def _items(value: Any, place: str, limit: int) -> list[Any]:
    if not isinstance(value, list):
        raise ContentError(f"{place}: must be a list")
    if len(value) > limit:
        raise ContentError(f"{place}: more than {limit:,} items")
    return value


def _record(kind: type[R], data: Any, place: str, limits: Limits, *, skip: tuple[str, ...] = ()) -> R:
    if not isinstance(data, dict):
        raise ContentError(f"{place}: must be an object")
    hints = get_type_hints(kind)
    values = {}
    for key, value in data.items():
        if key in skip:
            continue
        if key not in hints:
            raise ContentError(f"{place}: there is no field {clean(key, 50)}; is the other side of another release?")
        values[key] = _value(hints[key], value, f"{place}.{key}", key, limits)
    try:
        return kind(**values)
    except TypeError:
        needed = [
            each.name
            for each in dataclasses.fields(kind)  # type: ignore[arg-type]
            if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        ]
        raise ContentError(f"{place}: needs {', '.join(needed)}") from None


def _value(hint: Any, value: Any, place: str, key: str, limits: Limits) -> Any:
    origin = get_origin(hint)
    if origin is tuple:
        items = _items(value, place, limits.stages)
        one = get_args(hint)[0]
        return tuple(_value(one, item, f"{place}[{number}]", key, limits) for number, item in enumerate(items))
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        return _value(next(each for each in get_args(hint) if each is not type(None)), value, place, key, limits)
    if origin is Literal:
        if value not in get_args(hint):
            raise ContentError(f"{place}: must be one of {', '.join(map(str, get_args(hint)))}")
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _record(hint, value, place, limits)
    if hint is Any:
        return plain(value, limits)
    return _scalar(hint, value, place, key, limits)


def _scalar(hint: Any, value: Any, place: str, key: str, limits: Limits) -> Any:
    kind = get_origin(hint) or hint
    if kind is dict:
        if not isinstance(value, Mapping):
            raise ContentError(f"{place}: must be an object")
        found = plain(value, limits)
        if get_args(hint)[1:] == (str,) and not all(isinstance(each, str) for each in found.values()):
            raise ContentError(f"{place}: must be an object of texts")
        return found
    if (kind is int and isinstance(value, bool)) or not isinstance(value, kind):
        raise ContentError(f"{place}: must be {'text' if kind is str else f'of type {kind.__name__}'}")
    if kind is int and not -(2**63) < value < 2**63:
        raise ContentError(f"{place}: is out of range")
    if kind is not str:
        return value
    if key == "command":
        return clean_command(value, limits)
    if key in _URLS and has_scheme(value):
        return clean_url(value, limits.text)
    return clean(value, max(limits.text_bytes, 10 * limits.text) if key in _LONG else limits.text)
