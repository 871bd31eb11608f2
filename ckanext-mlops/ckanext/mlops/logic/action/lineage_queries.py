"""Actions that ask lineage something: what depends on it, how things hang together, what changed, what is missing."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import coverage, focus, impact, lineage, lineage_diff, paths
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.logic.schema import lineage as schema
from ckanext.mlops.logic.schema.common import validated


@tk.side_effect_free
@validated(schema.lineage_impact)
def mlops_lineage_impact(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Everything that was made from something, directly or not: datasets, runs and model versions, with whom to ask.

    :param id: as in ``mlops_lineage_show``
    :param depth: steps to go, 1 to 100 (default 100)
    :param kind: only ``dataset``, ``run`` or ``model``
    :param organization: only datasets of it, by id or name
    :param limit: rows in the answer, 1 to 2000 (default 100)
    :param offset: rows to skip
    :param format: ``json`` (default) or ``csv``: the rows as text, in ``csv``

    Example::

        curl 'https://portal.example/api/3/action/mlops_lineage_impact?id=titanic-raw&kind=dataset'

    :returns: ``count``, ``degrees`` (how many at each distance), ``organizations`` (whose datasets they are: ``name``,
        ``title``, ``count``), ``results``, nearest first (``id``, ``kind``,
        ``name``, ``title``, ``distance``, ``role``, ``url``, ``owner``, ``organization``, ``server`` and ``model`` (of
        a registered model or its version), ``models`` that are linked to it or were made by runs which used it, their
        ``aliases``), ``hidden`` (how many you may not see), ``absent``,
        ``truncated``.
    :rtype: dictionary
    """
    tk.check_access("mlops_lineage_impact", context, data_dict)
    found, _ = lineage.resolve(context, data_dict["id"])
    organization = data_dict["organization"]
    return impact.answer(
        context,
        found,
        depth=data_dict["depth"],
        kind=data_dict["kind"],
        organization=coverage.organization_of(organization).id if organization else "",
        limit=data_dict["limit"],
        offset=data_dict["offset"],
        as_csv=data_dict["format"] == "csv",
    )


@tk.side_effect_free
@validated(schema.lineage_path)
def mlops_lineage_path(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """How two things hang together: the shortest ways that lead from one to the other, whichever is upstream.

    :param start: as ``id`` in ``mlops_lineage_show``
    :param end: likewise
    :param all: true for everything on any way between them, not only on the shortest (default false)

    Example::

        curl 'https://portal.example/api/3/action/mlops_lineage_path?start=titanic-raw&end=titanic-train'

    :returns: ``found``, ``direction`` (``downstream``: the end was made from the start), ``length`` in steps,
        ``nodes`` and ``edges`` as in ``mlops_lineage_show``, ``hidden`` (how many datasets that you may not see were
        met on the search, which did not go on behind them) and ``truncated``.
    :rtype: dictionary
    """
    tk.check_access("mlops_lineage_path", context, data_dict)
    start, _ = lineage.resolve(context, data_dict["start"])
    end, _ = lineage.resolve(context, data_dict["end"])
    return paths.answer(context, start, end, every=data_dict["all"])


@tk.side_effect_free
@validated(schema.lineage_diff)
def mlops_lineage_diff(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What is different between two points in time of a lineage, and why the metrics moved.

    :param id: as in ``mlops_lineage_show``
    :param before: branch, tag, commit, version or ISO date
    :param after: likewise; empty for now (default)
    :param direction: as in ``mlops_lineage_show`` (default ``upstream``)
    :param depth: steps to go, 1 to 20 (default 5)
    :param max_nodes: nodes of each of the two graphs, 1 to 2000 (default 200)
    :param level: ``datasets`` (default), ``files`` or ``steps``

    Example::

        curl 'https://portal.example/api/3/action/mlops_lineage_diff?id=titanic-train&before=baseline&after=overfitting'

    :returns: one graph of both, as ``mlops_lineage_show``, in which nodes and edges have ``change`` (``added``,
        ``removed``, ``changed``, ``same``) and nodes ``differences`` (``what``: ``command``, ``code``, ``param``,
        ``input``, ``output``, ``metric``; ``name``, ``before``, ``after``, for numbers ``delta``), and ``why``: each
        metric that moved (``metric``, ``file``, ``node``, ``before``, ``after``, ``delta``) with its ``causes``, the
        nearest first: such differences with ``distance``, ``node`` and ``title``.
    :rtype: dictionary
    """
    tk.check_access("mlops_lineage_diff", context, data_dict)
    found = focus.visible(focus.find(context, data_dict["id"]), Reader(context))
    session = context["session"]()
    moments = [focus.moment_of(session, found, data_dict[key]) for key in ("before", "after")]
    question = lineage.Question(
        direction=data_dict["direction"],
        depth=data_dict["depth"],
        max_nodes=data_dict["max_nodes"],
        level=data_dict["level"],
    )
    return lineage_diff.answer(context, found, question, *moments)


@tk.side_effect_free
@validated(schema.lineage_coverage)
def mlops_lineage_coverage(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What is missing in an organization's catalog: datasets without owner, licence, path to a raw source, or consumer.

    :param id: id or name of the organization
    :param limit: datasets listed of each gap, 1 to 1000 (default 100)

    Example::

        curl 'https://portal.example/api/3/action/mlops_lineage_coverage?id=lab'

    :returns: ``count`` (datasets that you may see), ``complete`` (how many of them lack nothing), ``gaps`` with
        ``owner``, ``licence``, ``source`` (none of what it was made from is raw data or an outside source) and
        ``consumer`` (no live dataset and no run uses it), each with ``count`` and ``results`` (``id``, ``name``,
        ``title``), ``hidden`` and ``truncated``.
    :rtype: dictionary
    """
    tk.check_access("mlops_lineage_coverage", context, data_dict)
    return coverage.answer(context, coverage.organization_of(data_dict["id"]), limit=data_dict["limit"])
