"""What would lose something if a dataset went: the live datasets, runs and models that use it directly."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from ckan.plugins import toolkit as tk
from ckan.types import Context

from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model.tables import Edge, Link
from ckanext.mlops.model.tracking import LINKED, PRODUCED

REFUSE = "ckanext.mlops.delete.refuse_used"
MAX_NAMED = 20
MAX_DATASETS = 5000


@dataclass(frozen=True)
class Dependents:
    """As one reader may know of them: ``datasets`` (name, title) are named, the others counted."""

    datasets: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0
    hidden: int = 0
    runs: int = 0
    models: int = 0

    def __bool__(self) -> bool:
        return bool(self.count or self.hidden or self.runs or self.models)

    def sentence(self) -> str:
        """For a person."""
        parts = []
        if self.count:
            parts.append(tk.ungettext("{n} dataset", "{n} datasets", self.count).format(n=self.count))
        if self.hidden:
            parts.append(
                tk.ungettext(
                    "{n} dataset that you may not see", "{n} datasets that you may not see", self.hidden
                ).format(n=self.hidden)
            )
        if self.runs:
            parts.append(tk.ungettext("{n} MLflow run", "{n} MLflow runs", self.runs).format(n=self.runs))
        if self.models:
            parts.append(tk.ungettext("{n} model", "{n} models", self.models).format(n=self.models))
        return str(tk._("Used by {what}").format(what=", ".join(parts)))


def of(context: Context, package_id: str) -> Dependents:
    """What uses the dataset now, as the user of ``context`` may know of it."""
    reader = Reader(context)
    ids = reader.session.scalars(
        sa.select(Edge.downstream_dataset)
        .distinct()
        .where(Edge.upstream_dataset == package_id, Edge.current, Edge.downstream_dataset != package_id)
        .order_by(Edge.downstream_dataset)
        .limit(MAX_DATASETS)
    ).all()
    seen = reader.look(list(ids))
    packages = [reader.packages[each] for each in seen.visible]
    named = sorted(((each.name, each.title or each.name) for each in packages), key=lambda pair: pair[1].casefold())
    linked = (
        sa.select(Link.server, Link.kind, Link.target)
        .where(Link.package_id == package_id, Link.kind.in_(LINKED), Link.relation != PRODUCED)
        .distinct()
        .subquery()
    )
    is_run = linked.c.kind == "run"
    count = sa.func.count()
    runs, models = reader.session.execute(
        sa.select(count.filter(is_run), count.filter(~is_run)).select_from(linked)
    ).one()
    return Dependents(named[:MAX_NAMED], len(named), len(seen.hidden), runs, models)
