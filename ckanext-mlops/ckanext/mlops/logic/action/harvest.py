"""Actions on harvesting."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from ckanext.harvest.model import HarvestSource

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.logic import schema


@tk.side_effect_free
@tk.validate_action_data(schema.harvest_preview)
def mlops_harvest_preview(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What harvesting a DVC source now would do to each dataset, and why. Nothing in the catalog is written.

    :param id: id or name of the harvest source; you must be allowed to change it
    :param limit: changes in the answer, 1 to 1000 (default 100)

    Example::

        curl -H "Authorization: $TOKEN" 'https://portal.example/api/3/action/mlops_harvest_preview?id=titanic'

    :returns: ``summary`` (one line), ``counts`` (``added``, ``changed``, ``unchanged``, ``retired``, ``problems``),
        ``changes`` (without the unchanged ones; each with ``kind``, ``guid``, ``title``, ``reason`` and ``fields``:
        what differs, before and after), ``problems`` (sentences: what could not be read), ``warnings`` (what was read
        with doubt) and ``truncated`` (there are more changes than ``limit``)
    :rtype: dictionary
    """
    # Reading a repository needs modules that pages do not.
    from ckanext.mlops import gather
    from ckanext.mlops.catalog.problems import bounded

    tk.check_access("mlops_harvest_preview", context, data_dict)
    package = model.Package.get(data_dict["id"])
    source = model.Session.get(HarvestSource, package.id) if package else None
    if source is None:
        raise tk.ObjectNotFound(tk._("Harvest source not found"))
    if source.type != "dvc":
        raise tk.ValidationError({"id": [tk._("Only sources of type dvc can be previewed")]})
    try:
        prepared = gather.preview(source)
    except (MlopsError, ValueError) as error:
        raise tk.ValidationError({"id": [str(error)]}) from error
    work = prepared.plan.work
    return {
        "summary": prepared.plan.summary(),
        "counts": prepared.plan.counts,
        "changes": [
            {
                "kind": change.kind,
                "guid": change.guid,
                "title": change.title,
                "reason": change.reason,
                "fields": change.fields,
            }
            for change in work[: data_dict["limit"]]
        ],
        "problems": bounded(prepared.errors),
        "warnings": bounded(prepared.warnings),
        "truncated": len(work) > data_dict["limit"],
    }
