"""How new the newest version is, as a facet: its values depend on today, so no index can hold them.

A chosen value becomes a range of dates before Solr is asked; where the facet is asked for, its numbers come from one
more request with the same query.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Any

import pysolr  # type: ignore[import-untyped]
from ckan.lib.search import common
from ckan.plugins import toolkit as tk

log = logging.getLogger(__name__)
FIELD = "vocab_freshness"
#: A field of the index (``document.COMMITTED``), as Solr dates.
DATE = "mlops_committed_date"
RANGES = {
    "week": f"{DATE}:[NOW/DAY-7DAYS TO *]",
    "month": f"{DATE}:[NOW/DAY-1MONTH TO *]",
    "year": f"{DATE}:[NOW/DAY-1YEAR TO *]",
    "older": f"{DATE}:[* TO NOW/DAY-1YEAR]",
}
_CHOSEN = re.compile(rf'{FIELD}:"({"|".join(RANGES)})"')
_kept = threading.local()
_ASKED = ("q", "fq", "defType", "qf", "mm", "tie", "df", "q.op")


def _solr() -> pysolr.Solr:
    """The thread's own connection, which stays open."""
    if not hasattr(_kept, "solr"):
        _kept.solr = common.make_connection()
    return _kept.solr


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


def counted(search_results: dict[str, Any], search_params: dict[str, Any]) -> None:
    """Put the numbers of the facet into the answer of a search that asks for it."""
    facet = search_results["search_facets"].get(FIELD)
    if facet is None or not isinstance(search_params.get("fq"), list):
        return
    asked = {name: search_params[name] for name in _ASKED if name in search_params}
    # As CKAN itself asks; the reader's permission labels are among the filters by now.
    try:
        found = _solr().search(**asked, rows=0, facet="true", **{"facet.query": list(RANGES.values())})
    except (pysolr.SolrError, OSError):
        log.exception("The freshness of datasets could not be counted")
        return
    numbers, words = found.facets.get("facet_queries", {}), titles()
    facet["items"] = [
        {"name": name, "display_name": words[name], "count": numbers[query]}
        for name, query in RANGES.items()
        if numbers.get(query)
    ]
