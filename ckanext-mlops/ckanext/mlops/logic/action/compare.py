"""The action that compares versions and runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import compared, comparison
from ckanext.mlops.logic.schema import compare as schema
from ckanext.mlops.logic.schema.common import validated


@tk.side_effect_free
@validated(schema.compare)
def mlops_compare(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Versions of datasets and MLflow runs side by side: up to ten, of DVC and MLflow together, differences first.

    A run's inputs and outputs are the files of the versions that it is linked to, by their hashes, and what else it
    logged. Params and metrics that MLflow and DVC name by different ends of one path are one row, where that is plain.

    :param things: up to ten: ids of versions, and runs as ``SERVER:RUN_ID``
    :type things: list of strings

    Example::

        curl -G 'https://portal.example/api/3/action/mlops_compare' -d things=5b0c… -d things=lab:6f1e…

    :returns: ``things`` (each ``id``, ``kind``: version or run, ``label``, ``date``, ``commit``, ``status`` of a run,
        ``page``, ``datasets``: each ``name``, ``title``, ``relation``, ``version``, ``label``), ``rows`` (each
        ``group``: command, params, inputs, metrics, outputs or environment; ``name``; ``values``: one for each thing,
        null where it has none; ``state``: ``differs``, ``partly`` when it is equal where it is known, or ``equal``)
        and ``missing``: those asked for that are not there, or not for you
    :rtype: dictionary
    """
    tk.check_access("mlops_compare", context, data_dict)
    found = compared.find(context, data_dict["things"])
    if not found.sides:
        raise tk.ObjectNotFound(tk._("Nothing of that is there to compare"))
    return {
        "things": found.shown,
        "rows": [asdict(row) for row in comparison.table(found.sides)],
        "missing": found.missing,
    }
