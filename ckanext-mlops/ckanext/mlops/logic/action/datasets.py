"""Actions on datasets as a whole."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any, cast

from ckan.lib import uploader
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from werkzeug.datastructures import FileStorage

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.logic.reader import same_user
from ckanext.mlops.logic.schema import datasets as schema
from ckanext.mlops.logic.schema import transfer
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.transfers import appending, bulk

Action = Callable[[Context, DataDict], Any]
#: Content that one call may bring along; larger files are uploaded one by one.
MAX_CONTENT = 64 * 1024 * 1024


def files_apart(action: Action) -> Action:
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


@files_apart
@validated(schema.dataset_load)
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


@files_apart
@validated(transfer.file_append)
def mlops_file_append(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Upload a large file to a resource in parts; what broke is continued. ``ckan-mlops upload`` does it.

    Ask first how much is there (without ``upload``), then send what follows, part by part. A part that is there
    already changes nothing, so each may be sent again. The resource changes when all has arrived and the hash is right.

    :param id: id of the resource
    :param key: what tells this content from another one of the same resource, for example size and time of the file
    :param size: bytes of the whole file
    :param name: file name
    :param offset: where the part begins (optional, default: 0)
    :param hash: MD5 of the whole file, with the last part
    :param upload: the part, a file of a multipart request (optional)

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_file_append
            -F id=$RESOURCE -F key=v1 -F size=4 -F name=a.csv -F offset=0 -F upload=@a.csv
            -F hash=098f6bcd4621d373cade4e832627b4f6

    :returns: ``received`` (bytes that are there) and ``resource``, as ``resource_show`` gives it, when the whole file
        is there, else null
    :rtype: dictionary
    """
    tk.check_access("mlops_file_append", context, data_dict)
    size, digest = data_dict["size"], data_dict["hash"]
    limit = uploader.get_max_resource_size()
    if limit and size > limit * 2**20:
        raise tk.ValidationError(
            {"size": [tk._("This portal takes files up to {limit} MB (ckan.max_resource_size)").format(limit=limit)]}
        )
    resource = tk.get_action("resource_show")(same_user(context), {"id": data_dict["id"]})
    # The answer to the last part may have been lost.
    if (
        digest
        and (resource.get("hash"), resource.get("size")) == (digest, size)
        and resource.get("url_type") == "upload"
    ):
        return {"received": size, "resource": resource}
    upload = cast("dict[str, FileStorage]", context.get("mlops_files", {})).get("upload")
    try:
        with appending.parts(resource["id"], str(context["user"]), data_dict["key"]) as parts:
            if upload is not None:
                parts.append(data_dict["offset"], upload.stream, size)
            if parts.received < size or not digest:
                return {"received": parts.received, "resource": None}
            if parts.digest() != digest:
                parts.forget()
                raise tk.ValidationError({"hash": [tk._("The content that arrived has another hash; send it again")]})
            with closing(parts.whole(data_dict["name"], digest)) as whole:
                values = {"id": resource["id"], "upload": whole}
                done = tk.get_action("resource_patch")(same_user(context), values)
            parts.forget()
    except MlopsError as error:
        raise tk.ValidationError({"upload": [str(error)]}) from error
    return {"received": size, "resource": done}
