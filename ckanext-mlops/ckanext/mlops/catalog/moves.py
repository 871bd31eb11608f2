"""Moves: one step of a project that is found under another address later, with what proves it.

A step is followed from a stage file of DVC 0.x (``dvc/02-prepare-data.dvc``, ``Dvcfile``) to a stage of ``dvc.yaml``,
and through renames. Both addresses stay datasets of their own, for their addresses are known to others; the later one
says what it goes on from, and its versions are shown as one chain with those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ckanext.mlops.core.records import Stage

from . import reasons

#: What nothing is made of has one hash everywhere: md5, sha256 and Git's id of an empty file, DVC's of an empty folder.
_EMPTY = {
    "d41d8cd98f00b204e9800998ecf8427e",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "d751713988987e9331980363e24189ce.dir",
}
#: Content that so many addresses have proves nothing.
_MAX_OWNERS = 20

Earlier = Callable[[str, str], bool]


@dataclass(frozen=True)
class Move:
    """The step at the address ``before`` goes on at the address ``after``.

    :param kind: ``content``: both wrote the same content (``hash``) to ``path``; ``path``: a stage file became a stage
        of ``dvc.yaml`` that writes the same file
    """

    before: str
    after: str
    kind: Literal["content", "path"]
    path: str
    hash: str = ""

    def evidence(self) -> str:
        """Why it is believed, for people."""
        if self.kind == "content":
            return reasons.SAME_CONTENT.format(path=self.path, hash=self.hash)
        return reasons.SAME_PATH.format(path=self.path)


@dataclass
class Trace:
    """What is known of one address over all its states.

    :param places: the trees that show it; two addresses of one tree are two steps
    :param contents: hash → path that was written with it; ``results`` those among them that are metrics or plots
    :param first: commit of the oldest revision that shows it, with its date; ``last`` of the newest
    """

    address: str
    stage_file: bool = False
    tracked: bool = False
    places: set[int] = field(default_factory=set)
    contents: dict[str, str] = field(default_factory=dict)
    results: set[str] = field(default_factory=set)
    paths: dict[str, None] = field(default_factory=dict)
    inputs: set[str] = field(default_factory=set)
    first: tuple[str, str] = ("", "")
    last: tuple[str, str] = ("", "")

    def add(self, stage: Stage) -> None:
        """One more state of it."""
        self.stage_file = stage.file == stage.address
        self.tracked = stage.kind != "stage"
        for out in stage.outs:
            self.paths.setdefault(out.path)
            content = out.hash or out.blob
            if content and content not in _EMPTY:
                self.contents.setdefault(content, out.path)
                if out.kind in ("metrics", "plots"):
                    self.results.add(content)
        self.inputs.update(dep.path for dep in stage.deps)

    def seen(self, date: str, commit: str) -> None:
        """A revision that shows it."""
        if not self.first[1] or date < self.first[0]:
            self.first = date, commit
        if not self.last[1] or date > self.last[0]:
            self.last = date, commit


def moves(traces: Iterable[Trace], earlier: Earlier | None = None) -> list[Move]:
    """Which address goes on as which other one; each at most once on either side.

    :param earlier: whether the first commit is an ancestor of the second; by their dates when it is not known
    """
    known = {trace.address: trace for trace in traces}
    pairs = {}
    for one, two in sorted(_candidates(known)):
        ordered = _ordered(known[one], known[two], earlier)
        if ordered is not None:
            scored = _score(*ordered)
            if scored is not None:
                pairs[ordered[0].address, ordered[1].address] = scored
    direct = _without_shortcuts(pairs)
    chosen: dict[str, Move] = {}
    taken: set[str] = set()
    for before, after in _by_weight(pairs, direct, known):
        if before not in taken and after not in chosen:
            chosen[after] = pairs[before, after][1]
            taken.add(before)
    return [chosen[after] for after in sorted(chosen)]


def between(gone: Sequence[Trace], new: Sequence[Trace]) -> list[Move]:
    """Moves from addresses that were there at the last harvest and are not any more to those that are new."""
    for trace in gone:
        trace.first = trace.last = "0", "gone"
        trace.places = {0}
    for trace in new:
        trace.first = trace.last = "1", "new"
        trace.places = {1}
    return moves([*gone, *new])


def _candidates(known: Mapping[str, Trace]) -> set[tuple[str, str]]:
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for trace in known.values():
        for content in trace.contents:
            owners["content", content].append(trace.address)
        for path in trace.paths:
            owners["path", path].append(trace.address)
    return {
        (one, two)
        for addresses in owners.values()
        if 1 < len(addresses) <= _MAX_OWNERS
        for one in addresses
        for two in addresses
        if one < two and not known[one].places & known[two].places
    }


def _ordered(one: Trace, two: Trace, earlier: Earlier | None) -> tuple[Trace, Trace] | None:
    """The two, the earlier first; None when it is not known which that is."""
    if earlier is None or not (one.first[1] and two.first[1]):
        if one.last[0] == two.last[0] or one.first[0] == two.first[0]:
            return None
        return (one, two) if one.first < two.first else (two, one)
    forward, back = earlier(one.first[1], two.last[1]), earlier(two.first[1], one.last[1])
    if forward == back:
        # Both on lines of their own, or back and forth: the first one that was seen came first, if any.
        return None if not forward or one.first[0] == two.first[0] else _oldest(one, two)
    return (one, two) if forward else (two, one)


def _oldest(one: Trace, two: Trace) -> tuple[Trace, Trace]:
    return (one, two) if one.first[0] < two.first[0] else (two, one)


def _score(before: Trace, after: Trace) -> tuple[tuple[int, ...], Move] | None:
    """How strong the evidence is; None when there is none that counts."""
    same = [
        content
        for content, path in before.contents.items()
        if content in after.contents and (content not in before.results or path == after.contents[content])
    ]
    shared = [path for path in before.paths if path in after.paths]
    data = sum(content not in before.results for content in same)
    became_stage = before.stage_file and not before.tracked and not after.stage_file
    if same:
        content = next((each for each in same if each not in before.results), same[0])
        move = Move(before.address, after.address, "content", after.contents[content], content)
    elif shared and became_stage:
        move = Move(before.address, after.address, "path", shared[0])
    else:
        return None
    return (data, len(same), len(shared), len(before.inputs & after.inputs)), move


def _without_shortcuts(pairs: Mapping[tuple[str, str], object]) -> set[tuple[str, str]]:
    """The pairs without those that a third address stands between."""
    after: dict[str, set[str]] = defaultdict(set)
    for one, two in pairs:
        after[one].add(two)
    return {(one, two) for one, two in pairs if not any(two in after.get(middle, ()) for middle in after[one])}


def _by_weight(
    pairs: Mapping[tuple[str, str], tuple[tuple[int, ...], Move]],
    direct: set[tuple[str, str]],
    known: Mapping[str, Trace],
) -> list[tuple[str, str]]:
    """The direct pairs, the strongest first; of equal ones of one address none: they would be a guess."""
    weights = {pair: (pairs[pair][0], known[pair[0]].last[0]) for pair in direct}
    rivals: dict[tuple[str, str, tuple[tuple[int, ...], str]], int] = defaultdict(int)
    for (before, after), weight in weights.items():
        rivals["before", before, weight] += 1
        rivals["after", after, weight] += 1
    clear = [
        (before, after)
        for (before, after), weight in weights.items()
        if rivals["before", before, weight] == 1 and rivals["after", after, weight] == 1
    ]
    return sorted(clear, key=lambda pair: (weights[pair], pair), reverse=True)
