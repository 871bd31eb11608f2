"""Index many datasets with one request and one commit; CKAN itself sends one by one.

The commit is a soft one: everybody finds what was sent, and Solr has it in its log on disk, from which it comes back
when Solr is killed; Solr writes its files by its own clock (``autoCommit``). A hard commit costs several times as much.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pysolr  # type: ignore[import-untyped]
from ckan import model
from ckan.lib.search import index as ckan_index
from ckan.lib.search import index_for
from ckan.plugins import toolkit as tk

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.logic import shown
from ckanext.mlops.search import facts

_collecting = threading.Lock()


class IndexAway(MlopsError):
    """The search index cannot be reached, or is not well."""


class NotIndexed(MlopsError):
    """The search index refuses datasets."""


def index_together(package_ids: Collection[str]) -> None:
    """Bring the datasets' entries up to date, from what the session's transaction holds.

    :raises IndexAway: nothing that was sent is seen
    :raises NotIndexed: Solr refuses one of them, and with it all
    """
    index_shown(shown.datasets(model.Session(), package_ids))


def index_shown(datasets: Mapping[str, shown.Shown], meanwhile: Callable[[], None] = lambda: None) -> None:
    """:func:`index_together` of datasets that were read already: id → how CKAN shows it.

    :param meanwhile: done once, while Solr is at work, also where there is nothing to index
    """
    solr = ckan_index.make_connection()
    try:
        with facts.read_ahead(model.Session(), datasets):
            documents = [document for each in datasets.values() for document in _documents(each, solr)]
        if not documents:
            meanwhile()
            return
        seen = bool(tk.config.get("ckan.search.solr_commit"))
        with ThreadPoolExecutor(1, "mlops-index") as beside:
            sent = beside.submit(solr.add, docs=documents, commit=False, softCommit=seen)
            meanwhile()
            sent.result()
    except pysolr.SolrError as error:
        refused = "HTTP 4" in str(error)
        if refused:
            raise NotIndexed(f"The search index refuses it: {str(error)[:1000]}") from error
        raise IndexAway(f"The search index cannot be reached, or is not well: {str(error)[:300]}") from error
    except OSError as error:
        raise IndexAway(f"The search index cannot be reached: {error}") from error
    finally:
        solr.get_session().close()


def _documents(dataset: shown.Shown, solr: pysolr.Solr) -> list[dict[str, Any]]:
    """What CKAN would send to Solr. It has no function that says so: its connection is stood in for."""
    found: list[dict[str, Any]] = []
    thread, connect = threading.get_ident(), ckan_index.make_connection

    class Collector:
        def add(self, docs: list[dict[str, Any]], commit: bool = False) -> None:
            found.extend(docs)

        def delete(self, **query: Any) -> None:  # of a dataset in the state "deleted"
            solr.delete(**query)

    with _collecting:
        ckan_index.make_connection = lambda *given, **options: (
            Collector() if threading.get_ident() == thread else connect(*given, **options)
        )
        try:
            index_for("Package").insert_dict(dict(dataset.default, with_custom_schema=dataset.custom))
        finally:
            ckan_index.make_connection = connect
    return found
