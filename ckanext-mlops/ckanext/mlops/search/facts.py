"""What the tables know of a dataset and a search should find: its versions' refs, commits and hashes, its links."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.core.tables import flatten
from ckanext.mlops.model import run_links
from ckanext.mlops.model.tables import Experiment, Link, RegisteredModel, Version
from ckanext.mlops.model.transfers import Content

MAX_VERSIONS = 1000
MAX_NUMBERS = 100
MAX_PARAMS = 200
_MAX_VALUE = 200


@dataclass
class Facts:
    """Of one dataset.

    :param refs: branches and tags that show any of its versions
    :param hashes: of all versions' outputs
    :param numbers: metrics, then params, of the current version by full name, and by last part where that is unique
    :param params: of the current version, ``name=value``
    :param metrics: names of the current version's metrics; ``param_names`` those of its params
    :param columns: of the tables that a worker looked into
    :param committed: of the newest version, ISO 8601 with ``Z``
    """

    refs: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    params: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    param_names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    experiments: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    committed: str = ""


def facts(session: Session, package_id: str) -> Facts:
    """A few statements; bounded by :data:`MAX_VERSIONS` versions."""
    result = Facts()
    hashes = sa.func.jsonb_path_query_array(Version.facts, sa.cast("$.outs[*].hash", sa.dialects.postgresql.JSONPATH))
    current = sa.case((Version.current, Version.facts), else_=None)
    rows = session.execute(
        sa.select(Version.commit, Version.committed, Version.refs, hashes.label("hashes"), current.label("facts"))
        .where(Version.package_id == package_id)
        .order_by(Version.committed.desc().nulls_last(), Version.position.desc())
        .limit(MAX_VERSIONS)
    ).all()
    refs, commits, contents = dict[str, None](), dict[str, None](), dict[str, None]()
    for row in rows:
        refs |= dict.fromkeys(ref["name"] for ref in row.refs if ref.get("kind") != "commit")
        commits |= dict.fromkeys((row.commit, *(ref["commit"] for ref in row.refs)))
        contents |= dict.fromkeys(str(each) for each in row.hashes or () if each)
        if row.facts:
            _current(result, row.facts)
    result.refs, result.commits, result.hashes = list(refs), list(commits), list(contents)
    if rows and rows[0].committed:
        result.committed = rows[0].committed.isoformat(timespec="seconds") + "Z"
    links = session.execute(
        sa.select(Link.kind, Link.target, Experiment.name)
        .outerjoin(
            Experiment,
            sa.and_(
                Link.kind == "experiment", Experiment.server == Link.server, Experiment.experiment_id == Link.target
            ),
        )
        .where(Link.package_id == package_id)
        .limit(MAX_VERSIONS)
    )
    for row in links:
        if row.kind == "run":
            result.runs.append(row.target)
        elif row.name:
            result.experiments.append(row.name)
    result.columns = _columns(session, package_id, result.hashes)
    for server, name, _ in run_links.models(session, [package_id]):
        result.models.append(name)
        model = session.get(RegisteredModel, (server, name))
        result.aliases += list((model.facts.get("aliases") or {}) if model else ())
    return result


def _columns(session: Session, package_id: str, hashes: list[str]) -> list[str]:
    """Names of the columns of its tables, of whatever version a worker looked at."""
    names = sa.func.jsonb_path_query(Content.profile, sa.cast("$.columns[*].name", sa.dialects.postgresql.JSONPATH))
    found = session.scalars(
        sa.select(names.op("#>>")("{}")).where(Content.package_id == package_id, Content.hash.in_(hashes)).distinct()
    )
    return sorted(found)[:MAX_PARAMS]


def _current(result: Facts, stage: dict[str, Any]) -> None:
    numbers: dict[str, float] = {}
    metrics = [item for metric in stage.get("metrics", ()) for item in flatten(metric.get("values") or {}) if item[0]]
    params = [(str(param.get("key")), param.get("value")) for param in stage.get("params", ())]
    for name, value in [*metrics, *params]:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and len(numbers) < MAX_NUMBERS:
            numbers.setdefault(name, float(value))
    result.metrics = list(dict.fromkeys(name for name, _ in metrics))[:MAX_PARAMS]
    result.param_names = list(dict.fromkeys(name for name, _ in params))[:MAX_PARAMS]
    lasts: dict[str, set[float]] = {}
    for name, value in numbers.items():
        lasts.setdefault(name.rsplit(".", 1)[-1], set()).add(value)
    result.numbers = numbers | {
        name: next(iter(values)) for name, values in lasts.items() if len(values) == 1 and name not in numbers
    }
    for name, value in params[:MAX_PARAMS]:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        result.params += {f"{name}={text}"[:_MAX_VALUE], f"{name.rsplit('.', 1)[-1]}={text}"[:_MAX_VALUE]}
    result.labels = sorted(
        {str(label) for out in stage.get("outs", ()) for label in (*out.get("labels", ()), out.get("type")) if label}
    )
