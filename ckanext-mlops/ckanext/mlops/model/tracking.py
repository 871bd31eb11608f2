"""Runs and model versions of MLflow as nodes of lineage: read from the links and the copied facts.

A dataset leads to the runs that used it, a run to the datasets and model versions that it made, a model version to the
datasets that people made from it. Of one dataset at most :data:`RUNS_PER_DATASET` runs are nodes: those that made a
registered model first, then the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.model import mlflow, mlflow_models
from ckanext.mlops.model.closure import Look
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.moments import Moment, version_of
from ckanext.mlops.model.nodes import MODEL_URI, RUN, Side, model_key, model_uris, parts, run_key
from ckanext.mlops.model.tables import Edge, Link, ModelVersion, Run

RUNS_PER_DATASET = 10
PRODUCED = "produced"


class Tracking:
    """Neighbours by way of MLflow, at a moment."""

    def __init__(self, session: Session, moment: Moment | None) -> None:
        self.session = session
        self.moment = moment
        self.linked = sa.exists().where(Link.kind == "run")
        self._used: bool | None = None

    @property
    def used(self) -> bool:
        """Whether any dataset of the portal is linked to a run; without, nothing else is asked."""
        if self._used is None:
            self._used = bool(self.session.scalar(sa.select(self.linked)))
        return self._used

    @used.setter
    def used(self, value: bool) -> None:
        self._used = value

    def of_datasets(self, side: Side, datasets: Iterable[str]) -> list[tuple[str, str]]:
        """(dataset, run) for the runs that made the datasets (upstream) or used them (downstream)."""
        if not self.used:
            return []
        made = sa.exists().where(ModelVersion.server == Link.server, ModelVersion.run_id == Link.target)
        ranked = (
            sa.select(
                Link.package_id,
                Link.server,
                Link.target,
                sa.func.row_number()
                .over(
                    partition_by=Link.package_id,
                    order_by=(sa.case((made, 0), else_=1), Run.started.desc().nulls_last(), Link.target),
                )
                .label("place"),
            )
            .join(Run, sa.and_(Run.server == Link.server, Run.run_id == Link.target), isouter=True)
            .where(Link.package_id == sa.any_(texts(datasets)), *self._links(side))
            .subquery()
        )
        rows = self.session.execute(
            sa.select(ranked.c.package_id, ranked.c.server, ranked.c.target)
            .where(ranked.c.place <= RUNS_PER_DATASET)
            .distinct()
        )
        return [(row.package_id, run_key(row.server, row.target)) for row in rows]

    def of_runs(self, side: Side, runs: Sequence[str]) -> list[tuple[str, str]]:
        """(run, dataset or model version) for what the runs used (upstream) or made (downstream)."""
        keys = _pairs(runs)
        if not keys:
            return []
        # What made a dataset is upstream of it: the relation is the other way round, seen from the run.
        rows = self.session.execute(
            sa.select(Link.server, Link.target, Link.package_id).where(
                sa.tuple_(Link.server, Link.target).in_(keys),
                *self._links("upstream" if side == "downstream" else "downstream"),
            )
        )
        found = [(run_key(row.server, row.target), row.package_id) for row in rows]
        if side == "downstream":
            made = mlflow_models.versions_of_runs(self.session, keys)
            found += [
                (run_key(*key), model_key(row.server, row.name, row.version))
                for key, each in made.items()
                for row in each
            ]
        return found

    def of_models(self, side: Side, models: Sequence[str]) -> list[tuple[str, str]]:
        """(model version, run that made it), or (model version, dataset that people made from it)."""
        keys = [parts(key) for key in models]
        known = mlflow_models.model_versions(self.session, [key for key in keys if len(key) == 3])
        if side == "upstream":
            return [(model_key(*key), run_key(row.server, row.run_id)) for key, row in known.items() if row.run_id]
        uris = self.uris(models)
        rows = self.session.execute(
            sa.select(Edge.upstream_uri, Edge.downstream_dataset)
            .where(Edge.upstream_uri == sa.any_(texts(uris)), Edge.current)
            .distinct()
        )
        return [(uris[row.upstream_uri], row.downstream_dataset) for row in rows]

    def uris(self, models: Iterable[str]) -> dict[str, str]:
        """The addresses that people may give for the model versions, each with its node."""
        keys = {key: parts(key) for key in models}
        known = mlflow_models.model_versions(self.session, [each for each in keys.values() if len(each) == 3])
        return {
            uri: key
            for key, each in keys.items()
            if len(each) == 3
            for uri in model_uris(*each, aliases=known[each].aliases if each in known else [])
        }

    def named(self, uris: Iterable[str]) -> dict[str, str]:
        """The addresses ``models:/NAME/VERSION``, ``models:/NAME@ALIAS`` and ``models://SERVER/…`` that mean exactly
        one known version, each with its node."""
        asked = {uri: _model_of(uri) for uri in uris if uri.startswith(MODEL_URI)}
        names = {each[1] for each in asked.values() if each}
        if not names:
            return {}
        rows = self.session.scalars(
            sa.select(ModelVersion).where(ModelVersion.name.in_(names), ModelVersion.lifecycle_stage != mlflow.GONE)
        ).all()
        found = {}
        for uri, each in asked.items():
            fits = [row for row in rows if each and _fits(row, *each)]
            if len(fits) == 1:
                found[uri] = model_key(fits[0].server, fits[0].name, fits[0].version)
        return found

    def unseen_runs(self, keys: Sequence[str], look: Look) -> set[str]:
        """Those of the runs that no dataset is linked to which the reader may see."""
        datasets: dict[str, set[str]] = {key: set() for key in keys}
        pairs = _pairs(keys)
        if pairs:
            rows = self.session.execute(
                sa.select(Link.server, Link.target, Link.package_id).where(
                    Link.kind == "run", sa.tuple_(Link.server, Link.target).in_(pairs)
                )
            )
            for row in rows:
                datasets[run_key(row.server, row.target)].add(row.package_id)
        wanted = sorted(set().union(*datasets.values()))
        visible = look(wanted).visible if wanted else frozenset()
        return {key for key, each in datasets.items() if each.isdisjoint(visible)}

    def links(self, datasets: Iterable[str], runs: Iterable[str]) -> list[Link]:
        """The links between the datasets and the runs."""
        pairs = _pairs(runs)
        if not pairs:
            return []
        query = sa.select(Link).where(
            Link.package_id == sa.any_(texts(datasets)),
            sa.tuple_(Link.server, Link.target).in_(pairs),
            *self._links(None),
        )
        return list(self.session.scalars(query.order_by(Link.package_id, Link.server, Link.target, Link.relation)))

    def _links(self, side: Side | None) -> list[Any]:
        where: list[Any] = [Link.kind == "run"]
        if side is not None:
            where.append(Link.relation == PRODUCED if side == "upstream" else Link.relation != PRODUCED)
        if self.moment is not None:
            where.append(sa.or_(Link.version_id.is_(None), Link.version_id == version_of(self.moment, Link.package_id)))
        return where


def _pairs(runs: Iterable[str]) -> list[tuple[str, str]]:
    found = [parts(key) for key in runs if key.startswith(RUN)]
    return [(each[0], each[1]) for each in found if len(each) == 2]


def _model_of(uri: str) -> tuple[str, str, str, str] | None:
    """(server or ``""``, name, version or ``""``, alias or ``""``)."""
    rest = uri.removeprefix(MODEL_URI)
    server = ""
    if rest.startswith("/"):
        server, _, rest = rest[1:].partition("/")
    if "@" in rest:
        name, _, alias = rest.rpartition("@")
        return (server, name, "", alias) if name and alias else None
    name, _, version = rest.rpartition("/")
    return (server, name, version, "") if name and version else None


def _fits(row: ModelVersion, server: str, name: str, version: str, alias: str) -> bool:
    return (
        row.name == name
        and server in ("", row.server)
        and (row.version == version if version else alias in (row.aliases or ()))
    )
