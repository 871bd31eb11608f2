"""Hints beside the links (candidates, suggestions, dismissals) and how far matching has come. Nothing here commits."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONPATH, insert
from sqlalchemy.orm import Session

from ckanext.mlops.core.matches import Place
from ckanext.mlops.core.naming import repository_key
from ckanext.mlops.model.mlflow import ACTIVE
from ckanext.mlops.model.tables import Experiment, Link, LinkHint, Matched, Run, Version
from ckanext.mlops.model.versions import naive_utc

CANDIDATE, SUGGESTION, DISMISSED = "candidate", "suggestion", "dismissed"
#: Of one hash or address; content that so many versions have tells nothing.
MAX_PLACES = 500


def of_package(
    session: Session, package_id: str, states: Collection[str], limit: int, offset: int = 0
) -> tuple[int, list[LinkHint]]:
    """How many hints of these states a dataset has, and a page of them, newest first.

    Those to what is deleted in MLflow wait until it is restored.
    """
    deleted = sa.or_(
        *(
            sa.exists().where(
                LinkHint.kind == kind,
                table.server == LinkHint.server,
                target == LinkHint.target,
                table.lifecycle_stage != ACTIVE,
            )
            for kind, table, target in (
                ("experiment", Experiment, Experiment.experiment_id),
                ("run", Run, Run.run_id),
            )
        )
    )
    where = sa.and_(LinkHint.package_id == package_id, LinkHint.state.in_(states), ~deleted)
    count = session.scalar(sa.select(sa.func.count()).select_from(LinkHint).where(where)) or 0
    query = sa.select(LinkHint).where(where).order_by(LinkHint.created.desc(), LinkHint.id)
    return count, list(session.scalars(query.limit(limit).offset(offset)))


def of_targets(session: Session, server: str, kind: str, targets: Collection[str]) -> list[LinkHint]:
    """All hints about these targets of a server."""
    query = sa.select(LinkHint).where(
        LinkHint.server == server, LinkHint.kind == kind, LinkHint.target.in_(list(targets))
    )
    return list(session.scalars(query.execution_options(populate_existing=True)))


def dismiss(session: Session, link: Link | LinkHint, user_id: str | None, now: datetime.datetime) -> None:
    """Remember that a person does not want this link: nothing infers or suggests it again."""
    row = {
        "id": link.id,
        "package_id": link.package_id,
        "server": link.server,
        "kind": link.kind,
        "target": link.target,
        "relation": link.relation,
        "state": DISMISSED,
        "evidence": link.evidence or {},
        "user_id": user_id,
        "created": now,
    }
    statement = insert(LinkHint).values(row)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={name: statement.excluded[name] for name in ("state", "evidence", "user_id", "created")},
        ),
        execution_options={"synchronize_session": False},
    )


def forget(session: Session, hint_id: str) -> None:
    """Remove a hint: it became a link."""
    session.execute(sa.delete(LinkHint).where(LinkHint.id == hint_id), execution_options={"synchronize_session": False})


def delete_of_packages(session: Session, package_ids: Collection[str]) -> None:
    """Forget the hints of purged datasets."""
    session.execute(sa.delete(LinkHint).where(LinkHint.package_id.in_(package_ids)))


def mark(session: Session, scope: str) -> Matched | None:
    """How far matching came in a scope."""
    return session.get(Matched, scope, populate_existing=True)


def set_mark(session: Session, scope: str, text: str, now: datetime.datetime) -> None:
    """Note how far matching came in a scope."""
    statement = insert(Matched).values(scope=scope, mark=text, at=now)
    session.execute(statement.on_conflict_do_update(index_elements=["scope"], set_={"mark": text, "at": now}))


def hashes_seen_since(session: Session, package_ids: Collection[str], since: datetime.datetime | None) -> set[str]:
    """Content of the datasets' versions that were first seen at or after then."""
    hashes = sa.func.jsonb_path_query_array(Version.facts, sa.cast("$.outs[*].hash", JSONPATH))
    query = sa.select(hashes).where(Version.package_id.in_(list(package_ids)))
    if since is not None:
        query = query.where(Version.first_seen >= since)
    return {str(each) for found in session.scalars(query) for each in found or () if each}


def places_of_hashes(session: Session, hashes: Collection[str]) -> dict[str, list[Place]]:
    """Where content is known from: hash → outputs of versions."""
    if not hashes:
        return {}
    known = sa.func.jsonb_path_query_array(Version.facts, sa.text("'$.outs[*].hash'::jsonpath"))
    wanted = sa.literal(sorted(hashes), sa.ARRAY(sa.UnicodeText))
    return _places(session, known.op("?|")(wanted), "hash", set(hashes))


def places_of_addresses(session: Session, addresses: Collection[str]) -> dict[str, list[Place]]:
    """Where an address stores something: address → outputs of versions."""
    wanted = {address for address in addresses if "://" in address}
    if not wanted:
        return {}
    known = sa.func.jsonb_path_query_array(Version.facts, sa.text("'$.outs[*].storage'::jsonpath"))
    return _places(session, known.op("?|")(sa.literal(sorted(wanted), sa.ARRAY(sa.UnicodeText))), "storage", wanted)


def _places(session: Session, where: sa.ColumnElement[bool], key: str, wanted: set[str]) -> dict[str, list[Place]]:
    from ckan import model

    query = (
        sa.select(
            Version.id,
            Version.package_id,
            Version.commit,
            Version.committed,
            Version.facts["outs"].label("outs"),
            Version.facts["kind"].astext.label("kind"),
            model.Package.extras["dvc_repository"].astext.label("repository"),
        )
        .join(model.Package, model.Package.id == Version.package_id)
        .where(where, model.Package.state == "active")
        .order_by(Version.package_id, Version.committed.desc().nulls_last(), Version.position.desc())
        .limit(MAX_PLACES * max(1, len(wanted)))
    )
    found: dict[str, list[Place]] = {}
    for row in session.execute(query):
        for out in row.outs or ():
            if out.get(key) in wanted:
                found.setdefault(out[key], []).append(
                    Place(
                        dataset=row.package_id,
                        version=row.id,
                        path=out.get("path", ""),
                        repository=repository_key(row.repository) if row.repository else "",
                        hash=out.get("hash") or "",
                        commit=row.commit,
                        committed=row.committed.isoformat() + "Z" if row.committed else "",
                        imported=row.kind in ("import", "import-url"),
                    )
                )
    return found


def add_versions(session: Session, rows: Sequence[Mapping[str, Any]], now: datetime.datetime) -> None:
    """Versions that only a run shows: no branch or tag does. Those that are known stay as they are."""
    for row in sorted(rows, key=lambda each: each["id"]):
        values = {
            "author": "",
            "message": "",
            "refs": [],
            "current": False,
            "position": 0,
            **row,
            "committed": naive_utc(row.get("committed")),
            "first_seen": now,
            "last_seen": now,
        }
        session.execute(insert(Version).values(values).on_conflict_do_nothing(index_elements=["id"]))
