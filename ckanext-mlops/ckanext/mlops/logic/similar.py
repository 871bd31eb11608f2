"""Datasets that are like another one: equal files, the same columns, made from the same data; each with its reasons.

Two requests to the search index and two statements, whatever the catalog's size. The index holds what a dataset's
reader may know (no columns of files that are given on request), and the reader's own search answers, so nothing is
found that they may not see; data in common is named only where they may see it, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context

from ckanext.mlops.core import matching
from ckanext.mlops.logic.reader import Reader, same_user
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Edge

#: Of one dataset, that are looked for; and datasets that are compared with it.
MAX_HASHES, MAX_COLUMNS, MAX_SOURCES, MAX_CANDIDATES = 60, 60, 50, 50
_MAX_SIBLINGS = 1000
_NAMED = 5
#: Two of many columns are a coincidence.
_LEAST_COLUMNS, _LEAST_SHARE = 2, 0.2
_EMPTY = frozenset(matching.EMPTY)


@dataclass
class _Like:
    id: str
    name: str
    title: str
    score: float = 0.0
    reasons: list[dict[str, Any]] = field(default_factory=list)

    def because(self, kind: str, shared: Iterable[str], of: int, weight: float) -> None:
        names = sorted(shared)
        self.score += weight * len(names) / of
        named = [] if kind == "content" else names[:_NAMED]
        self.reasons.append({"kind": kind, "count": len(names), "of": of, "names": named})


def similar(context: Context, package: model.Package, limit: int) -> list[dict[str, Any]]:
    """The answer of ``mlops_dataset_similar``."""
    found: dict[str, _Like] = {}
    hashes, columns = _facts(context, package)
    for each in _candidates(context, package.id, hashes, columns):
        like = _Like(each["id"], each["name"], each.get("title") or each["name"])
        content = hashes & (set(each.get("vocab_hash") or ()) - _EMPTY)
        if content:
            like.because("content", content, len(hashes), 2.0)
        theirs = set(each.get("vocab_column") or ())
        both = columns & theirs
        if (
            both
            and len(both) >= min(_LEAST_COLUMNS, len(columns))
            and len(both) >= _LEAST_SHARE * len(columns | theirs)
        ):
            like.because("columns", both, len(columns | theirs), 1.0)
        if like.reasons:
            found[like.id] = like
    for row, sources, of in _siblings(context, package.id):
        like = found.setdefault(row.id, _Like(row.id, row.name, row.title or row.name))
        like.because("lineage", sources, of, 0.5)
    best = sorted(found.values(), key=lambda each: (-each.score, each.title, each.id))[:limit]
    return [
        {
            "id": each.id,
            "name": each.name,
            "title": each.title,
            "page": tk.url_for("dataset.read", id=each.name, qualified=True),
            "score": round(each.score, 3),
            "reasons": each.reasons,
        }
        for each in best
    ]


def _search(context: Context, **arguments: Any) -> list[dict[str, Any]]:
    reader = same_user(context)
    asked = {"facet": "false", "include_private": True, **arguments}
    return list(tk.get_action("package_search")(reader, asked)["results"])


def _facts(context: Context, package: model.Package) -> tuple[set[str], set[str]]:
    """Hashes and columns of the dataset, as its readers find them."""
    found = _search(context, fq=f'id:"{package.id}"', fl=["id", "vocab_hash", "vocab_column"], rows=1)
    own = found[0] if found else {}
    hashes = [each for each in own.get("vocab_hash") or () if each not in _EMPTY]
    return set(hashes[:MAX_HASHES]), set((own.get("vocab_column") or ())[:MAX_COLUMNS])


def _candidates(context: Context, own: str, hashes: set[str], columns: set[str]) -> list[dict[str, Any]]:
    """Other datasets that have any of them, those with more and rarer ones first."""
    wanted = [
        f"{name}:({' OR '.join(map(_quoted, sorted(values)))})"
        for name, values in (("vocab_hash", hashes), ("vocab_column", columns))
        if values
    ]
    if not wanted:
        return []
    return _search(
        context,
        q=" OR ".join(wanted),
        fq=f'-id:"{own}" +dataset_type:dataset',
        fl=["id", "name", "title", "vocab_hash", "vocab_column"],
        sort="score desc, id asc",
        rows=MAX_CANDIDATES,
    )


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _siblings(context: Context, own: str) -> list[tuple[Any, set[str], int]]:
    """Datasets that were made from the same data: row, names of what they have in common, of how many."""
    reader = Reader(context)
    sources = reader.session.execute(
        sa.select(Edge.upstream_dataset, Edge.upstream_uri)
        .where(Edge.downstream_dataset == own, Edge.current)
        .distinct()
        .limit(MAX_SOURCES)
    ).all()
    visible = reader.look([row.upstream_dataset for row in sources if row.upstream_dataset]).visible - {own}
    uris = {row.upstream_uri for row in sources if row.upstream_uri}
    if not visible and not uris:
        return []
    rows = reader.session.execute(
        sa.select(Edge.downstream_dataset, Edge.upstream_dataset, Edge.upstream_uri)
        .where(
            sa.or_(Edge.upstream_dataset == sa.any_(texts(visible)), Edge.upstream_uri == sa.any_(texts(uris))),
            Edge.current,
            Edge.downstream_dataset != own,
        )
        .distinct()
        .limit(_MAX_SIBLINGS)
    ).all()
    shared: dict[str, set[str]] = {}
    for row in rows:
        source = reader.packages.get(row.upstream_dataset)
        name = row.upstream_uri if source is None else source.title or source.name
        shared.setdefault(row.downstream_dataset, set()).add(name)
    seen = reader.look(list(shared)).visible
    of = len(visible) + len(uris)
    return [(reader.packages[key], names, of) for key, names in shared.items() if key in seen]
