"""What is not yet a link: candidates, suggestions and contradictions, which a person settles."""

from __future__ import annotations

from typing import Any, cast

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops import activity
from ckanext.mlops.logic.links import check_version, dictize, for_activity, package_of
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import links as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model import LinkHint, link_hints, links
from ckanext.mlops.model.tables import utc_now


@tk.side_effect_free
@validated(common.page_of_dataset)
def mlops_link_hint_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What may belong to a dataset and is no link, and links that something speaks against.

    A ``candidate`` is a run whose evidence leads to several datasets; a ``suggestion`` has nothing but a name for it.
    Neither becomes a link by itself: ``mlops_link_hint_accept`` makes it one, ``mlops_link_hint_dismiss`` refuses it.
    ``contradictions`` are links of which evidence or a person says one thing and other evidence another.

    You must be authorized to see the dataset.

    :param id: id or name of the dataset
    :type id: string
    :param limit: hints in the answer (optional, default: ``100``, at most ``1000``)
    :type limit: integer
    :param offset: hints to skip (optional, default: ``0``)
    :type offset: integer

    :returns: ``count``, ``results`` (hints, each with its ``state`` and ``evidence``) and ``contradictions`` (links)
    :rtype: dictionary

    Example::

        curl "https://portal.example.org/api/3/action/mlops_link_hint_list?id=titanic-train"
    """
    tk.check_access("mlops_link_hint_list", context, data_dict)
    session = cast(Session, context["session"])
    package = package_of(data_dict["id"])
    states = (link_hints.CANDIDATE, link_hints.SUGGESTION)
    count, found = link_hints.of_package(session, package.id, states, data_dict["limit"], data_dict["offset"])
    against = links.contradicted(session, package.id, data_dict["limit"])
    return {"count": count, "results": dictize(session, found), "contradictions": dictize(session, against)}


@validated(schema.hint_accept)
def mlops_link_hint_accept(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Make a candidate or suggestion a link. It is yours from then on.

    You must be authorized to edit the dataset.

    :param id: id of the hint
    :type id: string
    :param version: id of the dataset's version (optional)
    :type version: string

    :returns: the link, as in ``mlops_link_list``
    :rtype: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_hint_accept -d id=$HINT_ID
    """
    tk.check_access("mlops_link_hint_accept", context, data_dict)
    session = cast(Session, context["session"])
    hint = _hint(session, data_dict["id"])
    package = package_of(hint.package_id)
    check_version(session, package, data_dict.get("version"))
    user = model.User.get(context.get("user"))
    link, created = links.assert_link(
        session,
        package_id=hint.package_id,
        server=hint.server,
        kind=hint.kind,
        target=hint.target,
        relation=hint.relation,
        user_id=user.id if user else None,
        version_id=data_dict.get("version") or None,
        note="",
        now=utc_now(),
    )
    link.evidence = hint.evidence
    link_hints.forget(session, hint.id)
    session.flush()
    answer = dictize(session, [link])[0]
    if created:
        activity.record(context, activity.NEW_LINK, package, {"link": for_activity(answer)})
    session.commit()
    return answer


@validated(common.object_show)
def mlops_link_hint_dismiss(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Refuse a candidate or suggestion: it is neither shown nor inferred again. ``mlops_link_create`` still makes it.

    You must be authorized to edit the dataset.

    :param id: id of the hint
    :type id: string

    :returns: ``id`` and ``state``
    :rtype: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example.org/api/3/action/mlops_link_hint_dismiss -d id=$HINT_ID
    """
    tk.check_access("mlops_link_hint_dismiss", context, data_dict)
    session = cast(Session, context["session"])
    hint = _hint(session, data_dict["id"])
    user = model.User.get(context.get("user"))
    link_hints.dismiss(session, hint, user.id if user else None, utc_now())
    session.commit()
    return {"id": data_dict["id"], "state": link_hints.DISMISSED}


def _hint(session: Session, hint_id: str) -> LinkHint:
    hint = session.get(LinkHint, hint_id, populate_existing=True)
    if hint is None:
        raise tk.ObjectNotFound(tk._("Hint not found"))
    return hint
