"""Runs and models of MLflow as nodes of lineage: read from the links and the copied facts.

A dataset leads to what is linked to it as its user: a run, a model that a run logged, a registered model or a version
of one. A run leads to the versions that it made, and to the models that it logged where no version holds them or a link
names them; a logged model to its versions; a registered model to the versions in use (those with an alias, else the
newest). All of them lead to the datasets that they made: by a link, or because a person named the model as what a
dataset was made from. Of one dataset only some runs are nodes where a graph has a limit for them: those that made a
registered model first, then the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.model import mlflow_models, model_names, run_links
from ckanext.mlops.model.closure import Look
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.mlflow import GONE
from ckanext.mlops.model.moments import Moment, version_of
from ckanext.mlops.model.nodes import Side, kind_of, model_key, parts, run_key, target_key, target_of
from ckanext.mlops.model.tables import Edge, Link, LoggedModel, ModelVersion, Run

RUNS_PER_DATASET = 10
PRODUCED = "produced"
LINKED = ("run", "logged_model", "registered_model", "model_version")
Pair = tuple[str, str]
ANY_LINK = sa.exists().where(Link.kind.in_(LINKED))


@dataclass(frozen=True, slots=True)
class Tie:
    """That one of MLflow's things leads to another or to a dataset; ``link`` says so where there is one."""

    upstream: str
    downstream: str
    link: Link | None = None


class Tracking:
    """Neighbours by way of MLflow, at a moment.

    :param max_runs: of one dataset and side; None for all
    """

    def __init__(self, session: Session, moment: Moment | None, max_runs: int | None = None) -> None:
        self.session = session
        self.moment = moment
        self.max_runs = max_runs
        #: By side, dataset → how many of its runs are no nodes.
        self.left_out: dict[Side, dict[str, int]] = {"upstream": {}, "downstream": {}}
        self._used: bool | None = None

    @property
    def used(self) -> bool:
        """Whether any dataset of the portal is linked to anything; without, nothing else is asked."""
        if self._used is None:
            self._used = bool(self.session.scalar(sa.select(ANY_LINK)))
        return self._used

    @used.setter
    def used(self, value: bool) -> None:
        self._used = value

    def of_datasets(self, side: Side, datasets: Iterable[str]) -> list[Pair]:
        """(dataset, neighbour) for what made the datasets (upstream) or used them (downstream)."""
        if not self.used:
            return []
        targets = (
            sa.select(Link.package_id, Link.server, Link.kind, Link.target)
            .where(Link.package_id == sa.any_(texts(datasets)), *self._links(side))
            .distinct()
            .subquery()
        )
        each = targets.c
        made = sa.exists().where(ModelVersion.server == each.server, ModelVersion.run_id == each.target)
        own = (each.package_id, each.kind)
        newest = (sa.case((made, 0), else_=1), Run.started.desc().nulls_last(), each.target)
        ranked = (
            sa.select(
                *each,
                sa.func.row_number().over(partition_by=own, order_by=newest).label("place"),
                sa.func.count().over(partition_by=own).label("total"),
            )
            .outerjoin_from(
                targets, Run, sa.and_(each.kind == "run", Run.server == each.server, Run.run_id == each.target)
            )
            .subquery()
        )
        query = sa.select(*ranked.c)
        if self.max_runs is not None:
            query = query.where(sa.or_(ranked.c.kind != "run", ranked.c.place <= self.max_runs))
        found = []
        for row in self.session.execute(query):
            found.append((row.package_id, target_key(row.server, row.kind, row.target)))
            if self.max_runs is not None and row.kind == "run" and row.total > self.max_runs:
                self.left_out[side][row.package_id] = row.total - self.max_runs
        if side == "upstream":  # what a registered model made, its versions in use made
            whole: dict[tuple[str, str], list[str]] = {}
            for package, key in found:
                if kind_of(key) == "registered_model":
                    whole.setdefault(_two(key), []).append(package)
            in_use = self._in_use(whole)
            found += [
                (package, key) for name, packages in whole.items() for package in packages for key in in_use[name]
            ]
        return list(dict.fromkeys(found))

    def of_targets(self, side: Side, keys: Iterable[str]) -> list[Pair]:
        """(node, neighbour) for runs and models: what they used and came from (upstream), or made (downstream)."""
        keys = list(keys)
        if not keys:
            return []
        # What made a dataset is upstream of it: the relation is the other way round, seen from what made it.
        relation: Side = "upstream" if side == "downstream" else "downstream"
        found = [
            (target_key(link.server, link.kind, link.target), link.package_id)
            for link in self.session.execute(
                sa.select(Link.server, Link.kind, Link.target, Link.package_id).where(_to(keys), *self._links(relation))
            )
        ]
        if side == "upstream":
            return list(dict.fromkeys([*found, *((down, up) for up, down in self._comes_from(keys))]))
        found += self._leads_to(keys)
        found += [(up, down) for up, down, _ in self._by_registered(keys)]
        said = model_names.uris(self.session, keys)
        if said:
            rows = self.session.execute(
                sa.select(Edge.upstream_uri, Edge.downstream_dataset)
                .where(Edge.upstream_uri == sa.any_(texts(said)), Edge.current)
                .distinct()
            )
            found += [(said[row.upstream_uri], row.downstream_dataset) for row in rows]
        return list(dict.fromkeys(found))

    def ties(self, datasets: Iterable[str], targets: Iterable[str]) -> Iterator[Tie]:
        """What ties runs and models to each other and to the datasets, in a fixed order."""
        keys, own = sorted(targets), set(datasets)
        if not keys:
            return
        query = sa.select(Link).where(Link.package_id == sa.any_(texts(own)), _to(keys), *self._links(None))
        order = (Link.package_id, Link.server, Link.kind, Link.target, Link.relation)
        for link in self.session.scalars(query.order_by(*order)):
            key = target_key(link.server, link.kind, link.target)
            ends = (key, link.package_id) if link.relation == PRODUCED else (link.package_id, key)
            yield Tie(*ends, link)
        for up, down, link in self._by_registered(keys):
            if down in own:
                yield Tie(up, down, link)
        known = set(keys)
        for up, down in self._leads_to(keys):
            if down in known:
                yield Tie(up, down)

    def unseen(self, keys: Sequence[str], look: Look) -> set[str]:
        """Those of the runs and models that have to do only with datasets which the reader may not see.

        A run has to do with what is linked to it or to what it made. A model that no dataset is linked to is known by
        whatever led to it.
        """
        datasets = self.of_run(key for key in keys if kind_of(key) == "run")
        linked = self.linked_to(key for key in keys if kind_of(key) in ("logged_model", "registered_model"))
        datasets |= {key: each for key, each in linked.items() if each}
        wanted = sorted(set().union(*datasets.values()))
        visible = look(wanted).visible if wanted else frozenset()
        return {key for key, each in datasets.items() if each.isdisjoint(visible)}

    def behind(self, keys: Iterable[str]) -> dict[str, set[str]]:
        """Run or model → the datasets that are linked to it, or to what it came from or belongs to."""
        keys = list(keys)
        before: dict[str, set[str]] = {key: {key} for key in keys}
        for up, down in self._comes_from(keys, every=True):
            before[down].add(up)
        runs = self.of_run({each for found in before.values() for each in found if kind_of(each) == "run"})
        linked = self.linked_to({each for found in before.values() for each in found if each not in runs})
        either = linked | runs
        return {key: set().union(*(either[each] for each in found)) for key, found in before.items()}

    def linked_to(self, keys: Iterable[str]) -> dict[str, set[str]]:
        """Node → the datasets that are linked to it."""
        keys = list(keys)
        found: dict[str, set[str]] = {key: set() for key in keys}
        query = sa.select(Link.server, Link.kind, Link.target, Link.package_id).where(_to(keys))
        for row in self.session.execute(query) if keys else ():
            found[target_key(row.server, row.kind, row.target)].add(row.package_id)
        return found

    def of_run(self, keys: Iterable[str]) -> dict[str, set[str]]:
        """Run → the datasets that are linked to it, to its experiment or to what it made."""
        pairs = {_two(key): key for key in keys}
        found = run_links.of_runs(self.session, list(pairs))
        return {key: {link.package_id for link in found.get(pair, ())} for pair, key in pairs.items()}

    def _leads_to(self, keys: Iterable[str]) -> list[Pair]:
        """(run, logged model or version), (logged model, version) and (registered model, version in use)."""
        of = _by_kind(keys)
        runs = [_two(key) for key in of["run"]]
        found = [
            (run_key(*run), model_key(row.server, row.name, row.version))
            for run, rows in mlflow_models.versions_of_runs(self.session, runs).items()
            for row in rows
        ]
        found += (
            [
                (run_key(row.server, row.run_id or ""), _logged(row))
                for row in self.session.scalars(
                    sa.select(LoggedModel).where(
                        _within((LoggedModel.server, LoggedModel.run_id), runs), self._is_node(LoggedModel)
                    )
                )
            ]
            if runs
            else []
        )
        logged = [_two(key) for key in of["logged_model"]]
        if logged:
            held = _within((ModelVersion.server, ModelVersion.model_id), logged)
            found += [
                (target_key(row.server, "logged_model", row.model_id or ""), _version(row))
                for row in self.session.scalars(sa.select(ModelVersion).where(held, _live(ModelVersion)))
            ]
        whole = [_two(key) for key in of["registered_model"]]
        found += [
            (target_key(*name[:1], "registered_model", name[1]), key)
            for name, versions in self._in_use(whole).items()
            for key in versions
        ]
        return found

    def _comes_from(self, keys: Iterable[str], *, every: bool = False) -> list[Pair]:
        """The same, found from the other end: (upstream, downstream).

        :param every: also by way of what is no node
        """
        of = _by_kind(keys)
        found: list[Pair] = []
        versions = [(each[0], each[1], each[2]) for each in map(parts, of["model"]) if len(each) == 3]
        known = mlflow_models.model_versions(self.session, versions)
        made = [row for row in known.values() if every or row.lifecycle_stage != GONE]
        found += [(run_key(row.server, row.run_id), _version(row)) for row in made if row.run_id]
        held = {_version(row): (row.server, "logged_model", row.model_id) for row in made if row.model_id}
        whole = {_version(row): (row.server, "registered_model", row.name) for row in made}
        linked = self._linked([*held.values(), *whole.values()]) if whole and not every else set()
        found += [(target_key(*each), key) for key, each in held.items() if every or each in linked]
        in_use = self._in_use({(server, name) for server, kind, name in linked if kind == "registered_model"})
        found += [
            (target_key(*each), key)
            for key, each in whole.items()
            if every or key in in_use.get((each[0], each[2]), ())
        ]
        logged = [_two(key) for key in of["logged_model"]]
        if logged:
            own = _within((LoggedModel.server, LoggedModel.model_id), logged)
            query = sa.select(LoggedModel).where(own if every else sa.and_(own, self._is_node(LoggedModel)))
            found += [
                (run_key(row.server, row.run_id), _logged(row)) for row in self.session.scalars(query) if row.run_id
            ]
        return found

    def _by_registered(self, keys: Iterable[str]) -> list[tuple[str, str, Link]]:
        """(version in use, dataset, link) of what a link says that the registered model made."""
        versions = set(_by_kind(keys)["model"])
        whole = sorted({(each[0], each[1]) for each in map(parts, versions) if len(each) == 3})
        if not whole:
            return []
        links = self.session.scalars(
            sa.select(Link)
            .where(
                _within((Link.server, Link.target), whole), Link.kind == "registered_model", *self._links("upstream")
            )
            .order_by(Link.package_id, Link.server, Link.target)
        ).all()
        in_use = self._in_use({(link.server, link.target) for link in links})
        return [
            (key, link.package_id, link)
            for link in links
            for key in in_use[link.server, link.target]
            if key in versions
        ]

    def _in_use(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
        """(server, registered model) → its versions that have an alias, or else its newest."""
        found: dict[tuple[str, str], list[str]] = {name: [] for name in names}
        if not found:
            return {}
        row = ModelVersion
        aliased = sa.func.coalesce(sa.func.array_length(row.aliases, 1), 0) > 0
        ranked = (
            sa.select(
                row.server,
                row.name,
                row.version,
                aliased.label("aliased"),
                sa.func.row_number()
                .over(partition_by=(row.server, row.name), order_by=(aliased.desc(), row.number.desc(), row.version))
                .label("place"),
            )
            .where(_within((row.server, row.name), list(found)), _live(row))
            .subquery()
        )
        rows = self.session.execute(
            sa.select(*ranked.c).where(sa.or_(ranked.c.aliased, ranked.c.place == 1)).order_by(ranked.c.place)
        )
        for each in rows:
            found[each.server, each.name].append(model_key(each.server, each.name, each.version))
        return found

    def _linked(self, targets: Sequence[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
        """Those of the targets (server, kind, target) that a link leads to."""
        own = (Link.server, Link.kind, Link.target)
        query = sa.select(*own).where(_within(own, targets)).distinct()
        return {(row.server, row.kind, row.target) for row in self.session.execute(query)}

    def _is_node(self, table: type[LoggedModel]) -> sa.ColumnElement[bool]:
        """Whether a logged model is a node: no version holds it, or a link names it."""
        registered = sa.exists().where(
            ModelVersion.server == table.server, ModelVersion.model_id == table.model_id, _live(ModelVersion)
        )
        named = sa.exists().where(
            Link.server == table.server, Link.kind == "logged_model", Link.target == table.model_id
        )
        return sa.and_(_live(table), sa.or_(~registered, named))

    def _links(self, side: Side | None) -> list[Any]:
        where: list[Any] = [Link.kind.in_(LINKED)]
        if side is not None:
            where.append(Link.relation == PRODUCED if side == "upstream" else Link.relation != PRODUCED)
        if self.moment is not None:
            where.append(sa.or_(Link.version_id.is_(None), Link.version_id == version_of(self.moment, Link.package_id)))
        return where


def _by_kind(keys: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"run": [], "logged_model": [], "registered_model": [], "model": []}
    for key in sorted(keys):
        found[kind_of(key)].append(key)
    return found


def _to(keys: Iterable[str]) -> sa.ColumnElement[bool]:
    """Whether a link leads to one of the nodes."""
    targets = [each for each in map(target_of, keys) if each]
    return _within((Link.server, Link.kind, Link.target), targets)


def _within(columns: tuple[Any, ...], values: Sequence[tuple[str, ...]]) -> sa.ColumnElement[bool]:
    return sa.tuple_(*columns).in_(list(values)) if values else sa.false()


def _live(table: Any) -> Any:
    return table.lifecycle_stage != GONE


def _two(key: str) -> tuple[str, str]:
    each = parts(key)
    return each[0], each[-1]


def _logged(row: LoggedModel) -> str:
    return target_key(row.server, "logged_model", row.model_id)


def _version(row: ModelVersion) -> str:
    return model_key(row.server, row.name, row.version)
