"""From what a person typed to what Solr is asked: the hook of CKAN's dataset search."""

from __future__ import annotations

import re
from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk

from ckanext.mlops.model import revisions
from ckanext.mlops.search import freshness
from ckanext.mlops.search.numbers import field
from ckanext.mlops.search.syntax import MIN_PREFIX, Parsed, parse, shown_by

MAX_SORTS = 3
MAX_HEADS = 20


def compared(query: str) -> tuple[str, ...]:
    """The first metrics and params that a query compares."""
    return parse(query).numbers[:MAX_SORTS]


def sort_options(query: str) -> list[tuple[str, str]]:
    """Orders that a query which compares metrics may have beside CKAN's: label and Solr's ``sort``."""
    options = []
    for name in compared(query):
        options.append((tk._("{name}: highest first").format(name=name), f"{field(name)} desc"))
        options.append((tk._("{name}: lowest first").format(name=name), f"{field(name)} asc"))
    return options


def before_search(search_params: dict[str, Any]) -> dict[str, Any]:
    """Turn our terms in ``q`` into filters. Without any of them the search is as it was.

    A comparison of a metric puts the best first, unless the search asks for an order of its own.
    """
    search_params = freshness.chosen(search_params)
    parsed = parse(str(search_params.get("q") or ""))
    if not parsed.filters:
        return search_params
    filters = [f"({each})" for each in _with_heads(parsed)]
    changed = search_params | {"q": parsed.text or "*:*", "fq_list": [*(search_params.get("fq_list") or ()), *filters]}
    if parsed.sort and not search_params.get("sort"):
        changed["sort"] = f"{parsed.sort}, metadata_modified desc"
    return changed


def _with_heads(parsed: Parsed) -> list[str]:
    """The filters; one of a commit that a branch or tag is at now finds what this shows, too.

    A branch moves on at each commit, and datasets that it leaves alone are not indexed again for it.
    """
    filters = list(parsed.filters)
    for place, start in parsed.commits:
        if len(start) >= MIN_PREFIX and re.fullmatch("[0-9a-f]+", start):
            heads = revisions.heads(model.Session(), start, MAX_HEADS)
            filters[place] = " OR ".join([filters[place], *(shown_by(*head) for head in heads)])
    return filters
