"""Our entries in CKAN's activity stream, where the plugin ``activity`` is on."""

from __future__ import annotations

from typing import Any, cast

from ckan import model
from ckan import plugins as p
from ckan.lib.plugins import get_permission_labels
from ckan.plugins import toolkit as tk
from ckan.types import Context

NEW_LINK = "new mlflow link"
CHANGED_LINK = "changed mlflow link"
DELETED_LINK = "deleted mlflow link"
TOOK_FIELD = "took field from git"
RESTORED_FIELD = "restored field"
#: Its end makes CKAN ask for the entry's permission labels.
NEW_VERSIONS = "found new versions of package"


def register() -> None:
    """Make our activity types known to the activity plugin. Their templates are ``snippets/activities/*.html``."""
    if not p.plugin_loaded("activity"):
        return
    from ckanext.activity.logic import validators  # type: ignore[import-untyped]

    types = dict.fromkeys((NEW_LINK, CHANGED_LINK, DELETED_LINK, TOOK_FIELD, RESTORED_FIELD), "package_id_exists")
    validators.VALIDATORS_PACKAGE_ACTIVITY_TYPES.update(types)
    validators.object_id_validators.update(types)
    validators.object_id_validators[NEW_VERSIONS] = "user_id_exists"


def record(context: Context, kind: str, package: model.Package, data: dict[str, Any]) -> None:
    """Add an entry to the stream of a dataset, in the caller's transaction."""
    user = model.User.get(context.get("user"))
    if not p.plugin_loaded("activity") or user is None:
        return
    # The stream's "Changes" page compares the packages of neighbouring entries, of whatever type.
    shown = tk.get_action("package_show")(
        {"ignore_auth": True, "for_view": False, "use_cache": False}, {"id": package.id}
    )
    tk.get_action("activity_create")(
        cast(Context, {"ignore_auth": True, "defer_commit": True, "session": context["session"]}),
        {
            "user_id": user.id,
            "object_id": package.id,
            "activity_type": kind,
            "data": {"package": shown, "actor": user.name, **data},
            "permission_labels": get_permission_labels().get_dataset_labels(package),
        },
    )
