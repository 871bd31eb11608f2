"""The runs that a dataset is linked to, as a table: sorted and cut into pages by the database.

A run belongs to a dataset through a link of its own, of a model it made, or of its experiment, and is one row however
many links lead
to it. Runs that the server no longer knows are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.core.memo import Memo
from ckanext.mlops.model import run_links
from ckanext.mlops.model.mlflow import GONE, runs
from ckanext.mlops.model.tables import Link, Run

T = TypeVar("T")
ValueKind = Literal["metrics", "params"]
#: Columns are found in that many of the newest runs, so that a huge experiment costs no more than a large one.
_SAMPLE = 1000
_COMPARED = 100
_MAX_COLUMNS = 300
# How many runs, which ones, and when the facts of each changed: equal as long as nothing that is found in them changes.
_STATE = (
    sa.func.count(),
    sa.func.sum(sa.func.hashtextextended(Run.run_id, 0)),
    sa.func.sum(sa.extract("epoch", Run.changed)),
    sa.func.max(Run.changed),
)
#: What was found in the runs of a selection, of the datasets that this process showed lately.
_MEMO: Memo[Hashable, Any] = Memo(64)
_NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?$"


@dataclass(frozen=True)
class Column:
    """A metric or param that runs have: in how many, and how many distinct values in the newest of these."""

    kind: ValueKind
    name: str
    runs: int
    values: int


@dataclass(frozen=True)
class Best:
    """The run with the best value of a metric."""

    server: str
    run_id: str
    value: float


@dataclass(frozen=True)
class Selection:
    """Which runs: those linked to a dataset, and those of the experiments (server, experiment id) that it declares.

    :param version: only those that are tied to this version of it
    :param relation: only those that are tied to it by this relation
    :param only: only those among these (server, run id)
    """

    package_id: str
    declared: tuple[tuple[str, str], ...] = ()
    version: str = ""
    relation: str = ""
    only: tuple[tuple[str, str], ...] = ()

    def keys(self) -> sa.CTE:
        """Server and id of each run, once."""
        where = sa.and_(
            Link.package_id == self.package_id,
            *((Link.version_id == self.version,) if self.version else ()),
            *((Link.relation == self.relation,) if self.relation else ()),
        )
        parts = run_links.run_keys(where)
        if self.declared and not self.version and not self.relation:
            declared = sa.tuple_(Run.server, Run.experiment_id).in_(list(self.declared))
            parts.append(sa.select(Run.server, Run.run_id).where(declared, Run.lifecycle_stage != GONE))
        if self.only:
            parts = [part.where(sa.tuple_(Run.server, Run.run_id).in_(list(self.only))) for part in parts]
        return sa.union(*parts).cte("linked_run")


@dataclass(frozen=True)
class Page:
    """Some of the runs of a selection in their order, and how many there are.

    :param state: another one as soon as any of the runs is
    """

    runs: list[Run]
    count: int
    state: tuple[Any, ...]


def page(session: Session, selection: Selection, sort: str, descending: bool, limit: int, offset: int) -> Page:
    """Runs in the order of one of ``schema.RUN_FIELDS``, ``metrics.NAME`` or ``params.NAME``; those without a value
    last."""
    keys = selection.keys()
    order = [term.desc().nulls_last() if descending else term.asc().nulls_last() for term in _terms(sort)]
    # Facts are wide: the database sorts keys, and only the runs of the page are read whole.
    query = sa.select(Run.server, Run.run_id, *(each.over() for each in _STATE)).join(keys, _same(keys))
    query = query.order_by(*order, Run.started.desc().nulls_last(), Run.run_id).limit(limit).offset(offset)
    found = session.execute(query).all()
    if not found:
        state = session.execute(sa.select(*_STATE).join_from(Run, keys, _same(keys))).one()
        return Page([], state[0], tuple(state))
    known = runs(session, [(row[0], row[1]) for row in found])
    return Page([known[row[0], row[1]] for row in found if (row[0], row[1]) in known], found[0][2], tuple(found[0][2:]))


def best(session: Session, selection: Selection, metric: str, largest: bool, state: tuple[Any, ...]) -> Best | None:
    """The finished, undeleted run with the largest or smallest last value of a metric; the oldest of equals.

    :param state: of the selection's :class:`Page`
    """

    def find() -> tuple[Best, ...]:
        row = next(iter(top(session, selection, metric, largest, 1)), None)
        return () if row is None else (Best(row.server, row.run_id, row.facts["metrics"][metric]),)

    return next(iter(_remembered((selection, metric, largest, state), find)), None)


def top(session: Session, selection: Selection, metric: str, largest: bool, limit: int) -> Sequence[Run]:
    """The finished, undeleted runs with the largest or smallest last values of a metric; of equals the oldest first."""
    value = _number("metrics", metric)
    query = (
        _of(selection)
        .where(value.is_not(None), Run.status == "FINISHED", Run.lifecycle_stage == "active")
        .order_by(value.desc() if largest else value.asc(), Run.started.asc().nulls_last(), Run.run_id)
        .limit(limit)
    )
    return session.scalars(query).all()


def columns(session: Session, selection: Selection, state: tuple[Any, ...] = ()) -> Sequence[Column]:
    """Metrics and params of the runs, the most frequent first; of the newest :data:`_SAMPLE` runs where there are more.

    Values are compared in the newest :data:`_COMPARED` of them: that is what costs.

    :param state: of the selection's :class:`Page`, if there is one: what was found for it before is not asked for again
    """
    if not state:
        return _columns(session, selection)
    return _remembered((selection, state), lambda: tuple(_columns(session, selection)))


def _remembered(key: Hashable, find: Callable[[], T]) -> T:
    found = _MEMO.get(key)
    if found is None:
        _MEMO[key] = found = find()
    return cast(T, found)


def _columns(session: Session, selection: Selection) -> list[Column]:
    keys = selection.keys()
    newest = (Run.started.desc().nulls_last(), Run.run_id)
    kinds: tuple[ValueKind, ...] = ("metrics", "params")
    place = sa.func.row_number().over(order_by=newest).label("place")
    sample = sa.select(place, *(Run.facts[kind].label(kind) for kind in kinds)).join(keys, _same(keys))
    sampled = sample.order_by(*newest).limit(_SAMPLE).cte("sample")
    counted, compared = [], []
    for kind in kinds:
        label, is_object = sa.literal(kind).label("kind"), sa.func.jsonb_typeof(sampled.c[kind]) == "object"
        names = sa.func.jsonb_object_keys(sampled.c[kind]).table_valued("name").render_derived()
        counted.append(sa.select(label, names.c.name).select_from(sampled.join(names, sa.true())).where(is_object))
        pairs = sa.func.jsonb_each_text(sampled.c[kind]).table_valued("name", "value").render_derived()
        recent = sa.select(label, *pairs.c).select_from(sampled.join(pairs, sa.true()))
        compared.append(recent.where(is_object, sampled.c.place <= _COMPARED))
    name, value = sa.union_all(*counted).subquery(), sa.union_all(*compared).subquery()
    often = sa.select(*name.c, sa.func.count().label("runs")).group_by(*name.c).subquery()
    distinct = sa.select(*value.c).distinct().subquery()
    values = sa.select(distinct.c.kind, distinct.c.name, sa.func.count().label("values"))
    differing = values.group_by(distinct.c.kind, distinct.c.name).subquery()
    same = sa.and_(often.c.kind == differing.c.kind, often.c.name == differing.c.name)
    query = sa.select(*often.c, sa.func.coalesce(differing.c["values"], 0)).outerjoin_from(often, differing, same)
    found = [Column(*row) for row in session.execute(query)]
    found.sort(key=lambda each: (each.kind, -each.runs, each.name))
    return [each for kind in kinds for each in [one for one in found if one.kind == kind][:_MAX_COLUMNS]]


def _of(selection: Selection) -> sa.Select[tuple[Run]]:
    keys = selection.keys()
    return sa.select(Run).join(keys, _same(keys)).execution_options(populate_existing=True)


def _same(keys: sa.CTE) -> sa.ColumnElement[bool]:
    return sa.and_(Run.server == keys.c.server, Run.run_id == keys.c.run_id)


def _terms(sort: str) -> list[sa.ColumnElement[Any]]:
    """What to sort by: numbers as numbers, then text."""
    kind, _, name = sort.partition(".")
    if kind == "metrics":
        return [_number("metrics", name)]
    if kind == "params":
        return [_number("params", name), Run.facts["params"][name].astext]
    fields: dict[str, sa.ColumnElement[Any]] = {
        "name": sa.func.lower(Run.name),
        "status": Run.status.expression,
        "started": Run.started.expression,
        "duration": (Run.ended - Run.started),
        "user": Run.facts["user"].astext,
        "git_commit": Run.git_commit.expression,
    }
    return [fields[sort]]


def _number(kind: ValueKind, name: str) -> sa.ColumnElement[Any]:
    """The value as a number, NULL for one that is missing, NaN, infinite or no number."""
    value = Run.facts[kind][name]
    if kind == "metrics":
        is_number = sa.func.jsonb_typeof(value) == "number"
        return sa.case((is_number, sa.cast(value, sa.Numeric)), else_=sa.null())
    # The length keeps hostile digits out of the cast.
    is_number = sa.and_(sa.func.length(value.astext) < 40, value.astext.regexp_match(_NUMBER))
    return sa.case((is_number, sa.cast(value.astext, sa.Numeric)), else_=sa.null())
