"""The best runs of one version of a dataset, for each metric; what different things were done with is not mixed."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.orm import Session

from ckanext.mlops.logic.mlflow_dictize import Servers, run_dict
from ckanext.mlops.logic.mlflow_lineage import model_versions_of_runs, version_label
from ckanext.mlops.logic.schema.links import RELATIONS
from ckanext.mlops.model import Link, Version, run_table
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import utc_now

MAX_METRICS = 30
_LOWER_IS_BETTER = re.compile(
    r"loss|error|rmse|mse|mae|mape|perplexity|logloss|deviance|wer\b|cer\b|time|latency", re.IGNORECASE
)


def goal_of(metric: str) -> str:
    """Whether the largest or the smallest value of a metric is the best, by its name."""
    return "min" if _LOWER_IS_BETTER.search(metric) else "max"


def leaderboard(session: Session, package: model.Package, version: Version | None, limit: int) -> dict[str, Any]:
    """The answer of ``mlops_leaderboard``."""
    boards: list[dict[str, Any]] = []
    if version is not None:
        used = sa.select(Link.relation).distinct().where(Link.package_id == package.id, Link.version_id == version.id)
        relations = set(session.scalars(used))
        for relation in (each for each in RELATIONS if each in relations):
            selection = run_table.Selection(package.id, version=version.id, relation=relation)
            metrics = [item for item in run_table.columns(session, selection) if item.kind == "metrics"]
            boards += [_board(session, selection, relation, item, limit) for item in metrics[:MAX_METRICS]]
    return {
        "version": {"id": version.id, "commit": version.commit, "label": version_label(version)} if version else None,
        "boards": [board for board in boards if board["runs"]],
    }


def _board(
    session: Session, selection: run_table.Selection, relation: str, item: run_table.Column, limit: int
) -> dict[str, Any]:
    goal = goal_of(item.name)
    rows = run_table.top(session, selection, item.name, goal == "max", limit)
    names = {row.server for row in rows}
    servers = Servers(names, facts.states(session, names), utc_now())
    made = model_versions_of_runs(session, [(row.server, row.run_id) for row in rows])
    return {
        "relation": relation,
        "metric": item.name,
        "goal": goal,
        "count": item.runs,
        "runs": [
            run_dict(row, servers)
            | {"value": row.facts["metrics"][item.name], "models": made.get((row.server, row.run_id), [])}
            for row in rows
        ],
    }
