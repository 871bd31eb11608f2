"""Datasets as CKAN shows them, many with a few statements: what its ``package_show`` reads with ten for each.

Where an extension replaces or chains ``package_show``, CKAN's own way is taken, one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from ckan import logic, model
from ckan import plugins as p
from ckan.lib import dictization
from ckan.lib.dictization import model_dictize
from ckan.lib.plugins import lookup_package_plugin, plugin_validate
from ckan.logic.action import get
from ckan.logic.schema import default_show_package_schema
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session


class Shown(NamedTuple):
    """A dataset by CKAN's default schema, and by that of its type: the search index keeps both."""

    default: dict[str, Any]
    custom: dict[str, Any]


def datasets(session: Session, package_ids: Collection[str]) -> dict[str, Shown]:
    """The datasets that there are, from the session's transaction: id → how CKAN shows it."""
    packages = session.scalars(sa.select(model.Package).where(model.Package.id.in_(package_ids))).all()
    if is_own("package_show", get.package_show):
        read = _dictized(session, packages)
        return {str(package.id): _shown(session, package, read[str(package.id)]) for package in packages}
    found = {}
    for package in packages:
        both = logic.package_show_default_and_custom_schemas({"ignore_auth": True}, str(package.id))
        found[str(package.id)] = Shown(*both)
    return found


def pages(session: Session, package_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """The datasets that there are as their pages show them, from the session's transaction: id → ``package_show``."""
    if not is_own("package_show", get.package_show):
        return {each: page(each) for each in package_ids if model.Package.get(each) is not None}
    packages = session.scalars(sa.select(model.Package).where(model.Package.id.in_(package_ids))).all()
    read = _dictized(session, packages)
    return {str(package.id): _page(*_begun(session, package, read[str(package.id)])) for package in packages}


def page(package_id: str) -> dict[str, Any]:
    """A dataset as its page shows it, from the database."""
    # The search index would add fields that are not the dataset's own.
    context: Context = {"ignore_auth": True, "use_cache": False}
    return dict(tk.get_action("package_show")(context, {"id": package_id}))


def is_own(action: str, function: Any) -> bool:
    """Whether CKAN's own function is what the action does: no extension replaces or chains it."""
    return getattr(tk.get_action(action), "__wrapped__", None) is function


Begun = tuple[Context, dict[str, Any]]


def _shown(session: Session, package: model.Package, read: dict[str, Any]) -> Shown:
    context, read = _begun(session, package, read)
    default_schema = default_show_package_schema()
    default, _ = plugin_validate(object(), context, read, default_schema, "package_show")
    same = lookup_package_plugin(read["type"]).show_package_schema() == default_schema
    return Shown(default, _hooked(context, default) if same else _page(context, read))


def _begun(session: Session, package: model.Package, read: dict[str, Any]) -> Begun:
    context = cast(
        Context,
        {
            "model": model, "session": session, "user": "", "ignore_auth": True, "use_cache": False,
            "validate": False, "package": package,
        },
    )  # fmt: skip
    for controller in p.PluginImplementations(p.IPackageController):
        controller.read(package)
    for watcher in p.PluginImplementations(p.IResourceController):
        for resource in read["resources"]:
            watcher.before_resource_show(resource)
    return context, read


def _page(context: Context, read: dict[str, Any]) -> dict[str, Any]:
    plugin = lookup_package_plugin(read["type"])
    custom, _ = plugin_validate(plugin, context, read, plugin.show_package_schema(), "package_show")
    return _hooked(context, custom)


def _hooked(context: Context, custom: dict[str, Any]) -> dict[str, Any]:
    logic.apply_after_dataset_show_plugins(context, custom)
    return custom


def _dictized(session: Session, packages: Sequence[model.Package]) -> dict[str, dict[str, Any]]:
    """What :func:`ckan.lib.dictization.model_dictize.package_dictize` makes of each."""
    ids = [package.id for package in packages]
    context = cast(Context, {"model": model, "session": session, "with_capacity": False})
    resources = _rows(session, model.resource_table, "package_id", ids)
    subjects = _rows(session, model.package_relationship_table, "subject_package_id", ids)
    objects = _rows(session, model.package_relationship_table, "object_package_id", ids)
    tags, groups = _tags(session, ids, context), _groups(session, ids, context)
    owners = _rows(session, model.group_table, "id", {package.owner_org for package in packages if package.owner_org})
    found = {}
    for package in packages:
        read = dictization.table_dictize(package, context)
        del read["plugin_data"]
        read["title"] = read["title"].strip() if read["title"] else read["title"]
        read["resources"] = model_dictize.resource_list_dictize(cast(Any, resources[package.id]), context)
        read["tags"] = [dict(each) for each in tags[package.id]]
        read["extras"] = [{"key": key, "value": value} for key, value in (read["extras"] or {}).items()]
        read["groups"] = [dict(each) for each in groups[package.id]]
        owner = dictization.obj_list_dictize(owners[package.owner_org], context)
        read["organization"] = {k: v for k, v in owner[0].items() if k != "extras"} if owner else None
        read["relationships_as_subject"] = dictization.obj_list_dictize(subjects[package.id], context)
        read["relationships_as_object"] = dictization.obj_list_dictize(objects[package.id], context)
        license_ = package.license
        read |= {
            "num_resources": len(read["resources"]),
            "num_tags": len(read["tags"]),
            "isopen": package.isopen(),
            "type": package.type or "dataset",
            "license_title": license_.title if license_ else package.license_id,
            "metadata_modified": package.metadata_modified.isoformat(),
            "metadata_created": package.metadata_created.isoformat() if package.metadata_created else None,
        }
        if license_ and license_.url:
            read |= {"license_url": license_.url, "license_title": license_.title.split("::")[-1]}
        found[str(package.id)] = read
    return found


def _rows(session: Session, table: sa.Table, key: str, values: Collection[Any]) -> dict[Any, list[Any]]:
    """Rows of a table by the value of a column."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for row in session.execute(sa.select(table).where(table.c[key].in_(values))) if values else ():
        found[row._mapping[key]].append(row)
    return found


def _tags(session: Session, ids: list[str], context: Context) -> dict[Any, list[dict[str, Any]]]:
    tag, tied = model.tag_table, model.package_tag_table
    query = sa.select(tied.c.package_id, tag, tied.c.state).join(tied, tag.c.id == tied.c.tag_id)
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in session.execute(query.where(tied.c.package_id.in_(ids), tied.c.state == "active").order_by(tag.c.name)):
        one = dictization.table_dictize(row, context)
        found[one.pop("package_id")].append(one | {"display_name": one["name"]})
    return found


def _groups(session: Session, ids: list[str], context: Context) -> dict[Any, list[dict[str, Any]]]:
    group, member = model.group_table, model.member_table
    tied = session.execute(
        sa.select(member.c.table_id, member.c.group_id, member.c.capacity)
        .join(group, group.c.id == member.c.group_id)
        .where(member.c.table_id.in_(ids), member.c.state == "active", group.c.is_organization.is_(False))
    ).all()
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in tied:
        members[row.group_id, row.capacity].append(row.table_id)
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for (group_id, capacity), datasets_of in members.items():
        query = sa.select(group, sa.literal(capacity).label("capacity")).where(group.c.id == group_id)
        [one] = model_dictize.group_list_dictize(
            cast(Any, session.execute(query).all()), context, with_package_counts=False
        )
        for dataset in datasets_of:
            found[dataset].append(one)
    by_name = tk.h.strxfrm
    return defaultdict(
        list, {key: sorted(each, key=lambda one: by_name(one["display_name"])) for key, each in found.items()}
    )
