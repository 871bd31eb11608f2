"""Which datasets runs and models are tied to, and the other way round: links followed through MLflow's own ties.

A link to a run, or to a model that a run made, ties the run; a link to an experiment ties all of its runs, weakly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.model.mlflow import GONE
from ckanext.mlops.model.tables import Link, LoggedModel, ModelVersion, Run

Key = tuple[str, str]
#: Rows of one question about all links of a portal.
MAX_ROWS = 50_000


def run_keys(where: sa.ColumnElement[bool], *, experiments: bool = True) -> list[sa.Select[tuple[str, str]]]:
    """Selects of (server, run id) that are to be united: the runs behind the links that ``where`` chooses."""
    known = Run.lifecycle_stage != GONE
    run = sa.select(Run.server, Run.run_id)
    parts = [
        run.join(Link, sa.and_(Link.server == Run.server, Link.target == Run.run_id, Link.kind == "run")),
        run.join(LoggedModel, sa.and_(LoggedModel.server == Run.server, LoggedModel.run_id == Run.run_id)).join(
            Link,
            sa.and_(Link.server == Run.server, Link.target == LoggedModel.model_id, Link.kind == "logged_model"),
        ),
        run.join(ModelVersion, sa.and_(ModelVersion.server == Run.server, ModelVersion.run_id == Run.run_id)).join(
            Link,
            sa.and_(
                Link.server == Run.server,
                sa.or_(
                    sa.and_(
                        Link.kind == "model_version",
                        Link.target == ModelVersion.name + "/" + ModelVersion.version,
                    ),
                    sa.and_(Link.kind == "registered_model", Link.target == ModelVersion.name),
                ),
            ),
        ),
    ]
    if experiments:
        joined = sa.and_(Link.server == Run.server, Link.target == Run.experiment_id, Link.kind == "experiment")
        parts.append(run.join(Link, joined))
    return [part.where(where, known) for part in parts]


def of_runs(
    session: Session, keys: Collection[Key], package_id: str = "", known: Iterable[Run] = ()
) -> dict[Key, list[Link]]:
    """The links that tie each of the runs (server, run id), the run's own first; of one dataset or of all.

    :param known: all of the runs, where they were read already
    """
    if not keys:
        return {}
    wanted = sa.tuple_(Run.server, Run.run_id).in_(list(keys))
    own = (Link.package_id == package_id,) if package_id else ()
    found: dict[Key, list[Link]] = {}
    made = session.execute(
        sa.select(ModelVersion.server, ModelVersion.run_id, ModelVersion.name, ModelVersion.version).where(
            sa.tuple_(ModelVersion.server, ModelVersion.run_id).in_(list(keys))
        )
    ).all()
    logged = session.execute(
        sa.select(LoggedModel.server, LoggedModel.run_id, LoggedModel.model_id).where(
            sa.tuple_(LoggedModel.server, LoggedModel.run_id).in_(list(keys))
        )
    ).all()
    columns = sa.select(Run.server, Run.run_id, Run.experiment_id)
    experiments = list(known) or session.execute(columns.where(wanted)).all()
    leads: dict[tuple[str, str, str], list[Key]] = {}
    for server, run_id in keys:
        leads.setdefault((server, "run", run_id), []).append((server, run_id))
    for row in made:
        key = (row.server, row.run_id or "")
        leads.setdefault((row.server, "model_version", f"{row.name}/{row.version}"), []).append(key)
        leads.setdefault((row.server, "registered_model", row.name), []).append(key)
    for one in logged:
        leads.setdefault((one.server, "logged_model", one.model_id), []).append((one.server, one.run_id or ""))
    for each in experiments:
        leads.setdefault((each.server, "experiment", each.experiment_id), []).append((each.server, each.run_id))
    order = {"run": 0, "logged_model": 1, "model_version": 2, "registered_model": 3, "experiment": 4}
    query = sa.select(Link).where(sa.tuple_(Link.server, Link.kind, Link.target).in_(list(leads)), *own)
    for link in sorted(session.scalars(query), key=lambda link: (order[link.kind], link.package_id, link.relation)):
        for key in dict.fromkeys(leads[link.server, link.kind, link.target]):
            found.setdefault(key, []).append(link)
    return found


def telling(found: Iterable[Link]) -> list[Link]:
    """Each dataset, relation and version once, of links in the order of :func:`of_runs`.

    What does not say which version says nothing beside what does, nor an experiment's link beside a nearer one.
    """
    kept: dict[tuple[str, str, str], Link] = {}
    for link in found:
        kept.setdefault((link.package_id, link.relation, link.version_id or ""), link)
    known = {(package_id, relation) for package_id, relation, version in kept if version}
    nearer = {link.package_id for link in kept.values() if link.kind != "experiment"}
    return [
        link
        for (package_id, relation, version), link in kept.items()
        if version or ((package_id, relation) not in known and (link.kind != "experiment" or package_id not in nearer))
    ]


def of_models(session: Session, keys: Collection[Key]) -> dict[Key, list[Link]]:
    """The links to each of the registered models (server, name) themselves."""
    query = sa.select(Link).where(Link.kind == "registered_model", sa.tuple_(Link.server, Link.target).in_(list(keys)))
    found: dict[Key, list[Link]] = {}
    for link in session.scalars(query) if keys else ():
        found.setdefault((link.server, link.target), []).append(link)
    return found


def experiments(session: Session, package_ids: Iterable[str] | None = None) -> set[tuple[str, str, str]]:
    """(server, experiment id, package id) of all ties, through runs and their models or directly."""
    own = _packages(package_ids)
    direct = sa.select(Link.server, Link.target, Link.package_id).where(Link.kind == "experiment", *own)
    through = sa.select(Run.server, Run.experiment_id, Link.package_id).join(
        Link, sa.and_(Link.kind == "run", Link.server == Run.server, Link.target == Run.run_id)
    )
    logged = sa.select(LoggedModel.server, LoggedModel.experiment_id, Link.package_id).join(
        Link,
        sa.and_(Link.kind == "logged_model", Link.server == LoggedModel.server, Link.target == LoggedModel.model_id),
    )
    parts = sa.union(direct, through.where(*own), logged.where(*own)).limit(MAX_ROWS)
    return {(row[0], row[1], row[2]) for row in session.execute(parts)}


def models(session: Session, package_ids: Iterable[str] | None = None) -> set[tuple[str, str, str]]:
    """(server, registered model, package id) of all ties: of the model, a version, its run or its logged model."""
    own = _packages(package_ids)
    direct = sa.select(Link.server, Link.target, Link.package_id).where(Link.kind == "registered_model", *own)
    version = sa.select(ModelVersion.server, ModelVersion.name, Link.package_id).where(
        ModelVersion.lifecycle_stage != GONE, *own
    )
    kinds = (
        sa.and_(Link.kind == "run", Link.target == ModelVersion.run_id),
        sa.and_(Link.kind == "logged_model", Link.target == ModelVersion.model_id),
        sa.and_(Link.kind == "model_version", Link.target == ModelVersion.name + "/" + ModelVersion.version),
    )
    parts = [version.join(Link, sa.and_(Link.server == ModelVersion.server, kind)) for kind in kinds]
    of_experiment = sa.and_(Link.kind == "experiment", Link.server == Run.server, Link.target == Run.experiment_id)
    of_run = sa.and_(Run.server == ModelVersion.server, Run.run_id == ModelVersion.run_id)
    parts.append(version.join(Run, of_run).join(Link, of_experiment))
    rows = session.execute(sa.union(direct, *parts).limit(MAX_ROWS))
    return {(row[0], row[1], row[2]) for row in rows}


def _packages(package_ids: Iterable[str] | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if package_ids is None else (Link.package_id.in_(list(package_ids)),)
