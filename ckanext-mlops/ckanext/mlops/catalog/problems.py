"""What a reader could not read, as sentences for the owner of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ckanext.mlops.core.records import Problem, Snapshot
from ckanext.mlops.core.said import said

from .text import line

MAX_PROBLEMS = 200
_SEMICOLONS = 3  # that a message has at most


def sentence(problem: Problem, revisions: list[str]) -> str:
    """``dvc.lock, line 7, stage train, at main: output model.pkl has no md5; run 'dvc commit'``."""
    where = [line(problem.path, 300)] if problem.path else []
    where += [said(f"line {problem.line}")] if problem.line else []
    where += [said(f"stage {line(problem.stage, 200)}")] if problem.stage else []
    if revisions:
        names = ", ".join(line(name, 100) for name in revisions[:3])
        n = f"{len(revisions) - 3:,}"
        where.append(said(f"at {names} and {n} more") if len(revisions) > 3 else said(f"at {names}"))
    remedy = f"; {line(problem.remedy)}" if problem.remedy else ""
    return f"{', '.join(where) or 'repository'}: {line(problem.message).rstrip('.;')}{remedy}"


def told(text: str, tell: Callable[[str], str]) -> str:
    """A :func:`sentence` in another language.

    :param tell: what is known in that language is said in it, anything else stays
    """
    where, colon, what = text.partition(": ")
    if not colon:
        return text
    parts = where.split(", ")
    known = [n for n, part in enumerate(parts) if part.startswith("at ")]
    if known:
        parts[known[0] :] = [", ".join(parts[known[0] :])]
    return f"{', '.join(map(tell, parts))}: {_told(what, tell)}"


def _told(what: str, tell: Callable[[str], str]) -> str:
    """A message and its remedy; either may have semicolons of its own."""
    parts = what.split("; ")
    for end in range(min(len(parts), _SEMICOLONS + 1), 0, -1):
        message, remedy = "; ".join(parts[:end]), "; ".join(parts[end:])
        if tell(message) != message:
            return "; ".join(map(tell, filter(None, (message, remedy))))
    return what


def sentences(snapshots: Iterable[Snapshot], problems: Iterable[Problem] = (), *, severity: str = "error") -> list[str]:
    """One sentence for each distinct problem of that severity, however many revisions show it."""
    found: dict[Problem, dict[str, None]] = {}
    for snapshot in snapshots:
        names = [revision.name for revision in snapshot.revisions]
        for problem in snapshot.problems:
            _add(found, problem, names if not problem.revision else [problem.revision])
    for problem in problems:
        _add(found, problem, [problem.revision] if problem.revision else [])
    return [sentence(problem, list(names)) for problem, names in found.items() if problem.severity == severity]


def _add(found: dict[Problem, dict[str, None]], problem: Problem, names: list[str]) -> None:
    key = Problem(problem.message, problem.path, problem.line, "", problem.stage, problem.remedy, problem.severity)
    found.setdefault(key, {}).update(dict.fromkeys(names))


def bounded(texts: list[str], limit: int = MAX_PROBLEMS) -> list[str]:
    """At most ``limit`` sentences, the last of which says how many there are beyond."""
    if len(texts) <= limit:
        return texts
    n = f"{len(texts) - limit + 1:,}"
    return [*texts[: limit - 1], said(f"{n} more problems are not listed.")]
