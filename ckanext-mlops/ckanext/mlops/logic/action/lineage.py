"""Actions on lineage."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import lineage
from ckanext.mlops.logic.schema import lineage as schema
from ckanext.mlops.logic.schema.common import validated


@tk.side_effect_free
@validated(schema.lineage_show)
def mlops_lineage_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What something was made from, and what was made from it, step by step: now or at a tag, commit or date.

    :param id: id or name of a dataset, or id of a resource, a version, a hash (md5, sha256), an MLflow run, a logged
        model, a model version (``models:/NAME/VERSION``), a repository, or of any node of an answer
    :param direction: ``upstream`` (made from), ``downstream`` (used for) or ``both`` (default)
    :param depth: steps to go, 1 to 20 (default 5)
    :param max_nodes: nodes in the answer, 1 to 2000, with ``detail=brief`` to 20000 (default 200); the nearest are kept
    :param level: ``datasets`` (default), ``files`` (outputs and inputs) or ``steps`` (files and the commands between)
    :param at: branch, tag or commit of the dataset's repository, id of a version, or ISO date; empty for now
    :param detail: ``full`` (default) or ``brief``: names and edges only, for large graphs

    Example::

        curl 'https://portal.example/api/3/action/mlops_lineage_show?id=titanic-train&direction=upstream&at=baseline'

    :returns: ``focus`` (the node that was asked for; empty when there are several, which are in ``starts``), ``at``
        (null or ``ref``, ``kind``, ``commit``, ``date``), ``nodes``, ``edges``, and what is not in them: ``hidden``
        (how many neighbours you may not see; nothing behind them is shown), ``absent`` (how many are not in the portal:
        deleted, draft or not harvested yet), ``truncated`` (true: there are more nodes within ``depth`` than
        ``max_nodes``; ``hidden`` and ``absent`` are then a lower bound) and ``edges_cut`` (true: there are more edges
        between the nodes). docs/api.md has all keys of nodes and edges.
    :rtype: dictionary
    """
    tk.check_access("mlops_lineage_show", context, data_dict)
    brief = data_dict["detail"] == "brief"
    if data_dict["max_nodes"] > schema.MAX_NODES and not brief:
        raise tk.ValidationError(
            {"max_nodes": [tk._("Must be at most {high}, or give detail=brief").format(high=schema.MAX_NODES)]}
        )
    focus, moment = lineage.resolve(context, data_dict["id"], data_dict["at"])
    question = lineage.Question(
        direction=data_dict["direction"],
        depth=data_dict["depth"],
        max_nodes=data_dict["max_nodes"],
        level=data_dict["level"],
        brief=brief,
    )
    return lineage.answer(context, focus, question, moment)
