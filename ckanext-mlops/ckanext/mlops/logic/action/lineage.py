"""Actions on lineage."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import lineage, schema


@tk.side_effect_free
@tk.validate_action_data(schema.lineage_show)
def mlops_lineage_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What a dataset was made from, and what was made from it, step by step.

    :param id: id or name of the dataset
    :param direction: ``upstream`` (made from), ``downstream`` (used for) or ``both`` (default)
    :param depth: steps to go, 1 to 20 (default 5)
    :param max_nodes: nodes in the answer, 1 to 2000 (default 200); the nearest are kept

    Example::

        curl 'https://portal.example/api/3/action/mlops_lineage_show?id=titanic-train&direction=upstream&depth=3'

    :returns: ``focus`` (the node of the dataset), ``nodes``, ``edges``, and what is not in them: ``hidden`` (how many
        neighbours you may not see; nothing behind them is shown), ``absent`` (how many are not in the portal: deleted,
        draft or not harvested yet) and ``truncated`` (true: there are more nodes within ``depth`` than ``max_nodes``;
        ``hidden`` and ``absent`` are then a lower bound).

        A node has ``id``, ``kind`` (``dataset`` or ``external``, an outside source), ``role`` (``data``, ``raw``,
        ``model``, ``metrics``, ``source``), ``name``, ``title``, ``url``, ``distance`` in steps, ``upstream_distance``
        and ``downstream_distance`` (null when it is not on that side; both are set in a cycle), and ``more``: whether
        it has neighbours beyond this answer, by direction. Datasets also have ``stage``, ``revision``, ``commit``,
        ``command``, ``retired`` (ISO date since when the repository lacks it), ``private`` and ``files`` (a number).

        An edge leads from ``upstream`` to ``downstream`` (node ids). ``origin`` is ``harvested`` (the repository says
        so), ``inferred`` (equal content) or ``asserted`` (a person says so); ``evidence`` says why. ``path`` and
        ``hash`` are those of the input, ``resource`` its id here, ``version`` the version of ``downstream`` that used
        it. At most 20 edges of one origin are given between two nodes; ``total`` says how many there are.
    :rtype: dictionary
    """
    tk.check_access("mlops_lineage_show", context, data_dict)
    focus = model.Package.get(data_dict["id"])
    if focus is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    return lineage.graph(
        context,
        focus,
        direction=data_dict["direction"],
        depth=data_dict["depth"],
        max_nodes=data_dict["max_nodes"],
    )
