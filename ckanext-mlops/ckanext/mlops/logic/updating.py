"""Update datasets as a part of a larger transaction: what CKAN's ``package_update`` does, without reading each thrice.

Validation, storing, hooks of other extensions and signals are CKAN's own. Where an extension replaces or chains one of
the actions that this stands for, only CKAN's own way is right: :func:`possible` says so.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, cast

from ckan import model
from ckan import plugins as p
from ckan.lib.dictization import model_save
from ckan.lib.plugins import lookup_package_plugin, plugin_validate
from ckan.logic.action import get
from ckan.logic.action import update as core_update
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops.catalog.ownership import same
from ckanext.mlops.logic import creating, shown


def possible(portal: Mapping[str, Any]) -> bool:
    """Whether nothing that another extension does to the actions would be left out.

    :param portal: the dataset as its page shows it
    """
    return (
        portal.get("state") == "active"
        and shown.is_own("package_update", core_update.package_update)
        and shown.is_own("package_show", get.package_show)
        and creating.activity_is_own()
    )


def update(session: Session, package: dict[str, Any], portal: Mapping[str, Any], user: str) -> bool:
    """Update a dataset; False when nothing changed. The caller has it indexed, notes the activity, and commits.

    :param package: as ``package_update`` takes it; every resource has an id, and no file comes with it
    :param portal: the dataset as its page shows it
    :raises ValidationError: the portal's schema refuses it
    """
    row = model.Package.get(package["id"])
    if row is None:
        raise tk.ObjectNotFound("Package was not found.")
    package["type"] = row.type
    context = cast(Context, {**creating.context_of(session, user), "package": row})
    tk.check_access("package_update", context, package)
    plugin = lookup_package_plugin(row.type)
    kept = _kept(plugin, package, portal)
    changed = [each for number, each in enumerate(package["resources"]) if number not in kept]
    given = package | {"resources": [dict(each) for each in changed]}
    data, errors = plugin_validate(plugin, context, given, plugin.update_package_schema(), "package_update")
    if errors:
        raise tk.ValidationError(errors)
    validated = iter(data["resources"])
    data["resources"] = [
        portal["resources"][kept[number]] if number in kept else next(validated)
        for number in range(len(package["resources"]))
    ]
    row, change = model_save.package_dict_save(data, context, False, kept)
    if not change:
        return False
    row.metadata_modified = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    if (row.owner_org or "") != (portal.get("owner_org") or ""):
        organization = {"id": row.id, "organization_id": row.owner_org}
        tk.get_action("package_owner_org_update")(creating.context_of(session, user), organization)
    session.flush()
    for controller in p.PluginImplementations(p.IPackageController):
        controller.edit(row)
        controller.after_dataset_update(context, data)
    creating.tell("package_update", context, package, package["id"])
    return True


def _kept(plugin: Any, package: Mapping[str, Any], portal: Mapping[str, Any]) -> dict[int, int]:
    """Resources that are as they were: their place in the update → their place in the portal."""
    depends = getattr(plugin, "resource_validation_dependencies", None)
    names = depends(package["type"]) if depends is not None else ()
    if any(not same(package.get(name), portal.get(name)) for name in names):
        return {}
    before = {each["id"]: (place, each) for place, each in enumerate(portal["resources"])}
    found = {}
    for number, each in enumerate(package["resources"]):
        place, there = before.get(each["id"], (0, None))
        if there is not None and all(same(each.get(key), there.get(key)) for key in each.keys() | there.keys()):
            found[number] = place
    return found
