"""What a reader could not read, as sentences for the owner of a source."""

from __future__ import annotations

from collections.abc import Iterable

from ckanext.mlops.core.records import Problem, Snapshot

from .text import line

MAX_PROBLEMS = 200


def sentence(problem: Problem, revisions: list[str]) -> str:
    """``dvc.lock, line 7, stage train, at main: output model.pkl has no md5; run 'dvc commit'``."""
    where = [line(problem.path, 300)] if problem.path else []
    where += [f"line {problem.line}"] if problem.line else []
    where += [f"stage {line(problem.stage, 200)}"] if problem.stage else []
    if revisions:
        more = f" and {len(revisions) - 3:,} more" if len(revisions) > 3 else ""
        where.append(f"at {', '.join(line(name, 100) for name in revisions[:3])}{more}")
    remedy = f"; {line(problem.remedy)}" if problem.remedy else ""
    return f"{', '.join(where) or 'repository'}: {line(problem.message).rstrip('.;')}{remedy}"


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
    return [*texts[: limit - 1], f"{len(texts) - limit + 1:,} more problems are not listed."]
