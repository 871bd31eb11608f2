"""What the tables know of a dataset and a search should find: its versions' refs, commits and hashes, its links."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.core.tables import flatten
from ckanext.mlops.model import revisions, run_links
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Experiment, Link, RegisteredModel, Version
from ckanext.mlops.model.transfers import Content
from ckanext.mlops.search import numbers

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


_AHEAD: ContextVar[Mapping[str, Facts]] = ContextVar("mlops_facts", default={})  # noqa: B039  never changed in place


@contextlib.contextmanager
def read_ahead(session: Session, package_ids: Collection[str]) -> Iterator[None]:
    """Read the facts of many datasets at once; :func:`facts` has them inside of the block."""
    token = _AHEAD.set(_read(session, package_ids))
    try:
        yield
    finally:
        _AHEAD.reset(token)


def facts(session: Session, package_id: str) -> Facts:
    """A few statements, or none inside of :func:`read_ahead`; bounded by :data:`MAX_VERSIONS` versions."""
    known = _AHEAD.get().get(package_id)
    return known if known is not None else _read(session, [package_id])[package_id]


def numbers_named(metrics: Any, params: Any, names: Sequence[str]) -> list[tuple[str, float]]:
    """Name → the number that a search for it means, for those of ``names`` that a version's facts have."""
    known = _numbers([item for values in _values(metrics, params) for item in values])
    values = {numbers.field(name): value for name, value in known.items()}
    return [(name, values[key]) for name in names if (key := numbers.field(name)) in values]


def _read(session: Session, package_ids: Collection[str]) -> dict[str, Facts]:
    """The facts of each dataset; as many statements for one as for many."""
    found = {each: Facts() for each in package_ids}
    if found:
        _of_versions(session, found)
        _of_links(session, found)
        _of_columns(session, found)
        _of_models(session, found)
    return found


def _of_versions(session: Session, found: Mapping[str, Facts]) -> None:
    hashes = sa.func.jsonb_path_query_array(Version.facts, sa.cast("$.outs[*].hash", sa.dialects.postgresql.JSONPATH))
    current = sa.case((Version.current, Version.facts), else_=None)
    newest = (Version.committed.desc().nulls_last(), Version.position.desc())
    rank = sa.func.row_number().over(partition_by=Version.package_id, order_by=newest).label("rank")
    columns = (Version.package_id, Version.commit, Version.committed, Version.refs)
    ranked = (
        sa.select(*columns, hashes.label("hashes"), current.label("facts"), rank)
        .where(Version.package_id == sa.any_(texts(found)))
        .subquery()
    )
    rows = session.execute(sa.select(ranked).where(ranked.c.rank <= MAX_VERSIONS).order_by("package_id", "rank"))
    branches = revisions.branches(session, found)
    for package_id, versions in groupby(rows, key=lambda row: row.package_id):
        refs, commits, contents = dict[str, None](), dict[str, None](), dict[str, None]()
        result = found[package_id]
        for row in versions:
            refs |= dict.fromkeys(ref["name"] for ref in row.refs if ref.get("kind") != "commit")
            heads = branches.get(package_id, {})
            at = (ref.get("commit") or heads.get(ref["name"], "") for ref in row.refs)
            commits |= dict.fromkeys(each for each in (row.commit, *at) if each)
            contents |= dict.fromkeys(str(each) for each in row.hashes or () if each)
            if row.facts:
                _current(result, row.facts)
            if row.rank == 1 and row.committed:
                result.committed = row.committed.isoformat(timespec="seconds") + "Z"
        result.refs, result.commits, result.hashes = list(refs), list(commits), list(contents)


def _of_links(session: Session, found: Mapping[str, Facts]) -> None:
    experiment = sa.and_(
        Link.kind == "experiment", Experiment.server == Link.server, Experiment.experiment_id == Link.target
    )
    rank = sa.func.row_number().over(partition_by=Link.package_id, order_by=Link.id).label("rank")
    ranked = (
        sa.select(Link.package_id, Link.kind, Link.target, Experiment.name, rank)
        .outerjoin(Experiment, experiment)
        .where(Link.package_id == sa.any_(texts(found)))
        .subquery()
    )
    for row in session.execute(sa.select(ranked).where(ranked.c.rank <= MAX_VERSIONS).order_by("package_id", "rank")):
        if row.kind == "run":
            found[row.package_id].runs.append(row.target)
        elif row.name:
            found[row.package_id].experiments.append(row.name)


def _of_columns(session: Session, found: Mapping[str, Facts]) -> None:
    """Names of the columns of their tables, of whatever version a worker looked at."""
    names = sa.func.jsonb_path_query(Content.profile, sa.cast("$.columns[*].name", sa.dialects.postgresql.JSONPATH))
    rows = session.execute(
        sa.select(Content.package_id, Content.hash, names.op("#>>")("{}").label("name"))
        .where(Content.package_id == sa.any_(texts(found)))
        .distinct()
    )
    columns: dict[str, set[str]] = {}
    for row in rows:
        if row.hash in found[row.package_id].hashes:
            columns.setdefault(row.package_id, set()).add(row.name)
    for package_id, each in columns.items():
        found[package_id].columns = sorted(each)[:MAX_PARAMS]


def _of_models(session: Session, found: Mapping[str, Facts]) -> None:
    tied = sorted(run_links.models(session, list(found)))
    keys = {(server, name) for server, name, _ in tied}
    wanted = sa.tuple_(RegisteredModel.server, RegisteredModel.name).in_(list(keys))
    models = session.scalars(sa.select(RegisteredModel).where(wanted)).all() if keys else ()
    aliases = {(each.server, each.name): list(each.facts.get("aliases") or ()) for each in models}
    for server, name, package_id in tied:
        found[package_id].models.append(name)
        found[package_id].aliases += aliases.get((server, name), [])


def _current(result: Facts, stage: dict[str, Any]) -> None:
    metrics, params = _values(stage.get("metrics"), stage.get("params"))
    result.metrics = list(dict.fromkeys(name for name, _ in metrics))[:MAX_PARAMS]
    result.param_names = list(dict.fromkeys(name for name, _ in params))[:MAX_PARAMS]
    result.numbers = _numbers([*metrics, *params])
    for name, value in params[:MAX_PARAMS]:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        result.params += {f"{name}={text}"[:_MAX_VALUE], f"{name.rsplit('.', 1)[-1]}={text}"[:_MAX_VALUE]}
    result.labels = sorted(
        {str(label) for out in stage.get("outs", ()) for label in (*out.get("labels", ()), out.get("type")) if label}
    )


def _values(metrics: Any, params: Any) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Metrics and params of a stage's facts by name."""
    return (
        [item for metric in metrics or () for item in flatten(metric.get("values") or {}) if item[0]],
        [(str(param.get("key")), param.get("value")) for param in params or ()],
    )


def _numbers(values: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Those that are numbers, by full name, and by last part where that is unique."""
    known: dict[str, float] = {}
    for name, value in values:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and len(known) < MAX_NUMBERS:
            known.setdefault(name, float(value))
    lasts: dict[str, set[float]] = {}
    for name, value in known.items():
        lasts.setdefault(name.rsplit(".", 1)[-1], set()).add(value)
    return known | {
        name: next(iter(values)) for name, values in lasts.items() if len(values) == 1 and name not in known
    }
