"""What a source's last complete reading settled: as long as nothing it depends on moves, it need not be read again.

It depends on the repository's refs, on the source's configuration, on the program that reads and plans, on what the
catalog remembers of the source's datasets (a purged, reverted or failed one is planned anew), and on the datasets of
other repositories that its imports lead to. When all of these are as they were, the answer is: everything unchanged.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import reasons
from ckanext.mlops.catalog.plan import Change, Known, Plan
from ckanext.mlops.core import cache
from ckanext.mlops.core.cache import reader_version
from ckanext.mlops.core.mirror import Mirror
from ckanext.mlops.harvesting import memory
from ckanext.mlops.harvesting.source_config import SourceConfig
from ckanext.mlops.model.tables import Settled, utc_now

MAX_IMPORTS = 5_000
Imports = list[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What reading the source would say again."""

    plan: Plan
    errors: list[str]
    warnings: list[str]


def inputs(origin: Mirror | str, config: SourceConfig, owner_org: str, hidden: Iterable[str] = ()) -> str:
    """Digest of what decides what is read and how it is described.

    :param origin: a mirror, or the digest of what was pushed
    :param hidden: guids of datasets of which less is read
    """
    content = origin if isinstance(origin, str) else [origin.url, origin.digest, origin.shallow]
    return _digest([content, asdict(config), owner_org, sorted(hidden), _program(), memory.FORMAT])


def recall(session: Session, source_id: str, inputs: str, remembered: memory.Memory) -> Answer | None:
    """The answer of the last reading, when it still holds."""
    row = session.get(Settled, source_id, populate_existing=True)
    if row is None or row.inputs != inputs or row.memory != _memory(remembered.known):
        return None
    wanted: Imports = [(key, path) for key, path in row.imports]
    if row.upstreams != _upstreams(memory.upstreams(session, wanted)):
        return None
    changes = [
        Change("unchanged", guid, known.title, reason=reasons.RETIRED if known.retired else "")
        for guid, known in sorted(remembered.known.items())
    ]
    facts = row.facts
    plan = Plan(changes, stages=facts["stages"], outputs=facts["outputs"], problems=facts["problems"])
    return Answer(plan, list(facts["errors"]), list(facts["warnings"]))


def save(
    session: Session,
    source_id: str,
    *,
    inputs: str,
    remembered: memory.Memory,
    imports: Imports,
    upstreams: Mapping[tuple[str, str], Any],
    answer: Answer,
) -> None:
    """Note a complete reading, as it will hold once the plan is applied. The caller commits."""
    if len(imports) > MAX_IMPORTS:
        forget(session, source_id)
        return
    plan = answer.plan
    values = {
        "source_id": source_id,
        "inputs": inputs,
        "memory": _memory(_after(remembered.known, plan.changes)),
        "imports": [list(each) for each in imports],
        "upstreams": _upstreams(upstreams),
        "facts": {
            "stages": plan.stages,
            "outputs": plan.outputs,
            "problems": plan.problems,
            "errors": answer.errors,
            "warnings": answer.warnings,
        },
        "read_at": utc_now(),
    }
    statement = insert(Settled).values(values)
    session.execute(statement.on_conflict_do_update(index_elements=["source_id"], set_=values))


def forget(session: Session, source_id: str) -> None:
    """Let the next harvest read everything."""
    session.execute(sa.delete(Settled).where(Settled.source_id == source_id))


def load_digests(kept: cache.Cache) -> dict[bytes, str]:
    """What :func:`save_digests` wrote; nothing when it was written by another release."""
    saved = kept.take()
    return saved[1] if isinstance(saved, list) and saved[:1] == [_program()] else {}


def save_digests(path: Path, digests: dict[bytes, str]) -> None:
    """Keep digests of datasets for the next reading (:mod:`.catalog.digests`); not being able to is no error."""
    cache.save(path, [_program(), digests])


def _after(known: Mapping[str, Known], changes: Iterable[Change]) -> dict[str, Known]:
    """What the catalog will remember when the changes are applied."""
    found = dict(known)
    for change in changes:
        if change.after is not None:
            found[change.guid] = Known(change.after.digest, change.after.refs_digest, change.kind == "retired")
        elif change.refs:
            found[change.guid] = replace(found[change.guid], refs_digest=change.refs_digest)
    return found


def _memory(known: Mapping[str, Known]) -> str:
    return _digest([[guid, each.digest, each.refs_digest, each.retired] for guid, each in sorted(known.items())])


def _upstreams(found: Mapping[tuple[str, str], Any]) -> str:
    return _digest([[*key, asdict(upstream)] for key, upstream in sorted(found.items())])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@functools.cache
def _program() -> str:
    """Digest of the source of reader and planner: another release plans anew."""
    digest = hashlib.sha256(reader_version())
    for path in program_files():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def program_files() -> list[Path]:
    """The source of the planner; the reader's is :func:`reader_version`."""
    return sorted(Path(__file__).parents[1].joinpath("catalog").glob("*.py"))
