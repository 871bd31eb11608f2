"""The commits of a repository as a graph: what was committed after a moment, on every line from a commit on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Later:
    """What comes after a commit.

    :param passed: descendants that were committed before the moment
    :param first: on every line, the first commit at or after the moment
    :param whole: whether all of them are named; False when there were too many
    """

    passed: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    whole: bool = True


@dataclass
class CommitGraph:
    """Children and times (seconds since 1970, the committer's) of the commits that references reach."""

    times: dict[str, int] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[str]) -> CommitGraph:
        """From what ``git rev-list --all --parents --timestamp`` prints.

        >>> CommitGraph.of(["20 b a", "10 a"]).later("a", 15).first
        ('b',)
        """
        graph = cls()
        for line in lines:
            time, oid, *parents = line.split()
            graph.times[oid] = int(time)
            for parent in parents:
                graph.children.setdefault(parent, []).append(oid)
        return graph

    def __contains__(self, oid: str) -> bool:
        """Whether a reference reaches the commit."""
        return oid in self.times

    def later(self, oid: str, moment: int, limit: int = 50) -> Later:
        """What was committed after ``oid``, up to the first commit at or after ``moment`` on every line."""
        passed: dict[str, None] = {}
        first: dict[str, None] = {}
        todo = deque(self.children.get(oid, ()))
        while todo and len(passed) + len(first) < limit:
            one = todo.popleft()
            if one in passed or one in first:
                continue
            if self.times.get(one, 0) >= moment:
                first[one] = None
            else:
                passed[one] = None
                todo.extend(self.children.get(one, ()))
        return Later(tuple(passed), tuple(first), not todo)
