"""The edges into every state of every stage, whatever stages fed it at which of its revisions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ckanext.mlops.core.records import Snapshot, Stage

from .edges import Harvested, Related, Row, place
from .versions import State


class Inputs:
    """Edges by snapshot and address; each snapshot is related once, for the stages that it is to tell of.

    A state can have been fed by other stages at some of its revisions, with the same content: a file that was tracked
    came to be made by a stage. So a state is related once for each layout (who writes which paths) of its snapshots.

    :param shown: address and state of each stage, and the snapshot that shows it
    """

    def __init__(self, repository_url: str, shown: Iterable[tuple[str, State, Snapshot]], harvested: Harvested) -> None:
        layouts = _Layouts()
        wanted: dict[int, tuple[Snapshot, set[str]]] = {}
        self._tellers: dict[tuple[str, str], list[Snapshot]] = {}
        for address, state, snapshot in shown:
            told = {layouts.of(snapshot): snapshot}
            for each, _ in state.sightings:
                told.setdefault(layouts.of(each), each)
            self._tellers[address, state.digest] = list(told.values())
            for each in told.values():
                wanted.setdefault(id(each), (each, set()))[1].add(address)
        self._found = {
            key: Related(repository_url, snapshot, addresses, harvested)
            for key, (snapshot, addresses) in wanted.items()
        }

    def at(self, snapshot: Snapshot, address: str) -> list[Row]:
        """The edges into a stage, as the snapshot has it."""
        return self._found[id(snapshot)].rows(address)

    def elsewhere(self, state: State, snapshot: Snapshot, address: str) -> list[Row]:
        """Further edges into it, where other revisions of the same state have another layout."""
        found = {place(row): row for row in self.at(snapshot, address)}
        own = len(found)
        for each in self._tellers[address, state.digest]:
            for row in self.at(each, address):
                found.setdefault(place(row), row)
        return list(found.values())[own:]

    def facts(self, state: State, snapshot: Snapshot, address: str) -> list[Any]:
        """What :meth:`at` and :meth:`elsewhere` make edges of, as plain values."""
        others = (each for each in self._tellers[address, state.digest] if each is not snapshot)
        return [self._found[id(each)].facts(address) for each in (snapshot, *others)]


class _Layouts:
    """Numbers for what snapshots have in common: which stage writes which paths."""

    def __init__(self) -> None:
        self._stages: dict[int, tuple[Stage, int]] = {}
        self._writers: dict[tuple[str, tuple[str, ...]], int] = {}
        self._snapshots: dict[int, int] = {}
        self._layouts: dict[tuple[int, ...], int] = {}

    def of(self, snapshot: Snapshot) -> int:
        """The number of the snapshot's layout. Snapshots must outlive this object."""
        if id(snapshot) not in self._snapshots:
            key = tuple(sorted(self._stage(stage) for stage in snapshot.stages))
            self._snapshots[id(snapshot)] = self._layouts.setdefault(key, len(self._layouts))
        return self._snapshots[id(snapshot)]

    def _stage(self, stage: Stage) -> int:
        if id(stage) not in self._stages:
            key = (stage.address, tuple(sorted(out.path for out in stage.outs)))
            self._stages[id(stage)] = (stage, self._writers.setdefault(key, len(self._writers)))
        return self._stages[id(stage)][1]
