"""Actions on organizations."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import coverage, health
from ckanext.mlops.logic.schema import search as schema
from ckanext.mlops.logic.schema.common import validated


@tk.side_effect_free
@validated(schema.organization_health)
def mlops_organization_health(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What an organization's catalog lacks, what of it is stale, and which of its harvests fail.

    :param id: id or name of the organization
    :type id: string
    :param days: a dataset is stale whose newest version was committed longer ago (optional, default: 180)
    :type days: int
    :param gaps: whether to look for gaps, which takes time in a large organization (optional, default: true)
    :type gaps: bool
    :param limit: at most so many datasets in each list, 1 to 1000 (optional, default: 100)
    :type limit: int

    Example::

        curl 'https://portal.example/api/3/action/mlops_organization_health?id=lab&days=90'

    :returns: ``organization``, ``count``, ``complete``, ``hidden``, ``truncated`` and ``gaps`` as
        ``mlops_lineage_coverage`` has them, ``days``, ``stale`` (``count`` and ``results``: ``id``, ``name``,
        ``title``, ``newest``; the oldest first) and ``sources`` (harvest sources that you may see, the failing ones
        first: ``id``, ``name``, ``title``, ``page``, ``repository`` (id of its page), ``frequency``, ``state``
        (``fine``, ``failed``, ``running``, ``never``), ``job``, ``finished``, ``problems`` (what could not be read)
        and ``failed`` (datasets that could not be written) of the last harvest)
    :rtype: dictionary
    """
    tk.check_access("mlops_organization_health", context, data_dict)
    organization = coverage.organization_of(data_dict["id"])
    options = {name: data_dict[name] for name in ("days", "limit", "gaps")}
    return health.answer(context, organization, **options)
