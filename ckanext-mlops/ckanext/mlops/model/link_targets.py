"""What of MLflow a dataset can be linked to, found by name among the facts that were copied."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from ckanext.mlops.model.mlflow import GONE
from ckanext.mlops.model.tables import Experiment, LoggedModel, ModelVersion, RegisteredModel


@dataclass(frozen=True)
class Target:
    """An experiment or model that MLflow has, or could restore.

    :param target: what a link keeps of it, see :class:`.tables.Link`
    :param within: the experiment (id) of a logged model, the registered model of a version
    :param created: of a registered model when it last changed; an experiment's is not told
    """

    server: str
    target: str
    name: str
    lifecycle_stage: str
    within: str
    run_id: str | None
    aliases: list[str]
    created: datetime.datetime | None


def find(
    session: Session,
    kind: str,
    *,
    server: str = "",
    within: str = "",
    target: str = "",
    text: str = "",
    limit: int,
    offset: int = 0,
) -> tuple[int, list[Target]]:
    """How many there are, and a page of them: by name, and of one name the newest first.

    :param kind: ``experiment``, ``logged_model``, ``registered_model`` or ``model_version``
    :param server: of this one only
    :param within, target: see :class:`Target`
    :param text: in their name, or in what a link to a model keeps, in any case
    """
    rows = _rows(kind).subquery()
    each = rows.c
    where = [each.lifecycle_stage != GONE]
    where += [each.server == server] if server else []
    where += [each.within == within] if within else []
    where += [each.target == target] if target else []
    if text:
        said = (each.name,) if kind == "experiment" else (each.name, each.target)
        where.append(sa.or_(*(one.icontains(text, autoescape=True) for one in said)))
    count = session.scalar(sa.select(sa.func.count()).select_from(rows).where(*where)) or 0
    newest = (each.number.desc(), each.created.desc().nulls_last())
    order = (sa.func.lower(each.name), each.server, *newest, each.target)
    columns = [each[name] for name in Target.__dataclass_fields__]
    query = sa.select(*columns).where(*where).order_by(*order).limit(limit).offset(offset)
    return count, [Target(*row) for row in session.execute(query)]


def _rows(kind: str) -> sa.Select[Any]:
    nothing, no_run = sa.literal("").label("within"), sa.cast(sa.null(), sa.UnicodeText).label("run_id")
    no_aliases = sa.cast(sa.literal("{}"), ARRAY(sa.UnicodeText)).label("aliases")
    first = sa.literal(0).label("number")
    table: Any
    own: tuple[Any, ...]
    if kind == "experiment":
        table, never = Experiment, sa.cast(sa.null(), sa.DateTime).label("created")
        own = (table.experiment_id.label("target"), table.name, nothing, no_run, no_aliases, never, first)
    elif kind == "logged_model":
        table = LoggedModel
        own = (table.model_id.label("target"), table.name, table.experiment_id.label("within"))
        own += (table.run_id, no_aliases, table.created, first)
    elif kind == "registered_model":
        table = RegisteredModel
        own = (table.name.label("target"), table.name, nothing, no_run, no_aliases)
        own += (table.updated.label("created"), first)
    else:
        table = ModelVersion
        own = ((table.name + "/" + table.version).label("target"), table.name, table.name.label("within"))
        own += (table.run_id, table.aliases, table.created, table.number)
    return sa.select(table.server, table.lifecycle_stage, *own)
