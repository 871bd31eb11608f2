"""Actions on access: a reader asks, an editor grants or denies."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from ckan import authz, model
from ckan.model.types import make_uuid
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import transfer as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.model.transfers import AccessRequest
from ckanext.mlops.transfers import audit


@validated(schema.access_ask)
def mlops_access_ask(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Ask for access to a dataset that you may not see, or whose files are given on request only.

    Asking again while the request is open replaces its reason.

    :param id: id or name of the dataset
    :type id: string
    :param reason: for those who decide (optional)
    :type reason: string

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_access_ask -d id=titanic-train

    :returns: the request: ``id``, ``package_id``, ``user``, ``reason``, ``state`` (``open``, ``granted``, ``denied``),
        ``asked``, ``decided`` and ``answer``
    :rtype: dictionary
    """
    tk.check_access("mlops_access_ask", context, data_dict)
    package = model.Package.get(data_dict["id"])
    user = model.User.get(context["user"])
    if package is None or package.state != "active" or user is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    session = model.Session()
    # Two requests at once are one.
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"{package.id} {user.id}", 0))))
    found = session.scalar(
        sa.select(AccessRequest).where(
            AccessRequest.package_id == package.id, AccessRequest.user_id == user.id, AccessRequest.state != "denied"
        )
    )
    if found is None:
        found = AccessRequest(id=make_uuid(), package_id=package.id, user_id=user.id, reason=data_dict["reason"])
        found.state, found.asked, found.answer = "open", utc_now(), ""
        session.add(found)
        audit.record("access_asked", package.id, {"reason": data_dict["reason"]}, user.id)
    elif found.state == "open":
        found.reason = data_dict["reason"]
    session.commit()
    return _dictize(found, user.name)


@tk.side_effect_free
@validated(common.object_show)
def mlops_access_list(context: Context, data_dict: DataDict) -> list[dict[str, Any]]:
    """The requests for access to a dataset, the open ones first.

    :param id: id or name of the dataset
    :type id: string

    Example::

        curl -H "Authorization: $TOKEN" 'https://portal.example/api/3/action/mlops_access_list?id=titanic-train'

    :returns: requests, as ``mlops_access_ask`` gives them
    :rtype: list of dictionaries
    """
    tk.check_access("mlops_access_list", context, data_dict)
    package = model.Package.get(data_dict["id"])
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    rows = model.Session.execute(
        sa.select(AccessRequest, model.User.name)
        .join(model.User, model.User.id == AccessRequest.user_id)
        .where(AccessRequest.package_id == package.id)
        .order_by(AccessRequest.state != "open", AccessRequest.asked.desc())
        .limit(1000)
    ).all()
    return [_dictize(row, name) for row, name in rows]


@validated(schema.access_decide)
def mlops_access_decide(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Grant or deny a request for access.

    Granted, who asked may take the files of the dataset; of a private one they become a collaborator, which the
    operator has to allow (``ckan.auth.allow_dataset_collaborators``). Denying one that was granted takes it back.

    :param id: id of the request
    :type id: string
    :param grant: true or false
    :type grant: bool
    :param answer: for who asked (optional)
    :type answer: string

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_access_decide -d id=$ID -d grant=true

    :returns: the request, as ``mlops_access_ask`` gives it
    :rtype: dictionary
    """
    tk.check_access("mlops_access_decide", context, data_dict)
    session = model.Session()
    found = session.get(AccessRequest, data_dict["id"])
    package = model.Package.get(found.package_id) if found else None
    user = session.get(model.User, found.user_id) if found else None
    decider = model.User.get(context["user"])
    if found is None or package is None or user is None:
        raise tk.ObjectNotFound(tk._("Request not found"))
    grant = data_dict["grant"]
    if grant and package.private and not authz.check_config_permission("allow_dataset_collaborators"):
        raise tk.ValidationError(
            {"grant": [tk._("The dataset is private, and this portal has no collaborators: add the person to the "
                            "organization, or ask the operator for ckan.auth.allow_dataset_collaborators")]}
        )  # fmt: skip
    before, found.state = found.state, "granted" if grant else "denied"
    found.decided, found.decided_by, found.answer = utc_now(), decider.id if decider else None, data_dict["answer"]
    audit.record(f"access_{found.state}", package.id, {"request": found.id, "for": user.name}, found.decided_by)
    result = _dictize(found, user.name)
    # What was granted of a private dataset is taken back when it is public by now, too: it may be private again.
    if package.private or not grant:
        _collaborate(package, user, grant=grant, before=before)
    session.commit()
    return result


def _collaborate(package: model.Package, user: model.User, *, grant: bool, before: str) -> None:
    """Make the person a collaborator, or take back what a grant made; CKAN commits."""
    context = cast(
        Context, {"ignore_auth": True, "user": tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]}
    )
    values = {"id": package.id, "user_id": user.id}
    capacity = authz.user_is_collaborator_on_dataset(user.id, package.id)
    if grant and not capacity:
        tk.get_action("package_collaborator_create")(context, values | {"capacity": "member"})
    elif not grant and before == "granted" and authz.user_is_collaborator_on_dataset(user.id, package.id, "member"):
        tk.get_action("package_collaborator_delete")(context, values)


def _dictize(request: AccessRequest, user: str) -> dict[str, Any]:
    return {
        "id": request.id,
        "package_id": request.package_id,
        "user": user,
        "reason": request.reason,
        "state": request.state,
        "asked": f"{request.asked:%Y-%m-%dT%H:%M:%SZ}",
        "decided": f"{request.decided:%Y-%m-%dT%H:%M:%SZ}" if request.decided else None,
        "answer": request.answer,
    }
