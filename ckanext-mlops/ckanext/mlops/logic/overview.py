"""What the home page shows of the catalog: newest versions, most used datasets, repositories and their harvests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.model import HarvestJob, HarvestSource
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.core.memo import Memo
from ckanext.mlops.logic import health
from ckanext.mlops.logic.reader import Reader, same_user
from ckanext.mlops.model import Edge
from ckanext.mlops.search.document import COMMITTED, REPOSITORY

_SPARE = 5  # the most used datasets are chosen among so many times as are shown, for some are hidden
MAX_REPOSITORIES = 50
_SECONDS = 60
_RANKINGS: Memo[tuple[int, int], list[str]] = Memo(4)


def overview(context: Context, limit: int) -> dict[str, Any]:
    """See :func:`mlops_overview`."""

    def search(arguments: dict[str, Any]) -> dict[str, Any]:
        return dict(tk.get_action("package_search")(same_user(context), arguments | {"include_private": True}))

    newest = search(
        {
            "fq": f"+{COMMITTED}:[* TO *]",
            "sort": f"{COMMITTED} desc, id asc",
            "rows": limit,
            "facet.field": f'["{REPOSITORY}"]',
            "facet.limit": MAX_REPOSITORIES,
        },
    )
    return {
        "datasets": search({"rows": 0})["count"],
        "newest": newest["results"],
        "most_used": _most_used(context, search, limit),
        "repositories": _repositories(
            context["session"](),
            {item["name"]: item["count"] for item in newest["search_facets"][REPOSITORY]["items"]},
            limit,
        ),
    }


def _most_used(
    context: Context, search: Callable[[dict[str, Any]], dict[str, Any]], limit: int
) -> list[dict[str, Any]]:
    ranking = _ranking(context["session"](), limit * _SPARE)
    visible = Reader(context).look(ranking).visible
    chosen = [each for each in ranking if each in visible][:limit]
    if not chosen:
        return []
    found = search({"fq": f"+id:({' OR '.join(chosen)})", "rows": limit})
    by_id = {each["id"]: each for each in found["results"]}
    return [by_id[key] for key in chosen if key in by_id]


def _ranking(session: Session, number: int) -> list[str]:
    """Ids of the ``number`` datasets that most others were made from.

    All edges are counted for it. Where there are more such datasets, a process counts them once a minute.
    """
    key = (number, int(time.time()) // _SECONDS)
    found = _RANKINGS.get(key)
    if found is None:
        uses = sa.func.count(Edge.downstream_dataset.distinct())
        found = list(
            session.scalars(
                sa.select(Edge.upstream_dataset)
                .where(Edge.current, Edge.upstream_dataset != Edge.downstream_dataset)
                .group_by(Edge.upstream_dataset)
                .order_by(uses.desc(), Edge.upstream_dataset)
                .limit(number)
            )
        )
        if len(found) == number:
            _RANKINGS[key] = found
    return found


def _repositories(session: Session, visible: dict[str, int], limit: int) -> list[dict[str, Any]]:
    """Repositories of which the reader sees a dataset, each with its source's last harvest; latest first."""
    all_sources = sa.select(HarvestSource.id, HarvestSource.url).where(
        HarvestSource.type == "dvc", HarvestSource.active
    )
    slugs = {row.id: naming.repository_slug(row.url) for row in session.execute(all_sources)}
    # A portal may have thousands: only the harvests of those that may be shown are looked at.
    sources = [key for key, slug in slugs.items() if slug in visible]
    last = (
        sa.select(HarvestJob.source_id, sa.func.max(HarvestJob.created).label("created"))
        .where(HarvestJob.source_id.in_(sources))
        .group_by(HarvestJob.source_id)
        .subquery()
    )
    rows = session.execute(
        sa.select(
            HarvestSource.id, HarvestSource.url, HarvestJob.status, HarvestJob.finished, health.FAILED.label("failed")
        )
        .join(last, last.c.source_id == HarvestSource.id)
        .join(HarvestJob, sa.and_(HarvestJob.source_id == HarvestSource.id, HarvestJob.created == last.c.created))
        .order_by(HarvestJob.created.desc())
    )
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        slug = slugs[row.id]
        if slug not in found:
            finished = row.finished.isoformat() + "Z" if row.finished else None
            found[slug] = {
                "id": slug,
                "name": naming.repository_name(row.url),
                "datasets": visible[slug],
                "status": "running" if row.status != "Finished" else "failed" if row.failed else "finished",
                "finished": finished,
                "source": row.id,
            }
    return list(found.values())[:limit]
