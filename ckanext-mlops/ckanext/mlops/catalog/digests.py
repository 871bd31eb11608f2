"""What was hashed before need not be described again: the digests of states and datasets by a print of their inputs.

A digest is a function of what it is made of, so one that is remembered is right wherever its print is met; what is not
remembered is worked out. A print is made of a record's values many times as fast as the record is described.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from ckanext.mlops.core.records import Dependency, Metric, Output, Param, SourceHint, Stage

from .versions import digest

_PARTS: tuple[tuple[str, type], ...] = (
    ("deps", Dependency), ("outs", Output), ("params", Param), ("metrics", Metric), ("hints", SourceHint),
)  # fmt: skip
# Of the layouts of marshal the last that writes equal values alike, wherever they come from.
_MARSHAL = 2
_NEW = 0.05


def _values(record: type, without: tuple[str, ...] = ()) -> Callable[[Any], tuple[Any, ...]]:
    names = [name for name in record.__dataclass_fields__ if name not in without]  # type: ignore[attr-defined]
    return attrgetter(*names)


_PART_VALUES = [(attrgetter(name), _values(kind)) for name, kind in _PARTS]
# The line of its definition moves with the stages above; nothing else depends on it.
_STAGE_VALUES = _values(Stage, (*(name for name, _ in _PARTS), "line"))


def print_of(*values: Any) -> bytes:
    """16 bytes that tell values (text, numbers, tuples, lists, dicts) from others; none when they are not of these."""
    try:
        return hashlib.blake2b(marshal.dumps(values, _MARSHAL), digest_size=16).digest()
    except ValueError:
        return b""


class Digests:
    """Digests that were worked out before.

    :param known: what :attr:`used` was at another time, of the same release
    """

    def __init__(self, known: Mapping[bytes, str] | None = None) -> None:
        self._known = known or {}
        self._prints: dict[int, tuple[Stage, bytes]] = {}
        #: What was asked for: print → digest.
        self.used: dict[bytes, str] = {}
        self._made = 0

    @property
    def worth_keeping(self) -> bool:
        """Whether so much of it is new that it should be kept for the next time."""
        return self._made > _NEW * len(self.used)

    def get(self, key: bytes, make: Callable[[], str]) -> str:
        """The digest of the inputs with that print."""
        value = self._known.get(key)
        if value is None:
            value = make()
            self._made += 1
        if key:
            self.used[key] = value
        return value

    def stage(self, stage: Stage) -> bytes:
        """The print of a stage."""
        known = self._prints.get(id(stage))
        if known is None:
            parts = [[values(each) for each in found(stage)] for found, values in _PART_VALUES]
            known = self._prints[id(stage)] = (stage, print_of(_STAGE_VALUES(stage), parts))
        return known[1]

    def state(self, stage: Stage) -> str:
        """:func:`.versions.digest` of the stage."""
        return self.get(self.stage(stage), lambda: digest(stage))
