"""What matching is given and what it says: places of content, states of commits, and a run's ties to versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .records import Stage
from .run_claims import Relation

Rung = Literal["hash", "commit", "source"]
#: ``exact``: dataset and version are known. ``candidate``: the dataset is, its version is one of ``choices``.
#: ``doubtful``: the dataset itself is one of several.
Strength = Literal["exact", "candidate", "doubtful"]
RUNGS: tuple[Rung, ...] = ("hash", "commit", "source")
STRENGTHS: tuple[Strength, ...] = ("exact", "candidate", "doubtful")


@dataclass(frozen=True, slots=True)
class Place:
    """Where content is known from: an output of a version of a dataset."""

    dataset: str
    version: str
    path: str
    repository: str = ""
    hash: str = ""
    commit: str = ""
    committed: str = ""
    imported: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What a commit says: its stages, and for each of them the ids of dataset and version."""

    commit: str
    time: int
    stages: Mapping[str, Stage]
    ids: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Bracket:
    """The commit X that a run names, in a repository that has it, and what was committed later.

    :param later: states after X, up to the first at or after the run's end on every line, oldest first
    :param closed: whether something was committed after the run's end, and all of it is in ``later``
    :param followed: whether another run that began at X later, with the same script, ended before that
    """

    repository: str
    name: str
    at: State
    later: tuple[State, ...] = ()
    closed: bool = False
    followed: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A version that it may be."""

    version: str
    path: str = ""
    hash: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A run's tie to a dataset.

    :param why: marks of what speaks for it and of why it is no more than it is; ``against``: of what speaks against it
    """

    dataset: str
    relation: Relation
    rung: Rung
    strength: Strength
    choices: tuple[Choice, ...]
    why: tuple[str, ...] = ()
    against: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The version, where it is known."""
        return self.choices[0].version if self.strength == "exact" and self.choices else ""
