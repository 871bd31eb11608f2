"""The action behind the home page."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import overview
from ckanext.mlops.logic.schema import repositories as schema
from ckanext.mlops.logic.schema.common import validated


@tk.side_effect_free
@validated(schema.overview)
def mlops_overview(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The newest versions, the most used datasets and the repositories of the catalog, as far as you may see them.

    :param limit: of each, 1 to 50 (optional, default: 5)
    :type limit: int

    Example::

        curl 'https://portal.example/api/3/action/mlops_overview?limit=10'

    :returns: ``datasets`` (how many there are), ``newest`` (package dicts, by the date of their newest version),
        ``most_used`` (package dicts, by how many datasets were made from them) and ``repositories`` (each ``id``,
        ``name``, ``datasets``: how many you see of it, ``status`` of its last harvest: running, finished or failed,
        ``finished``: when, ``source``: id of the harvest source)
    :rtype: dictionary
    """
    tk.check_access("mlops_overview", context, data_dict)
    return overview.overview(context, data_dict["limit"])
