"""Actions on records that are sent in."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.logic.action.harvest import dvc_source
from ckanext.mlops.logic.schema import harvest as schema
from ckanext.mlops.logic.schema.common import validated


@validated(schema.repository_push)
def mlops_repository_push(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Send the records of a repository that this portal cannot reach, and harvest them. ``ckan-mlops push`` does it.

    The records take the place of those that were sent before; the harvest source needs the option ``"push": true``.
    They must be of the repository that the source's URL names.

    :param id: id or name of the harvest source; you must be allowed to change it
    :param records: output of ``ckan-mlops read --json``: an object, its text, or a file of it (also gzipped)

    Example::

        ckan-mlops read --json . | gzip > records.json.gz
        curl -H "Authorization: $TOKEN" -F id=titanic -F records=@records.json.gz \\
            https://portal.example/api/3/action/mlops_repository_push

    :returns: ``source`` (id), ``job`` (id of the harvest job, null when one is on its way that another one follows),
        ``revisions`` and ``stages`` (how many were received, stages of all distinct states)
    :rtype: dictionary
    """
    from ckanext.mlops.harvesting import pushes, source_config, triggers

    tk.check_access("mlops_repository_push", context, data_dict)
    source = dvc_source(data_dict["id"])
    if not source_config.parse(str(source.config or "")).push:
        raise tk.ValidationError({"id": [tk._('The source fetches its repository; give it the option "push": true')]})
    try:
        document = pushes.document(data_dict["records"], str(source.url))
    except MlopsError as error:
        raise tk.ValidationError({"records": [str(error)]}) from error
    user = model.User.get(context.get("user"))
    source_id = str(source.id)
    pushes.store(model.Session(), source_id, document, user.id if user else None)
    snapshots = document.records.snapshots
    return {
        "source": source_id,
        "job": triggers.soon(source_id),
        "revisions": sum(len(snapshot.revisions) for snapshot in snapshots),
        "stages": sum(len(snapshot.stages) for snapshot in snapshots),
    }
