"""From snapshots to datasets: which there are, what tells each from what is known of it, and the dataset when needed.

After a commit nearly all datasets are as they were. A :class:`Draft` knows that without describing its dataset: see
:mod:`.digests`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ckanext.mlops.core import naming
from ckanext.mlops.core.records import Repository, Revision, Snapshot

from . import text
from .datasets import MAX_RESOURCES, Dataset, Options, Writer, note_move
from .digests import Digests, print_of
from .edges import Harvested
from .inputs import Inputs
from .moves import Earlier, Move, Trace, moves
from .versions import Chosen, State, canonical, choose, refs, states, text_hash


def describe(
    repository: Repository,
    snapshots: Sequence[Snapshot],
    options: Options,
    harvested: Harvested | None = None,
    earlier: Earlier | None = None,
) -> list[Dataset]:
    """A dataset for every stage of every snapshot, ordered by address; see :func:`draft`."""
    return [each.dataset for each in draft(repository, snapshots, options, harvested, earlier)]


def draft(
    repository: Repository,
    snapshots: Sequence[Snapshot],
    options: Options,
    harvested: Harvested | None = None,
    earlier: Earlier | None = None,
    digests: Digests | None = None,
) -> list[Draft]:
    """What is to become a dataset: every stage of every snapshot, ordered by address.

    :param harvested: outputs of other repositories that are in the catalog, for imports
    :param earlier: whether a commit is an ancestor of another one; told by their dates when it is not known
    :param digests: what was worked out before; what is worked out now is noted in it
    """
    digests = digests or Digests()
    found = states(snapshots, digests.state)
    chosen = {address: choose(each.values(), repository.default_branch) for address, each in found.items()}
    shown = ((address, state, snapshot) for address, each in chosen.items() for state, snapshot, _ in each.states)
    desk = _Desk(repository, options, Inputs(repository.url, shown, harvested or {}), found, digests)
    drafts = {address: Draft(desk, address, chosen[address]) for address in sorted(found)}
    # Addresses of one snapshot are steps of their own: none goes on as another one.
    for move in _moves(found, earlier) if len(snapshots) > 1 else ():
        drafts[move.before].moves.append((move, drafts[move.after]))
        drafts[move.after].moves.append((move, drafts[move.before]))
    return list(drafts.values())


def _moves(found: Mapping[str, Mapping[str, State]], earlier: Earlier | None) -> list[Move]:
    # An address that the catalog cannot hold as it is cannot be followed.
    told = (address for address in found if text.line(address) == address)
    return moves((_trace(address, found[address].values()) for address in told), earlier)


def _trace(address: str, found: Iterable[State]) -> Trace:
    trace = Trace(address)
    for state in found:
        trace.places.update(id(snapshot) for snapshot, _ in state.sightings)
        trace.seen(state.oldest.date, state.oldest.commit)
        trace.seen(state.newest.date, state.newest.commit)
        trace.add(state.newest_sighting[1])
    return trace


class _Desk:
    """What the drafts of one repository have in common."""

    def __init__(
        self,
        repository: Repository,
        options: Options,
        lineage: Inputs,
        found: Mapping[str, Mapping[str, State]],
        digests: Digests,
    ) -> None:
        self.repository, self.lineage, self.digests = repository, lineage, digests
        self.writer = Writer(repository, options)
        self._addresses = list(found)
        self._common = [dataclasses.astuple(repository), dataclasses.astuple(options)]
        self._readmes: dict[str, bytes] = {}
        self._refs: dict[tuple[int, ...], tuple[list[Revision], list[dict[str, str]], str]] = {}

    def name(self, address: str) -> str:
        """The name of the dataset of that stage, which no other stage's has."""
        name = naming.package_name(self.repository.url, address)
        return name if self._names[name] == 1 else naming.package_name_unique(self.repository.url, address)

    @cached_property
    def _names(self) -> Counter[str]:
        return Counter(naming.package_name(self.repository.url, address) for address in self._addresses)

    def common(self, readme: str) -> list[Any]:
        """What every dataset with that README depends on."""
        if readme not in self._readmes:
            self._readmes[readme] = print_of(readme)
        return [*self._common, self._readmes[readme]]

    def refs(self, state: State) -> tuple[list[dict[str, str]], str]:
        """The revisions that show the state as a version's ``refs``, and as canonical JSON."""
        revisions = state.revisions
        key = tuple(map(id, revisions))
        if key not in self._refs:
            shown = refs(revisions)
            self._refs[key] = revisions, shown, canonical(shown)
        return self._refs[key][1:]


class Draft:
    """What is to become the dataset of one stage.

    :ivar moves: what the stage goes on from or as, with the other one's draft
    """

    def __init__(self, desk: _Desk, address: str, chosen: Chosen) -> None:
        self._desk, self._address, self._chosen = desk, address, chosen
        self.guid = naming.dataset_guid(desk.repository.url, address)
        self.moves: list[tuple[Move, Draft]] = []

    @property
    def outputs(self) -> int:
        """How many resources the dataset has."""
        stage = next(stage for state, _, stage in self._chosen.states if state is self._chosen.current)
        return min(len({out.path for out in stage.outs}), MAX_RESOURCES)

    @cached_property
    def digest(self) -> str:
        """:attr:`Dataset.digest` of the dataset."""
        return self._desk.digests.get(self._print(), lambda: self.dataset.digest)

    @property
    def refs(self) -> dict[str, list[dict[str, str]]]:
        """Version id → the branches and tags that show it."""
        states = reversed(self._chosen.states)
        return {naming.version_id(self.guid, state.digest): self._desk.refs(state)[0] for state, _, _ in states}

    @property
    def refs_digest(self) -> str:
        """:attr:`Dataset.refs_digest` of the dataset."""
        states = (state for state, _, _ in reversed(self._chosen.states))
        shown = (f'["{state.digest}",{self._desk.refs(state)[1]}]' for state in states)
        return text_hash(f"[{','.join(shown)}]")

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset."""
        desk, address = self._desk, self._address
        dataset = desk.writer.dataset(address, desk.name(address), self._chosen, desk.lineage)
        for move, other in self.moves:
            beside = {"id": naming.package_id(other.guid)}
            before, after = (dataset.package, beside) if move.before == address else (beside, dataset.package)
            note_move(before, after, move)
        return dataset

    def _print(self) -> bytes:
        """Of all that the dataset's digest is made of."""
        desk, chosen = self._desk, self._chosen
        shown: list[Any] = []
        for state, snapshot, stage in chosen.states:
            own = desk.digests.stage(stage)
            if not own:
                return b""
            current = state is chosen.current
            common = desk.common(snapshot.readme) if current else None
            shown.append((own, common, desk.lineage.facts(state, snapshot, self._address)))
        moved = [(move.before, move.after, move.evidence()) for move, _ in self.moves]
        return print_of(chosen.revision.name, shown, moved)
