"""Versions: the distinct states of a dataset, named by their content.

Two revisions show the same version when the stage has the same command, inputs, outputs, parameters and metric values
there. A version is told apart by :func:`digest`, never by a commit: a commit that leaves the stage alone makes none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ckanext.mlops.core.records import Metric, Revision, Snapshot, Stage

from .text import plain

MAX_REFS = 1000


@dataclass
class State:
    """One state of a stage, with every snapshot that shows it; ``oldest`` and ``newest`` are among its revisions."""

    digest: str
    sightings: list[tuple[Snapshot, Stage]]
    oldest: Revision
    newest: Revision
    newest_sighting: tuple[Snapshot, Stage]

    @property
    def revisions(self) -> list[Revision]:
        """Every revision that shows the state."""
        return [revision for snapshot, _ in self.sightings for revision in snapshot.revisions]

    def add(self, snapshot: Snapshot, stage: Stage) -> None:
        """One more snapshot that shows the state."""
        self.sightings.append((snapshot, stage))
        self.oldest = min(self.oldest, *snapshot.revisions, key=by_date)
        newest = max(snapshot.revisions, key=by_date)
        if by_date(newest) > by_date(self.newest):
            self.newest, self.newest_sighting = newest, (snapshot, stage)

    def at(self, revision: Revision) -> tuple[Snapshot, Stage] | None:
        """What shows the state at ``revision``."""
        return next((each for each in self.sightings if revision in each[0].revisions), None)


def by_date(revision: Revision) -> tuple[str, bool, str]:
    """Sort key, oldest first; at one date branches come after tags, so that the newest is a branch."""
    return revision.date, revision.kind == "branch", revision.name


def canonical(value: Any) -> str:
    """JSON with one spelling: sorted keys, no blanks, ASCII."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return text_hash(canonical(value))


def text_hash(text: str) -> str:
    """SHA-256 of text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest(stage: Stage) -> str:
    """What tells this state of the stage from another one.

    Content counts where it is known (hash, else Git's object id, else a version id). Descriptions, labels, sizes and
    storage places do not count: they say nothing about what was made from what.
    """
    return content_hash(
        {
            "command": stage.command,
            "deps": sorted([d.kind, d.source, d.path, d.hash or d.version_id or d.rev_lock or ""] for d in stage.deps),
            "outs": sorted([o.path, o.hash or o.blob or o.version_id or ""] for o in stage.outs),
            "params": sorted([p.file, p.key, canonical(p.value)] for p in stage.params),
            "metrics": sorted(_metric(m) for m in stage.metrics),
        }
    )


def _metric(metric: Metric) -> list[str]:
    """What a remote was asked for is told apart by its hash already: a version is the same before and after."""
    if metric.state == "from-remote":
        return [metric.file, "not-in-git", canonical(None)]
    return [metric.file, metric.state, canonical(metric.values)]


def states(snapshots: Iterable[Snapshot], digest_of: Callable[[Stage], str] = digest) -> dict[str, dict[str, State]]:
    """Address → digest → state, over all revisions.

    Readers share equal stages between snapshots, so each distinct record is hashed once.

    :param digest_of: :func:`digest`, or what remembers its answers
    """
    found: dict[str, dict[str, State]] = {}
    memo: dict[int, tuple[Stage, str]] = {}
    for snapshot in snapshots:
        if not snapshot.revisions:
            continue
        oldest, newest = min(snapshot.revisions, key=by_date), max(snapshot.revisions, key=by_date)
        for stage in snapshot.stages:
            if id(stage) not in memo:
                memo[id(stage)] = (stage, digest_of(stage))
            name = memo[id(stage)][1]
            known = found.setdefault(stage.address, {})
            if name in known:
                known[name].add(snapshot, stage)
            else:
                known[name] = State(name, [(snapshot, stage)], oldest, newest, (snapshot, stage))
    return found


@dataclass(frozen=True)
class Chosen:
    """The states of a stage, each as one snapshot shows it, oldest first; which one is current, and where."""

    states: list[tuple[State, Snapshot, Stage]]
    current: State
    revision: Revision


def choose(found: Collection[State], default_branch: str) -> Chosen:
    """How a dataset shows the states of its stage.

    The default branch's head is the current state of what it has; anything else is shown as the newest revision that
    has it shows it.
    """
    current, revision = _current(list(found), default_branch)
    shown = []
    for state in sorted(found, key=lambda state: (by_date(state.oldest), state.digest)):
        sighting = state.at(revision) if state is current else None
        shown.append((state, *(sighting or state.newest_sighting)))
    return Chosen(shown, current, revision)


def _current(found: list[State], default_branch: str) -> tuple[State, Revision]:
    best: tuple[State, Revision] | None = None
    for state in found:
        for revision in state.revisions if default_branch else ():
            if revision.kind == "branch" and revision.name == default_branch:
                return state, revision
        if best is None or by_date(state.newest) > by_date(best[1]):
            best = state, state.newest
    if best is None:
        raise ValueError("a dataset has at least one state")
    return best


def refs(revisions: Iterable[Revision]) -> list[dict[str, str]]:
    """The revisions as a version's ``refs``: branches, tags, experiments, by name; then commits, newest first.

    At most :data:`MAX_REFS`. Where a branch is, only its revision says (:mod:`.history`): it moves at each commit, over
    all that the commit leaves alone.
    """
    order = {"branch": 0, "tag": 1, "experiment": 2, "commit": 3}
    newest = sorted(revisions, key=by_date, reverse=True)
    ordered = sorted(newest, key=lambda each: (order[each.kind], "" if each.kind == "commit" else each.name))
    return [_ref(each) for each in ordered[:MAX_REFS]]


def _ref(revision: Revision) -> dict[str, str]:
    named = {"name": revision.name, "kind": revision.kind}
    return named if revision.kind == "branch" else named | {"commit": revision.commit}
