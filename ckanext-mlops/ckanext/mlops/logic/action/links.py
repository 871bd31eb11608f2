"""Links between datasets and MLflow."""

from __future__ import annotations

from typing import Any, cast

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops import activity
from ckanext.mlops.logic.links import (
    check_resource,
    check_version,
    declared_links,
    dictize,
    for_activity,
    make,
    package_of,
)
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import links as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model import Link, link_hints, links
from ckanext.mlops.model.tables import utc_now


@validated(schema.link_create)
def mlops_link_create(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Link a dataset to an experiment, run or model of MLflow, and copy its facts.

    Doing it again is the same link: a ``note``, ``version`` or ``resource`` that is given replaces the one before.
    The experiment's newest 500 runs are copied at once, the rest by the next ``mlops_mlflow_sync``. When the MLflow
    server does not answer, the link is made all the same if facts of the target were copied before.

    You must be authorized to edit the dataset. Whoever may see the dataset sees the copied facts.

    :param id: id or name of the dataset
    :type id: string
    :param server: name of an MLflow server in this portal's configuration, see ``mlops_server_list``
    :type server: string
    :param kind: ``run``, ``experiment``, ``logged_model``, ``registered_model`` or ``model_version`` (optional,
        default: ``run``)
    :type kind: string
    :param target: id of the run or logged model, id or name of the experiment, name of the registered model,
        ``NAME/VERSION`` of the model version; models must have been copied by a sync
    :type target: string
    :param relation: what the run did with the dataset: ``produced``, ``trained_on``, ``evaluated_on`` or ``used``
        (optional, default: ``used``)
    :type relation: string
    :param version: id of the dataset's version, see ``mlops_version_list`` (optional)
    :type version: string
    :param resource: id of the one resource of the dataset that it is about (optional)
    :type resource: string
    :param note: for people, at most 2,000 characters (optional)
    :type note: string

    :returns: the link, as in ``mlops_link_list``
    :rtype: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_create \\
            -d id=titanic-train -d server=lab -d kind=run -d target=$RUN_ID -d relation=trained_on
    """
    tk.check_access("mlops_link_create", context, data_dict)
    session = cast(Session, context["session"])
    package = package_of(data_dict["id"])
    link, created = make(session, package, data_dict, model.User.get(context.get("user")))
    answer = dictize(session, [link])[0]
    if created:
        activity.record(context, activity.NEW_LINK, package, {"link": for_activity(answer)})
    session.commit()
    return answer


@validated(schema.link_create_many)
def mlops_link_create_many(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Make many links at once: all of them, or none when one is wrong.

    You must be authorized to edit every dataset that is named.

    :param links: JSON list of at most 1,000 links, each with the arguments of ``mlops_link_create``
    :type links: list of dictionaries

    :returns: ``created`` and ``known``, how many were new and how many there were, and ``ids`` in the order given
    :rtype: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_create_many \\
            -d 'links=[{"id": "titanic-train", "server": "lab", "target": "'$RUN_ID'", "relation": "produced"}]'
    """
    tk.check_access("mlops_link_create_many", context, data_dict)
    wanted, errors = [], {}
    for number, each in enumerate(data_dict["links"]):
        checked, wrong = tk.navl_validate(each, schema.link_create(), context)
        wanted.append(checked)
        if wrong:
            errors[str(number)] = wrong
    if errors:
        raise tk.ValidationError({"links": [cast(Any, errors)]})
    session = cast(Session, context["session"])
    user = model.User.get(context.get("user"))
    ids, created = [], 0
    for number, each in enumerate(wanted):
        package = package_of(each["id"])
        try:
            link, is_new = make(session, package, each, user)
        except tk.ValidationError as error:
            session.rollback()
            raise tk.ValidationError({"links": [cast(Any, {str(number): error.error_dict})]}) from None
        if is_new:
            session.flush()
            activity.record(context, activity.NEW_LINK, package, {"link": for_activity(dictize(session, [link])[0])})
        ids.append(link.id)
        created += is_new
    session.commit()
    return {"created": created, "known": len(ids) - created, "ids": ids}


@validated(schema.link_update)
def mlops_link_update(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Correct a link: its relation, the dataset's version or resource, its note.

    What is not given stays; empty text clears. The link is yours from then on, whatever found it: no sync and no
    harvest changes it again.

    You must be authorized to edit the dataset.

    :param id: id of the link
    :type id: string
    :param relation: ``produced``, ``trained_on``, ``evaluated_on`` or ``used`` (optional)
    :type relation: string
    :param version: id of the dataset's version (optional)
    :type version: string
    :param resource: id of a resource of the dataset (optional)
    :type resource: string
    :param note: for people (optional)
    :type note: string

    :returns: the link, as in ``mlops_link_list``; another relation gives it another ``id``
    :rtype: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_update \\
            -d id=$LINK_ID -d relation=evaluated_on
    """
    tk.check_access("mlops_link_update", context, data_dict)
    session = cast(Session, context["session"])
    link = _link(session, data_dict["id"])
    package = package_of(link.package_id)
    check_version(session, package, data_dict.get("version"))
    check_resource(session, package, data_dict.get("resource"))
    user, now = model.User.get(context.get("user")), utc_now()
    user_id = user.id if user else None
    relation = data_dict.get("relation") or link.relation
    if relation != link.relation:
        if link.origin == links.INFERRED:
            link_hints.dismiss(session, link, user_id, now)
        links.assume(session, link, user_id)
        old, link = (
            link,
            links.assert_link(
                session,
                package_id=package.id,
                server=link.server,
                kind=link.kind,
                target=link.target,
                relation=relation,
                user_id=user_id,
                version_id=link.version_id,
                resource_id=link.resource_id,
                note=link.note,
                now=now,
            )[0],
        )
        link.evidence = old.evidence
        link_hints.forget(session, link.id)
        session.delete(old)
    links.assume(session, link, user_id)
    if "version" in data_dict:
        link.version_id = data_dict["version"] or None
    if "resource" in data_dict:
        link.resource_id = data_dict["resource"] or None
    if "note" in data_dict:
        link.note = data_dict["note"]
    session.flush()
    answer = dictize(session, [link])[0]
    activity.record(context, activity.CHANGED_LINK, package, {"link": for_activity(answer)})
    session.commit()
    return answer


@tk.side_effect_free
@validated(common.object_show)
def mlops_link_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """One link, with its evidence and the copied facts of what it leads to.

    You must be authorized to see the dataset.

    :param id: id of the link
    :type id: string

    :returns: the link, as in ``mlops_link_list``
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_link_show?id=$LINK_ID"
    """
    tk.check_access("mlops_link_show", context, data_dict)
    session = cast(Session, context["session"])
    return dictize(session, [_link(session, data_dict["id"])])[0]


@tk.side_effect_free
@validated(schema.link_list)
def mlops_link_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The experiments, runs and models of MLflow that a dataset is linked to, newest link first.

    Facts are those that were copied at ``facts_at``; no MLflow server is asked. ``stale`` says why they may be out of
    date: ``away`` (the server did not answer the last time), ``old``, ``never copied``, ``not configured``, or nothing.

    ``origin`` is ``asserted`` (a person or script said so), ``inferred`` (see ``evidence``) or ``declared``: the
    dataset's fields ``mlflow_server`` and ``mlflow_experiment`` name the experiment. A declared link comes first, has
    no ``id``, and changes with those fields.

    You must be authorized to see the dataset.

    :param id: id or name of the dataset
    :type id: string
    :param kind: only links of that kind (optional)
    :type kind: string
    :param origin: only links of that origin (optional)
    :type origin: string
    :param resource: only links that are about that resource, an id (optional)
    :type resource: string
    :param limit: links in the answer (optional, default: ``100``, at most ``1000``; ``0`` for their count alone)
    :type limit: integer
    :param offset: links to skip (optional, default: ``0``)
    :type offset: integer

    :returns: ``count`` of all links and ``results``; a result has the link's own fields and ``page`` (its address in
        MLflow), ``facts_at``, ``stale``, ``version_commit``,
        ``resource_name``, ``experiment``, and either ``run`` or ``runs`` (the newest
        20 of the experiment) with ``run_count``
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_link_list?id=titanic-train"
    """
    tk.check_access("mlops_link_list", context, data_dict)
    session = cast(Session, context["session"])
    package = package_of(data_dict["id"])
    limit, offset = data_dict["limit"], data_dict["offset"]
    kind, origin = data_dict.get("kind") or "", data_dict.get("origin") or ""
    resource = data_dict.get("resource") or ""
    wanted = origin in ("", links.DECLARED) and kind in ("", "experiment") and not resource
    declared = declared_links(session, package) if wanted else []
    shown = declared[offset : offset + limit]
    count, stored = links.links_of(
        session,
        package.id,
        limit - len(shown),
        max(0, offset - len(declared)),
        origin=origin,
        kind=kind,
        resource=resource,
    )
    return {"count": count + len(declared), "results": dictize(session, [*shown, *stored])}


@validated(common.object_show)
def mlops_link_delete(context: Context, data_dict: DataDict) -> None:
    """Remove a link between a dataset and MLflow. Nothing changes in MLflow; a link that was found does not come back.

    You must be authorized to edit the dataset. A declared link has no id: change the dataset's fields instead.

    :param id: id of the link
    :type id: string

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_delete -d id=$LINK_ID
    """
    tk.check_access("mlops_link_delete", context, data_dict)
    session = cast(Session, context["session"])
    link = _link(session, data_dict["id"])
    package = model.Package.get(link.package_id)
    answer = dictize(session, [link])[0]
    if link.origin == links.INFERRED or link.evidence:
        user = model.User.get(context.get("user"))
        link_hints.dismiss(session, link, user.id if user else None, utc_now())
    session.delete(link)
    if package:
        activity.record(context, activity.DELETED_LINK, package, {"link": for_activity(answer)})
    session.commit()


def _link(session: Session, link_id: str) -> Link:
    link = session.get(Link, link_id, populate_existing=True)
    if link is None:
        raise tk.ObjectNotFound(tk._("Link not found"))
    return link
