"""Metrics and params of a repository at all its branches and tags, as the reader may see them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.core.records import Metric, from_dict
from ckanext.mlops.core.tables import flatten, metric_entry
from ckanext.mlops.logic import repositories
from ckanext.mlops.logic.metrics_table import Row
from ckanext.mlops.model import Revision, Version, revisions
from ckanext.mlops.model.lineage import texts

MAX_VERSIONS = 20_000
_FACTS = ("kind", "name", "commit", "author", "message")
_KINDS = {"branch": 0, "tag": 1, "experiment": 2, "commit": 3}


def rows(context: Context, seen: repositories.Seen) -> tuple[list[Row], bool]:
    """One row per revision, branches first, then tags, newest first; and whether some versions were left out.

    A stage's metrics are shown to who may see its dataset. What belongs to no stage (metrics at the top of
    ``dvc.yaml``, params files) is shown to who may see all of the repository's datasets.
    """
    session: Session = context["session"]()
    slug = naming.repository_slug(seen.url)
    found: dict[tuple[str, str], Row] = {}
    for revision in revisions.of_repository(session, slug, seen.sources):
        row = found.setdefault((revision.kind, revision.name), Row(_facts(revision)))
        if seen.whole:
            for file, values in revision.params.items():
                row.take("param", file, {"data": values})
            for file, entry in revision.metrics.items():
                row.take("metric", file, entry)
    versions = session.execute(
        sa.select(Version.refs, Version.facts["metrics"].label("metrics"), Version.facts["params"].label("params"))
        .where(
            Version.package_id == sa.any_(texts(each["id"] for each in seen.datasets)),
            sa.func.jsonb_array_length(Version.refs) > 0,
        )
        .order_by(Version.package_id, Version.position)
        .limit(MAX_VERSIONS + 1)
    ).all()
    for version in versions[:MAX_VERSIONS]:
        for ref in version.refs:
            row = found.setdefault((ref["kind"], ref["name"]), Row(dict.fromkeys(_FACTS, "") | ref))
            for metric in version.metrics or ():
                row.take("metric", metric["file"], metric_entry(from_dict(Metric, metric)))
            for param in version.params or ():
                for name, value in flatten({param["key"]: param.get("value")}):
                    row.values.setdefault(f"param:{param['file']}:{name}", value)
    ordered = sorted(found.values(), key=lambda row: _KINDS.get(row.revision["kind"], 9))
    return ordered, len(versions) > MAX_VERSIONS


def _facts(revision: Revision) -> dict[str, Any]:
    facts = {name: getattr(revision, name) for name in _FACTS}
    return facts | {"committed": revision.committed.isoformat() + "Z" if revision.committed else ""}
