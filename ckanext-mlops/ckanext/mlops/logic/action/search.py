"""Actions behind the search box."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import schema_search
from ckanext.mlops.logic.reader import labels
from ckanext.mlops.search import suggest


@tk.side_effect_free
@tk.validate_action_data(schema_search.suggest)
def mlops_search_suggest(context: Context, data_dict: DataDict) -> list[dict[str, Any]]:
    """What a word of a search may become, while it is typed: datasets, and terms that the search understands.

    Columns, metrics, params, branches and tags, stages, repositories, experiments, models, aliases and labels that
    contain the word; hashes, commits and runs that begin with it (four digits or more). ``column:Ag`` offers columns,
    ``max_depth:`` values of that param. Nothing is offered that only datasets have which you may not see.

    :param q: the word, two characters or more
    :type q: string
    :param limit: at most so many, 1 to 30 (optional, default: 15)
    :type limit: int

    Example::

        curl 'https://portal.example/api/3/action/mlops_search_suggest?q=age'

    :returns: dictionaries with ``kind`` (``dataset``, ``column``, ``metric``, …), ``text`` (for people), ``term`` (what
        to search for; empty for a dataset), ``name`` and ``page`` (of a dataset; else empty) and ``count`` (datasets)
    :rtype: list of dictionaries
    """
    tk.check_access("mlops_search_suggest", context, data_dict)
    found = suggest.suggest(data_dict["q"], labels(context), data_dict["limit"])
    return [
        asdict(each) | {"page": tk.url_for("dataset.read", id=each.name, qualified=True) if each.name else ""}
        for each in found
    ]
