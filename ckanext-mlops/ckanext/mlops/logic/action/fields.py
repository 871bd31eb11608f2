"""Actions on the fields of a dataset that a person edited and Git says something else of."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops import activity
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.harvesting import fields
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import datasets as schema
from ckanext.mlops.logic.schema.common import validated


@tk.side_effect_free
@validated(common.object_show)
def mlops_field_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The fields of a harvested dataset for which Git and the portal differ, and those for which Git's value was taken.

    Of tags and groups both sides live together: they differ when a person took away what Git has. The field
    ``resource`` stands for a whole file that only one side has.

    :param id: id or name of the dataset; you must be allowed to change it

    Example::

        curl -H "Authorization: $TOKEN" 'https://portal.example/api/3/action/mlops_field_list?id=titanic-train'

    :returns: ``count`` and ``results``: ``field``, ``resource`` (id, empty = the dataset) and its ``path``, ``git`` and
        ``portal`` (the values), ``conflict`` (Git says something new since a person edited the field), ``taken`` (the
        portal has Git's value by a person's decision; ``kept`` is what the person had)
    :rtype: dictionary
    """
    tk.check_access("mlops_field_list", context, data_dict)
    package = _package(data_dict["id"])
    found = [each.to_dict() for each in fields.of_dataset(model.Session(), package.id)]
    return {"count": len(found), "results": found}


@validated(schema.field)
def mlops_field_take(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Take what Git says for a field that a person edited; from then on the field follows the repository.

    Tags and groups that a person added stay. Taking the field ``resource`` lists a file again that a person removed, or
    removes one that Git has no more.

    :param id: id or name of the dataset; you must be allowed to change it
    :param field: name of the field
    :param resource: id of the resource, when it is a resource's field (optional)

    Example::

        curl -H "Authorization: $TOKEN" -d '{"id": "titanic-train", "field": "title"}' \\
            https://portal.example/api/3/action/mlops_field_take

    :returns: the field as in ``mlops_field_list``; what the person had can be put back with ``mlops_field_restore``
    :rtype: dictionary
    """
    tk.check_access("mlops_field_take", context, data_dict)
    return _decide(context, data_dict, activity.TOOK_FIELD)


@validated(schema.field)
def mlops_field_restore(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Put back what a person had in a field before Git's value was taken.

    :param id: id or name of the dataset; you must be allowed to change it
    :param field: name of the field
    :param resource: id of the resource, when it is a resource's field (optional)

    Example::

        curl -H "Authorization: $TOKEN" -d '{"id": "titanic-train", "field": "title"}' \\
            https://portal.example/api/3/action/mlops_field_restore

    :returns: the field as in ``mlops_field_list``
    :rtype: dictionary
    """
    tk.check_access("mlops_field_restore", context, data_dict)
    return _decide(context, data_dict, activity.RESTORED_FIELD)


def _decide(context: Context, data_dict: DataDict, kind: str) -> dict[str, Any]:
    session: Session = model.Session()
    package = _package(data_dict["id"])
    package_id, field, resource = str(package.id), data_dict["field"], data_dict["resource"]
    user = model.User.get(context.get("user"))
    name = user.name if user else str(context.get("user") or "")
    try:
        if kind == activity.TOOK_FIELD:
            found = fields.take(session, package_id, field, resource, name, user.id if user else None)
        else:
            found = fields.restore(session, package_id, field, resource, name)
    except MlopsError as error:
        session.rollback()
        raise tk.ValidationError({"field": [str(error)]}) from error
    activity.record(context, kind, package, {"field": found.to_dict()})
    session.commit()
    fields.index(package_id)
    return found.to_dict()


def _package(name: str) -> model.Package:
    package = model.Package.get(name)
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    return package
