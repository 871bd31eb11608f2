"""Actions on datasets as a whole."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, cast

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from werkzeug.datastructures import FileStorage

from ckanext.mlops.logic.schema import datasets as schema
from ckanext.mlops.transfers import bulk

Action = Callable[[Context, DataDict], Any]
#: Content that one call may bring along; larger files are uploaded one by one.
MAX_CONTENT = 64 * 1024 * 1024


def _apart(action: Action) -> Action:
    """The files of a request, kept from the validation of its values; a list of datasets as the text that it was."""

    @functools.wraps(action)
    def run(context: Context, data_dict: DataDict) -> Any:
        values: dict[str, Any] = {}
        files: dict[str, FileStorage] = {}
        for key, value in data_dict.items():
            if isinstance(value, FileStorage):
                files[str(key)] = value
            else:
                values[str(key)] = value
        if isinstance(values.get("datasets"), list):
            values["datasets"] = json.dumps(values["datasets"])
        context["mlops_files"] = files  # type: ignore[typeddict-unknown-key]
        return action(context, values)

    return run


@_apart
@tk.validate_action_data(schema.dataset_load)
def mlops_dataset_load(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Create or update many datasets in one request, each with the rights of the caller.

    :param datasets: dataset dictionaries as for ``package_create``, 500 at most (JSON text in a multipart request).
        One whose ``name`` is there already is updated: fields, resources (by their ``name``) and tags that are not
        given stay as they are. A resource with ``content`` is a file: ``content`` names a file of the multipart
        request, or is ``later``; with ``hash`` (MD5) nothing is stored that is there already.
    :type datasets: list of dictionaries
    :param dry_run: only say what would be done (optional, default: false)
    :type dry_run: bool

    Example::

        curl -X POST -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_dataset_load
            -F 'datasets=[{"name": "titanic", "owner_org": "lab", "resources": [{"name": "a.csv", "content": "a"}]}]'
            -F a=@a.csv

    :returns: ``results``, in the order of the datasets: ``name``, ``id``, ``status`` (``created``, ``updated``,
        ``unchanged`` or ``failed``), ``changed`` (what differs), ``errors`` and ``resources`` (``id``, ``name``,
        ``hash`` of the content that was there, ``needed``: whether its content has to be uploaded still).
    :rtype: dictionary
    """
    tk.check_access("mlops_dataset_load", context, data_dict)
    files = cast("dict[str, FileStorage]", context.get("mlops_files", {}))
    contents: dict[str, tuple[str, bytes]] = {}
    left = MAX_CONTENT
    for name, each in files.items():
        data = each.stream.read(left + 1)
        left -= len(data)
        if left < 0:
            raise tk.ValidationError(
                {"datasets": [tk._("The files of one call may have {limit} bytes at most").format(limit=MAX_CONTENT)]}
            )
        contents[name] = (each.filename or name, data)
    done = bulk.load(context["user"], data_dict["datasets"], contents, dry_run=data_dict["dry_run"])
    return {"results": [each.to_dict() for each in done]}
