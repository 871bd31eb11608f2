"""A bounded memory of results."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """Remembers what was used lately: between ``capacity`` and twice as many entries.

    Two generations stand in for a list ordered by use: an entry that is met again moves to the young one; when that is
    full it becomes the old one and what was old is forgotten.
    """

    __slots__ = ("_old", "_weight", "_young", "capacity")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._weight = 0

    def get(self, key: K) -> V | None:
        """The value, or None when it is unknown or forgotten."""
        value = self._young.get(key)
        if value is None and self._old:
            value = self._old.get(key)
            if value is not None:
                self[key] = value  # weighs one now: it is the working set that counts
        return value

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value, 1)

    def put(self, key: K, value: V, weight: int) -> None:
        """Remember a value that takes as much room as ``weight`` ordinary ones."""
        if self._weight >= self.capacity:
            self._old, self._young, self._weight = self._young, {}, 0
        self._young[key] = value
        self._weight += weight

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def items(self) -> dict[K, V]:
        """All that is remembered."""
        return {**self._old, **self._young}

    def fill(self, items: dict[K, V]) -> None:
        """Remember what another memo did."""
        self.reserve(len(items) + 1)
        self._young.update(items)

    def reserve(self, size: int) -> None:
        """Make room for a working set of ``size`` entries."""
        self.capacity = max(self.capacity, size)
