"""How new the newest version is, as a facet: its values depend on today, so no index can hold them.

A chosen value becomes a range of dates before Solr is asked; where the facet is asked for, Solr counts these ranges
instead, in the same request. CKAN has no way to ask for that: its connection is taught to (:func:`register`), and at
once to count the facets of few values by these values (Solr's ``facet.method``).
"""

from __future__ import annotations

import re
from typing import Any

import pysolr  # type: ignore[import-untyped]
from ckan.lib.search import common
from ckan.lib.search import query as ckan_query
from ckan.plugins import toolkit as tk

FIELD = "vocab_freshness"
#: A field of the index (``document.COMMITTED``), as Solr dates.
DATE = "mlops_committed_date"
RANGES = {
    "week": f"{DATE}:[NOW/DAY-7DAYS TO *]",
    "month": f"{DATE}:[NOW/DAY-1MONTH TO *]",
    "year": f"{DATE}:[NOW/DAY-1YEAR TO *]",
    "older": f"{DATE}:[* TO NOW/DAY-1YEAR]",
}
#: Fields of a handful of values. Solr keeps which datasets have each of them and intersects these sets with what was
#: found; its own way for all fields looks at every dataset that was found.
_FEW = frozenset({"vocab_role", "vocab_remote", "vocab_alias", "vocab_label", "vocab_year"})
_CHOSEN = re.compile(rf'{FIELD}:"({"|".join(RANGES)})"')


def register() -> None:
    """Let CKAN's search of datasets count the facet; doing it twice is doing it once."""
    ckan_query.make_connection = _connection


def _connection(*given: Any, **options: Any) -> pysolr.Solr:
    """CKAN's connection, whose ``search`` takes the facet for a field and gives its numbers as those of a field."""
    solr = common.make_connection(*given, **options)
    search = solr.search

    def with_freshness(*given: Any, **asked: Any) -> pysolr.Results:
        fields = asked.get("facet.field")
        if not isinstance(fields, list):
            return search(*given, **asked)
        asked |= {f"f.{each}.facet.method": "enum" for each in fields if each in _FEW}
        if FIELD not in fields:
            return search(*given, **asked)
        asked |= {"facet.field": [each for each in fields if each != FIELD], "facet.query": list(RANGES.values())}
        found = search(*given, **asked)
        numbers = found.facets.get("facet_queries", {})
        counts = [part for name, query in RANGES.items() if numbers.get(query) for part in (name, numbers[query])]
        found.facets.setdefault("facet_fields", {})[FIELD] = counts
        return found

    solr.search = with_freshness
    return solr


def titles() -> dict[str, str]:
    """Value → what people read."""
    return {
        "week": tk._("in the last week"),
        "month": tk._("in the last month"),
        "year": tk._("in the last year"),
        "older": tk._("older than a year"),
    }


def chosen(search_params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a search, with dates in the place of our values."""

    def dates(text: str) -> str:
        return _CHOSEN.sub(lambda match: RANGES[match[1]], text)

    changed = dict(search_params)
    if FIELD in str(changed.get("fq") or ""):
        changed["fq"] = dates(changed["fq"])
    if any(FIELD in str(each) for each in changed.get("fq_list") or ()):
        changed["fq_list"] = [dates(each) for each in changed["fq_list"]]
    return changed
