"""Suggestions by name: an experiment whose runs logged an input that is called like a dataset or a file of one.

A name is no evidence. A suggestion never becomes a link by itself, and one that a person dismissed does not come back.
"""

from __future__ import annotations

import datetime
import posixpath
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops.model import Link, LinkHint, Run, Version, link_hints, links

#: A name that more datasets share tells nothing.
MAX_SAME = 5
_MAX_NAMES = 1000


def suggest(session: Session, runs: Sequence[Run], now: datetime.datetime) -> None:
    """Write suggestions for runs that nothing else could be found out about. Does not commit."""
    wanted: dict[str, set[tuple[str, str]]] = {}
    for row in runs:
        for item in row.facts.get("inputs", ()):
            for name in {item["name"], posixpath.basename(item.get("uri", "").replace("\\", "/"))}:
                if len(name) > 2 and len(wanted) < _MAX_NAMES:
                    wanted.setdefault(name.lower(), set()).add((row.server, row.experiment_id))
    found = {name: ids for name, ids in _named(session, set(wanted)).items() if len(ids) <= MAX_SAME}
    pairs = {(package, *key): name for name, ids in found.items() for package in ids for key in wanted[name]}
    known = _known(session, pairs.keys())
    values = [
        {
            "id": links.link_id(package, server, "experiment", experiment, "used"),
            "package_id": package,
            "server": server,
            "kind": "experiment",
            "target": experiment,
            "relation": "used",
            "state": link_hints.SUGGESTION,
            "evidence": {"rung": "name", "strength": "suggestion", "why": [f"name:{name}"]},
            "user_id": None,
            "created": now,
        }
        for (package, server, experiment), name in sorted(pairs.items())
        if (package, server, experiment) not in known
    ]
    if values:
        session.execute(insert(LinkHint).on_conflict_do_nothing(index_elements=["id"]), values)


def _named(session: Session, names: set[str]) -> dict[str, set[str]]:
    """Datasets that have one of these names, or a file of it in their current version."""
    if not names:
        return {}
    out = sa.func.jsonb_array_elements(Version.facts["outs"]).table_valued(
        sa.column("value", sa.dialects.postgresql.JSONB)
    )
    file = sa.func.lower(sa.func.regexp_replace(out.c.value["path"].astext, "^.*/", ""))
    files = (
        sa.select(file, Version.package_id)
        .select_from(Version)
        .join(out, sa.true())
        .where(Version.current, sa.func.jsonb_typeof(Version.facts["outs"]) == "array", file.in_(names))
    )
    own = sa.func.lower(model.Package.name)
    datasets = sa.select(own, model.Package.id).where(own.in_(names))
    live = sa.select(model.Package.id).where(model.Package.state == "active", model.Package.type == "dataset")
    both = sa.union(files, datasets).subquery()
    found: dict[str, set[str]] = {}
    for name, package in session.execute(sa.select(*both.c).where(both.c[1].in_(live))):
        found.setdefault(name, set()).add(package)
    return found


def _known(session: Session, pairs: Iterable[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """(dataset, server, experiment) that are linked already, through a run or as a whole, or were refused."""
    packages = {package for package, _, _ in pairs}
    if not packages:
        return set()
    run = sa.and_(Link.kind == "run", Run.server == Link.server, Run.run_id == Link.target)
    through = sa.select(Link.package_id, Link.server, Run.experiment_id).join(Run, run)
    direct = sa.select(Link.package_id, Link.server, Link.target).where(Link.kind == "experiment")
    parts = sa.union(through.where(Link.package_id.in_(packages)), direct.where(Link.package_id.in_(packages)))
    return {(row[0], row[1], row[2]) for row in session.execute(parts)}
