"""The page of a repository: its whole pipeline, its datasets, branches and tags, and what harvests it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckan.plugins import toolkit as tk
from flask import Blueprint, request

from ckanext.mlops.core import naming
from ckanext.mlops.lineage_page import page, words
from ckanext.mlops.lineage_page.state import State
from ckanext.mlops.search import facets
from ckanext.mlops.views.lineage import refusals

mlops_repository = Blueprint("mlops_repository", __name__)


@mlops_repository.route("/repository/<id>", endpoint="show")
def show(id: str) -> str:  # noqa: A002 as CKAN's routes
    """The page; its query is that of the lineage pages."""
    with refusals():
        repository = tk.get_action("mlops_repository_show")({}, {"id": id})
        shown = _pipeline(repository["id"])
        shown |= _facets(repository["url"])
    return str(tk.render("mlops/repository.html", {"repository": repository, "refs": repository["refs"], **shown}))


def _facets(url: str) -> dict[str, Any]:
    """What the repository's datasets may be told apart by, as the search page has it."""
    key, titles = naming.repository_key(url), facets.titles() | {"res_format": tk._("Format")}
    titles.pop("vocab_repository")
    found = tk.get_action("package_search")(
        {},
        {
            "fq": f'vocab_repository:"{key}" +dataset_type:dataset',
            "rows": 0,
            "facet.field": list(titles),
            "facet.limit": 10,
            "include_private": True,
        },
    )["search_facets"]
    shown = {
        name: {"title": title, "items": sorted(found[name]["items"], key=lambda each: -each["count"])}
        for name, title in titles.items()
        if found.get(name, {}).get("items")
    }
    return {"key": key, "facets": shown}


def _pipeline(repository_id: str) -> dict[str, Any]:
    """The graph; nothing for a repository whose datasets were entered by hand, without a harvest."""
    state = State.of(request.args, depth="1")

    def here(query: Mapping[str, str]) -> str:
        return str(tk.url_for("mlops_repository.show", id=repository_id, **query))

    try:
        return page.template_data(state, repository_id, here)
    except tk.ObjectNotFound:
        return {"graph": None, "words": words}
