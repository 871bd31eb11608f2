"""Actions behind the search box."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import similar
from ckanext.mlops.logic.reader import labels
from ckanext.mlops.logic.schema import search as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.search import suggest


@tk.side_effect_free
@validated(schema.suggest)
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


@tk.side_effect_free
@validated(schema.similar)
def mlops_dataset_similar(context: Context, data_dict: DataDict) -> list[dict[str, Any]]:
    """Datasets that are like this one, and why: equal files, the same columns, made from the same data.

    :param id: id or name of the dataset
    :type id: string
    :param limit: at most so many, 1 to 20 (optional, default: 5)
    :type limit: int

    Example::

        curl 'https://portal.example/api/3/action/mlops_dataset_similar?id=titanic-train'

    :returns: dictionaries with ``id``, ``name``, ``title``, ``page``, ``score`` and ``reasons``, each with ``kind``
        (``content``: files of equal content; ``columns``; ``lineage``: made from the same data), ``count`` (how many
        they have in common), ``of`` (how many there are) and ``names`` (of columns or data, at most five)
    :rtype: list of dictionaries
    """
    tk.check_access("mlops_dataset_similar", context, data_dict)
    package = model.Package.get(data_dict["id"])
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    return similar.similar(context, package, data_dict["limit"])
