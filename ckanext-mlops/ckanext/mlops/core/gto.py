"""GTO: a registry of versions and stages of artifacts, kept in Git tags.

Grammar as in gto 1.10 (``gto.constants``): ``[folder=]name@v1.2.3`` registers a version, ``name#prod`` assigns the
commit's version to a stage, a ``!`` takes either back, ``name@deprecated`` ends an artifact, and a counter ``#7`` at
the end makes tags unique and gives their order. ``=`` in a tag stands for ``:`` in the artifact's address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .records import Revision

Action = Literal["register", "deregister", "assign", "unassign", "deprecate", "create"]

_WORD = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_PART = r"(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PART}(?:\.{_PART})*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
_TAG = re.compile(
    rf"(?P<artifact>(?:[a-zA-Z0-9_./-]+=)?{_WORD})"
    rf"(?:(?:#(?P<stage>{_WORD})|@(?P<version>{_SEMVER}))(?P<cancel>!?)|@(?P<life>deprecated|created))"
    r"(?:#(?P<counter>[0-9]{1,18}))?"
)
_MAX_TAG = 500


@dataclass(frozen=True, slots=True)
class GtoTag:
    """What a tag says.

    :param artifact: ``model``, or ``folder:model``
    :param version: ``v1.2.3`` of ``register`` and ``deregister``
    :param stage: of ``assign`` and ``unassign``
    :param counter: orders tags about the same thing; None when the tag has none
    """

    artifact: str
    action: Action
    version: str = ""
    stage: str = ""
    counter: int | None = None


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A version of an artifact: the tag that registered it and its commit (40 or 64 hexadecimal digits)."""

    version: str
    commit: str
    tag: str
    date: str = ""


@dataclass(frozen=True, slots=True)
class StageAssignment:
    """A stage of an artifact. ``version`` is the one registered on the same commit, ``""`` when there is none."""

    stage: str
    version: str
    commit: str
    tag: str
    date: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact's present state: versions, highest first, and stages by name."""

    name: str
    versions: tuple[RegisteredVersion, ...] = ()
    stages: tuple[StageAssignment, ...] = ()
    deprecated: bool = False


_Event = tuple[Revision, GtoTag]


def parse_tag(name: str) -> GtoTag | None:
    """What the tag ``name`` says, None when it is not one of GTO's.

    >>> parse_tag("get-started-data#prod!#6")
    GtoTag(artifact='get-started-data', action='unassign', version='', stage='prod', counter=6)
    """
    found = _TAG.fullmatch(name) if len(name) <= _MAX_TAG else None
    if found is None:
        return None
    action: Action
    if found["life"]:
        action = "deprecate" if found["life"] == "deprecated" else "create"
    elif found["version"]:
        action = "deregister" if found["cancel"] else "register"
    else:
        action = "unassign" if found["cancel"] else "assign"
    return GtoTag(
        artifact=found["artifact"].replace("=", ":", 1),
        action=action,
        version=found["version"] or "",
        stage=found["stage"] or "",
        counter=int(found["counter"]) if found["counter"] else None,
    )


def registry(tags: Iterable[Revision]) -> tuple[Artifact, ...]:
    """The state that the tags of a repository add up to, sorted by artifact; tags that are not GTO's are passed over.

    What is said about one thing counts in the order of the counters where all of its tags have one, else of their
    dates. A stage is held by the version that was assigned last, of those whose assignment was not taken back.
    """
    found: dict[str, list[_Event]] = {}
    for tag in tags:
        parsed = parse_tag(tag.name)
        if parsed is not None:
            found.setdefault(parsed.artifact, []).append((tag, parsed))
    return tuple(_artifact(name, found[name]) for name in sorted(found))


def _artifact(name: str, events: list[_Event]) -> Artifact:
    versions: dict[str, RegisteredVersion] = {}
    for tag, parsed in _ordered(events, "register", "deregister"):
        versions.pop(parsed.version, None)
        if parsed.action == "register":
            versions[parsed.version] = RegisteredVersion(parsed.version, tag.commit, tag.name, tag.date)
    # An assignment belongs to a commit; the last entry of a stage is the newest.
    assigned: dict[str, dict[str, Revision]] = {}
    for tag, parsed in _ordered(events, "assign", "unassign"):
        commits = assigned.setdefault(parsed.stage, {})
        commits.pop(tag.commit, None)
        if parsed.action == "assign":
            commits[tag.commit] = tag
    current = {stage: list(commits.values())[-1] for stage, commits in assigned.items() if commits}
    life = _ordered(events, "create", "deprecate")
    return Artifact(
        name=name,
        versions=tuple(sorted(versions.values(), key=lambda item: _order(item.version), reverse=True)),
        stages=tuple(
            StageAssignment(stage, _version_at(versions, tag.commit), tag.commit, tag.name, tag.date)
            for stage, tag in sorted(current.items())
        ),
        deprecated=bool(life) and life[-1][1].action == "deprecate",
    )


def _ordered(events: list[_Event], *actions: Action) -> list[_Event]:
    chosen = [event for event in events if event[1].action in actions]
    if all(parsed.counter is not None for _, parsed in chosen):
        return sorted(chosen, key=lambda event: (event[1].counter or 0, event[0].name))
    return sorted(chosen, key=lambda event: (event[0].date, event[1].counter or 0, event[0].name))


def _version_at(versions: dict[str, RegisteredVersion], commit: str) -> str:
    """The highest version registered on the commit."""
    found = [item.version for item in versions.values() if item.commit == commit]
    return max(found, key=_order) if found else ""


def _order(version: str) -> tuple[tuple[int, ...], bool, list[tuple[bool, int, str]]]:
    """Sort key of semantic versions: a pre-release comes before its release, numbers compare as numbers."""
    core, _, pre = version[1:].partition("+")[0].partition("-")
    parts = [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in pre.split(".")] if pre else []
    return tuple(int(part) for part in core.split(".")), not pre, parts
