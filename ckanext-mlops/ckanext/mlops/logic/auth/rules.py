"""What the auth functions are made of."""

from __future__ import annotations

from typing import TypeVar

from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict

Row = TypeVar("Row")


def may(action: str, context: Context, object_id: str) -> AuthResult:
    """Whether CKAN allows an action on an object, in its words."""
    try:
        tk.check_access(action, context, {"id": object_id})
    except tk.NotAuthorized as error:
        return {"success": False, "msg": error.message or str(error)}
    return {"success": True}


def may_create(context: Context, why_not: str) -> AuthResult:
    """Whether somebody may create datasets."""
    try:
        tk.check_access("package_create", context, {})
    except tk.NotAuthorized:
        return {"success": False, "msg": why_not}
    return {"success": True}


def signed_in(context: Context, why_not: str) -> AuthResult:
    """Whether somebody is signed in. CKAN 2.12 passes an AnonymousUser object, which its own check takes for a user."""
    return {"success": True} if context.get("user") else {"success": False, "msg": why_not}


def row(context: Context, data_dict: DataDict, table: type[Row], name: str) -> Row:
    """The row that an action is about.

    :param name: what people call it
    :raises NotFound: there is none of that id
    """
    found: Row | None = context["session"].get(table, data_dict["id"])
    if found is None:
        raise tk.ObjectNotFound(f"No {name} {data_dict['id']}")
    return found
