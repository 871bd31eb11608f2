"""The copied MLflow facts of models: registered models, their versions, and the models that runs logged.

Nothing here commits or asks a server. Whatever a person may see is decided by those who call.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.core import mlflow as reader
from ckanext.mlops.core import records
from ckanext.mlops.model.mlflow import ACTIVE, GONE, naive, upsert
from ckanext.mlops.model.tables import LoggedModel, ModelVersion, RegisteredModel, ServerState

_UNSYNCHRONIZED = {"synchronize_session": False}
ModelKey = tuple[str, str]
VersionKey = tuple[str, str, str]


def store_registered_models(
    session: Session, server: str, found: Iterable[reader.RegisteredModel], now: datetime.datetime
) -> int:
    """Write registered models, with their aliases and tags, read at ``now``. Returns how many."""
    rows = {
        item.name: {
            "server": server,
            "name": item.name,
            "lifecycle_stage": ACTIVE,
            "updated": naive(item.updated),
            "facts": records.to_dict(item),
            "facts_at": now,
        }
        for item in found
    }
    upsert(session, RegisteredModel, list(rows.values()))
    return len(rows)


def store_model_versions(
    session: Session, server: str, found: Iterable[reader.ModelVersion], now: datetime.datetime
) -> int:
    """Write versions read at ``now``; their models were written before, and name the aliases. Returns how many."""
    versions = {(item.name, item.version): item for item in found}
    aliases = _aliases(session, server, {name for name, _ in versions})
    rows = [
        {
            "server": server,
            "name": item.name,
            "version": item.version,
            "number": int(item.version) if item.version.isascii() and item.version.isdigit() else 0,
            "run_id": item.run_id or None,
            "model_id": item.model_id or None,
            "aliases": aliases.get(key, []),
            "lifecycle_stage": ACTIVE,
            "created": naive(item.created),
            "updated": naive(item.updated),
            "facts": records.to_dict(item),
            "facts_at": now,
        }
        for key, item in versions.items()
    ]
    upsert(session, ModelVersion, rows)
    return len(rows)


def store_logged_models(
    session: Session, server: str, found: Iterable[reader.LoggedModel], now: datetime.datetime
) -> int:
    """Write logged models read at ``now``. Returns how many."""
    rows = {
        item.model_id: {
            "server": server,
            "model_id": item.model_id,
            "experiment_id": item.experiment_id,
            "run_id": item.run_id or None,
            "name": item.name,
            "lifecycle_stage": ACTIVE,
            "created": naive(item.created),
            "updated": naive(item.updated),
            "facts": records.to_dict(item),
            "facts_at": now,
        }
        for item in found
    }
    upsert(session, LoggedModel, list(rows.values()))
    return len(rows)


def registry_read(session: Session, server: str, began: datetime.datetime) -> int:
    """After all models and versions were read from ``began`` on: mark those that were not there as gone, and say which
    run made a version where only its logged model knows. Returns how many versions are gone."""
    for table in (RegisteredModel, ModelVersion):
        unseen = sa.and_(table.server == server, table.facts_at < began, table.lifecycle_stage != GONE)
        gone = session.execute(
            sa.update(table).where(unseen).values(lifecycle_stage=GONE), execution_options=_UNSYNCHRONIZED
        )
    session.execute(
        sa.update(ModelVersion)
        .where(
            ModelVersion.server == server,
            ModelVersion.run_id.is_(None),
            LoggedModel.server == server,
            LoggedModel.model_id == ModelVersion.model_id,
        )
        .values(run_id=LoggedModel.run_id),
        execution_options=_UNSYNCHRONIZED,
    )
    session.execute(
        sa.update(ServerState).where(ServerState.name == server).values(registry_at=began),
        execution_options=_UNSYNCHRONIZED,
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]


def unseen_logged_models_gone(session: Session, server: str, ids: Collection[str], since: datetime.datetime) -> int:
    """Mark the logged models of completely read experiments that were in no answer since then. Returns how many."""
    unseen = sa.and_(
        LoggedModel.server == server,
        LoggedModel.experiment_id.in_(ids),
        LoggedModel.facts_at < since,
        LoggedModel.lifecycle_stage != GONE,
    )
    gone = session.execute(
        sa.update(LoggedModel).where(unseen).values(lifecycle_stage=GONE), execution_options=_UNSYNCHRONIZED
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]


def registered_models(session: Session, keys: Collection[ModelKey]) -> dict[ModelKey, RegisteredModel]:
    """Known registered models by (server, name)."""
    if not keys:
        return {}
    query = sa.select(RegisteredModel).where(sa.tuple_(RegisteredModel.server, RegisteredModel.name).in_(list(keys)))
    return {(row.server, row.name): row for row in session.scalars(_fresh(query))}


def model_versions(session: Session, keys: Collection[VersionKey]) -> dict[VersionKey, ModelVersion]:
    """Known versions by (server, name, version)."""
    if not keys:
        return {}
    columns = sa.tuple_(ModelVersion.server, ModelVersion.name, ModelVersion.version)
    query = sa.select(ModelVersion).where(columns.in_(list(keys)))
    return {(row.server, row.name, row.version): row for row in session.scalars(_fresh(query))}


def logged_models(session: Session, keys: Collection[ModelKey]) -> dict[ModelKey, LoggedModel]:
    """Known logged models by (server, model id)."""
    if not keys:
        return {}
    query = sa.select(LoggedModel).where(sa.tuple_(LoggedModel.server, LoggedModel.model_id).in_(list(keys)))
    return {(row.server, row.model_id): row for row in session.scalars(_fresh(query))}


def versions_of_model(session: Session, server: str, name: str) -> Sequence[ModelVersion]:
    """All known versions of a registered model, the highest first, those that are gone among them."""
    query = sa.select(ModelVersion).where(ModelVersion.server == server, ModelVersion.name == name)
    return session.scalars(_fresh(query.order_by(ModelVersion.number.desc(), ModelVersion.version.desc()))).all()


def versions_of_runs(session: Session, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[ModelVersion]]:
    """The versions that each of the runs (server, run id) made, the highest first, without those that are gone."""
    query = (
        sa.select(ModelVersion)
        .where(
            sa.tuple_(ModelVersion.server, ModelVersion.run_id).in_(list(keys)), ModelVersion.lifecycle_stage != GONE
        )
        .order_by(ModelVersion.name, ModelVersion.number.desc())
    )
    found: dict[tuple[str, str], list[ModelVersion]] = {}
    for row in session.scalars(_fresh(query)) if keys else ():
        found.setdefault((row.server, row.run_id or ""), []).append(row)
    return found


def _aliases(session: Session, server: str, names: Collection[str]) -> dict[tuple[str, str], list[str]]:
    query = sa.select(RegisteredModel.name, RegisteredModel.facts["aliases"]).where(
        RegisteredModel.server == server, RegisteredModel.name.in_(names)
    )
    found: dict[tuple[str, str], list[str]] = {}
    for name, aliases in session.execute(query):
        for alias, version in sorted((aliases or {}).items()):
            found.setdefault((name, version), []).append(alias)
    return found


def _fresh(query: sa.Select[Any]) -> sa.Select[Any]:
    return query.execution_options(populate_existing=True)
