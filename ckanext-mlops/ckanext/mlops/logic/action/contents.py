"""Actions on what is known of contents: are they in their storage, and what is in them."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import files
from ckanext.mlops.logic.action.files import package_dict
from ckanext.mlops.logic.holders import holders
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import registration as registration_schema
from ckanext.mlops.logic.schema import transfer as transfer_schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.transfers import looking, profiles


@validated(common.object_show)
def mlops_content_check(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Have a worker look whether the files of all versions of a dataset are in their storage, and make previews.

    :param id: id or name of the dataset
    :type id: string

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_content_check -d id=titanic-train

    :returns: ``job``, the id of the background job
    :rtype: dictionary
    """
    tk.check_access("mlops_content_check", context, data_dict)
    package = package_dict(context, data_dict["id"])
    job = tk.enqueue_job(looking.look, [package["id"]], title=f"Look at the files of {package['name']}")
    return {"job": job.id}


@tk.side_effect_free
@validated(transfer_schema.profile_show)
def mlops_profile_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What is in a file at a version: columns of a table, a sample; and how its columns differ from another version's.

    :param id: id or name of the dataset
    :type id: string
    :param path: of the file
    :type path: string
    :param version: a branch, tag, commit or version id (optional, default: the current version)
    :type version: string
    :param against: another version to compare the columns with (optional)
    :type against: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_profile_show?id=titanic-train&path=data/train.csv'

    :returns: ``path``, ``hash``, ``state`` (``pushed``, ``missing``, ``unknown``; null when nobody looked),
        ``checked``, ``profile`` (null when there is none) and ``difference``: ``name``, ``before`` and ``after`` of
        each column that is not the same (null without ``against``, or when one of the two has no profile)
    :rtype: dictionary
    """
    tk.check_access("mlops_profile_show", context, data_dict)
    package = package_dict(context, data_dict["id"])
    here = files.content(context, package, data_dict["version"], data_dict["path"])
    difference = None
    if data_dict["against"]:
        there = files.content(context, package, data_dict["against"], data_dict["path"])
        if here["profile"] and there["profile"]:
            difference = profiles.difference(there["profile"], here["profile"])
    return here | {"difference": difference}


@tk.side_effect_free
@validated(registration_schema.content_find)
def mlops_content_find(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Which files of the catalog have a content now, or had it once: is this file known, and where does it come from?

    :param hash: of the content: MD5 or SHA-256, of a folder DVC's (it ends in ``.dir``)
    :type hash: string
    :param without: id or name of a dataset that is left out (optional)
    :type without: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_content_find?hash=3863d0e317dee0a55c4e59d2ec0eef33'

    :returns: ``results``, those that have it now first, 10 at most: ``dataset`` (id), ``name``, ``title``, ``path``,
        ``resource_id``, ``size``, ``made`` (a command made it), ``current`` and ``version`` (``id``, ``commit``,
        ``refs``, ``current``; null for an uploaded file)
    :rtype: dictionary
    """
    tk.check_access("mlops_content_find", context, data_dict)
    left_out = model.Package.get(data_dict["without"]) if data_dict["without"] else None
    without = [left_out.id] if left_out is not None else []
    return {"results": holders(Reader(context), data_dict["hash"], without=without)}
