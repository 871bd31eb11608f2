"""One tree on its way to a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .documents import Block
from .pipelines import Pipeline
from .records import Problem, Revision, Stage
from .remotes import Remotes
from .shapes import Label, Shape
from .trees import Found


class Part(NamedTuple):
    """All that a stage's record depends on. Equal parts, compared by identity of their members, make equal stages.

    ``oids`` are what :meth:`paths` lead to: an object id, ``/`` and that of a folder, or ``""``.
    """

    shape: Shape
    lock: Block
    oids: tuple[str, ...]
    labels: tuple[Label, ...]
    remotes: Remotes

    def paths(self) -> tuple[str, ...]:
        """Paths whose objects the record depends on."""
        return looked(self.shape, self.lock)


def looked(shape: Shape, lock: Block) -> tuple[str, ...]:
    """Paths that a stage's record depends on: without a lock entry also its params files."""
    return shape.looked if lock.given else shape.looked + shape.param_files


@dataclass(slots=True)
class Work:
    """What is known of a tree so far; ``singles`` are the shapes of ``*.dvc`` files."""

    tree: str
    revisions: tuple[Revision, ...]
    found: Found = field(default_factory=Found)
    parts: list[Part] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)
    labels: dict[str, Label] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remotes: list[Remotes] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    pointers: list[Stage] = field(default_factory=list)
    singles: list[Shape] = field(default_factory=list)

    def root(self, path: str) -> str:
        """The DVC root that a file belongs to."""
        return next((root for root in self.roots if not root or path.startswith(root + "/")), "")
