"""The action on a repository's metrics."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import metrics, repositories
from ckanext.mlops.logic.metrics_table import BadCondition, build
from ckanext.mlops.logic.schema import repositories as schema
from ckanext.mlops.logic.schema.common import validated


@tk.side_effect_free
@validated(schema.repository_metrics)
def mlops_repository_metrics(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Metrics and params at every branch and tag of a repository: the table of ``dvc metrics show -a -T``.

    Values of stages whose datasets you may not see are left out.

    :param id: id of the repository, as in the address of its page (``titanic-3f2a9c01``)
    :type id: string
    :param baseline: name of the revision that deltas refer to (optional)
    :type baseline: string
    :param columns: metrics and params to show, by id or label; all when missing (optional)
    :type columns: list of strings
    :param where: conditions that must hold: ``accuracy:>0.8``, ``delta.accuracy:>0``, ``seed:=1`` (optional)
    :type where: list of strings
    :param sort: metric or param to order by; revisions without it come last (optional)
    :type sort: string
    :param order: ``desc`` or ``asc`` (optional, default: ``desc``)
    :type order: string
    :param changed_only: leave out columns with one value in all rows (optional, default: false)
    :type changed_only: boolean

    Example::

        curl 'https://portal.example/api/3/action/mlops_repository_metrics?id=titanic-3f2a9c01&baseline=baseline'

    :returns: ``repository`` (``id``, ``name``, ``url``), ``columns`` (each ``id``, ``kind``: metric or param, ``file``,
        ``name``, ``label``: the shortest name that is unique here), ``choices`` (labels of all columns), ``rows``
        (each ``revision`` with ``name``, ``kind``,
        ``commit``, ``committed``, ``author``, ``message``; ``values``: column id to value; ``deltas``: column id to
        difference from the baseline; ``absent``: file to the reason why Git does not hold its values), ``hidden``
        (datasets of the repository that you may not see), ``omitted`` (columns) and ``truncated`` (versions left out)
    :rtype: dictionary
    """
    tk.check_access("mlops_repository_metrics", context, data_dict)
    seen = repositories.show(context, data_dict["id"])
    rows, truncated = metrics.rows(context, seen)
    try:
        table = build(
            rows,
            baseline=data_dict.get("baseline") or "",
            columns=data_dict.get("columns") or (),
            where=data_dict.get("where") or (),
            sort=data_dict.get("sort") or "",
            descending=data_dict["order"] == "desc",
            changed_only=data_dict["changed_only"],
        )
    except BadCondition as error:
        raise tk.ValidationError({"where": [str(error)]}) from error
    shown = {column.id for column in table.columns}
    return {
        "repository": {"id": seen.id, "name": seen.name, "url": seen.url},
        "baseline": table.baseline.revision["name"] if table.baseline else None,
        "columns": [asdict(column) for column in table.columns],
        "choices": [column.label for column in table.all_columns],
        "rows": [
            {
                "revision": row.revision,
                "values": {key: value for key, value in row.values.items() if key in shown},
                "deltas": {
                    column.id: delta for column in table.columns if (delta := table.delta(row, column)) is not None
                },
                "absent": row.absent,
            }
            for row in table.rows
        ],
        "hidden": seen.hidden,
        "omitted": table.omitted,
        "truncated": truncated,
    }
