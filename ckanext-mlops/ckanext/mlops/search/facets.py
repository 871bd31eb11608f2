"""The facets of the search, organization and group pages, in the order in which they stand there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ckan.plugins import toolkit as tk

from ckanext.mlops.search import freshness


def titles() -> dict[str, str]:
    """Solr field → title. The page leaves out those that have nothing to choose (``snippets/facet_list.html``)."""
    return dict(_titles(str(tk.h.lang())))


@lru_cache(maxsize=100)
def _titles(_language: str) -> dict[str, str]:
    return {
        "vocab_repository": tk._("Repository"),
        "vocab_role": tk._("Kind"),
        "vocab_dvc_stage": tk._("Stage"),
        "vocab_ref": tk._("Branch or tag"),
        "vocab_experiment": tk._("MLflow experiment"),
        "vocab_model": tk._("Registered model"),
        "vocab_alias": tk._("Model alias"),
        "vocab_label": tk._("Type or label"),
        "vocab_remote": tk._("Storage"),
        freshness.FIELD: tk._("Newest version"),
        "vocab_year": tk._("Year of the newest version"),
        "vocab_owner": tk._("Owner"),
    }


def with_ours(facets_dict: dict[str, Any]) -> dict[str, Any]:
    """CKAN's facets with ours among them: they tell a catalog of data apart better than groups and licences do."""
    first = {name: title for name, title in facets_dict.items() if name == "organization"}
    return first | titles() | {name: title for name, title in facets_dict.items() if name not in first}


def with_labels(search_results: dict[str, Any]) -> dict[str, Any]:
    """The answer of a search, with the values of our facets as people say them."""
    facets = search_results["search_facets"]
    for name, words in (("vocab_role", _kinds), (freshness.FIELD, freshness.titles)):
        if items := facets.get(name, {}).get("items"):
            said = words()
            for item in items:
                item["display_name"] = said.get(item["name"], item["display_name"])
    for item in facets.get("vocab_repository", {}).get("items", ()):
        # A local repository's place is no name.
        item["display_name"] = item["name"].rsplit("/", 1)[-1] if item["name"].startswith("file:") else item["name"]
    return search_results


def _kinds() -> dict[str, str]:
    return {
        "raw": tk._("Raw data"),
        "prepared": tk._("Prepared data"),
        "features": tk._("Features"),
        "model": tk._("Model"),
        "metrics": tk._("Metrics"),
    }
