"""CKAN's ``package_update`` as a part of a larger transaction: trap of CKAN 2.12, which would lose the update."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session


def package_update(session: Session, context: Context, package: dict[str, Any]) -> None:
    """Update a dataset; ``context`` has ``defer_commit``. The caller indexes and commits."""
    # Not committing, CKAN says neither that the dataset changed, for its activity, nor ends its savepoint.
    context["changed_entities"] = {"packages": {str(package["id"])}}
    tk.get_action("package_update")(context, package)
    savepoint = session.get_nested_transaction()
    if savepoint is not None:
        savepoint.commit()
