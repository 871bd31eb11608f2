"""Create many datasets at once: what CKAN's ``package_create`` does for each, in a few statements for all of them.

Validation, hooks of other extensions, default views and signals are CKAN's own, dataset by dataset; rows are written
together. Where an extension replaces or chains one of the actions that ``package_create`` is made of, or listens to
one of those within, only CKAN's own way is right: :func:`possible` says so.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import sqlalchemy as sa
from ckan import model
from ckan import plugins as p
from ckan.lib import datapreview
from ckan.lib.plugins import get_permission_labels, lookup_package_plugin, plugin_validate
from ckan.logic.action import create as core_create
from ckan.logic.action import update as core_update
from ckan.model.types import make_uuid
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops.logic import shown

Blame = Callable[[str], AbstractContextManager[None]]


def possible() -> bool:
    """Whether nothing that another extension does to the actions would be left out."""
    within = {
        "package_owner_org_update": core_update.package_owner_org_update,
        "package_create_default_resource_views": core_create.package_create_default_resource_views,
        "resource_view_create": core_create.resource_view_create,
    }
    return (
        all(shown.is_own(name, function) for name, function in within.items())
        and shown.is_own("package_create", core_create.package_create)
        and not any(_receivers(name) for name in within)
        and activity_is_own()
    )


def create(
    session: Session,
    packages: Sequence[dict[str, Any]],
    user: str,
    blame: Blame = lambda _: nullcontext(),
    *,
    ignore_auth: bool = True,
) -> None:
    """Create datasets; those without an ``id`` get one. The caller has them indexed, notes the activities, and commits.

    :param blame: a dataset's id → a block that says whose the error is that leaves it
    :param ignore_auth: whether the user need not be allowed to create them, as in a harvest
    """
    creator = model.User.by_name(user)
    checked: list[tuple[dict[str, Any], dict[str, Any], Context]] = []
    for package in packages:
        context = context_of(session, user, ignore_auth=ignore_auth)
        with blame(str(package.get("id") or "")):
            tk.check_access("package_create", context, package)
            plugin = lookup_package_plugin(package["type"])
            data, errors = plugin_validate(plugin, context, package, plugin.create_package_schema(), "package_create")
            if errors:
                raise tk.ValidationError(errors)
        for each in (data, *(data.get("resources") or ())):
            each["id"] = each.get("id") or make_uuid()
        package["id"] = data["id"]
        if creator is not None:
            data["creator_user_id"] = creator.id
        checked.append((package, data, context))
    rows = _rows(session, [data for _, data, _ in checked])
    for package, data, context in checked:
        with blame(package["id"]):
            for controller in p.PluginImplementations(p.IPackageController):
                controller.create(rows[package["id"]])
                controller.after_dataset_create(context, data)
    _views(session, [data for _, data, _ in checked])
    for package, _, context in checked:
        tell("package_create", context, package, package["id"])


def tell(action: str, context: Context, given: dict[str, Any], result: Any) -> None:
    """Tell those who want to know that the action was done."""
    for receiver in _receivers(action):
        receiver(action, context=context, data_dict=given, result=result)


def note_activities(session: Session, written: Mapping[str, shown.Shown], user: str, kind: str = "new") -> None:
    """Entries of the activity stream for datasets that were written here: id → how CKAN shows it.

    :param kind: ``new``, or ``changed`` by :mod:`.updating`
    """
    if not written or not p.plugin_loaded("activity") or not tk.config.get("ckan.activity_streams_enabled"):
        return
    from ckanext.activity.model import Activity  # type: ignore[import-untyped]

    actor = model.User.get(user)
    if actor is None:
        raise tk.ValidationError({"user_id": ["User not found"]})
    labels = get_permission_labels()
    packages = session.scalars(sa.select(model.Package).where(model.Package.id.in_(written)))
    for package in packages:
        data = {"package": written[str(package.id)].custom, "actor": actor.name}
        activity = Activity(actor.id, package.id, f"{kind} package", data, labels.get_dataset_labels(package))
        session.add(activity)


def context_of(session: Session, user: str, *, ignore_auth: bool = True) -> Context:
    """What CKAN's functions are given here."""
    context: dict[str, Any] = {
        "model": model, "session": session, "user": user, "defer_commit": True, "return_id_only": True,
    }  # fmt: skip
    more = {"ignore_auth": True} if ignore_auth else {"auth_user_obj": model.User.get(user)}
    return cast(Context, context | more)


def activity_is_own() -> bool:
    """Whether entries of the activity stream are what CKAN's own action makes."""
    if not p.plugin_loaded("activity"):
        return True
    from ckanext.activity.logic import action  # type: ignore[import-untyped]

    return shown.is_own("activity_create", action.activity_create)


def _receivers(action: str) -> list[Callable[..., Any]]:
    """Who wants to know that the action was done, but for the activity stream: see :func:`note_activities`."""
    found = tk.signals.action_succeeded.receivers_for(action)
    return [each for each in found if getattr(each, "__module__", "") != "ckanext.activity.subscriptions"]


def _rows(session: Session, datasets: Sequence[dict[str, Any]]) -> dict[str, model.Package]:
    """The rows of the datasets, their resources, tags, groups and organizations: written, not committed."""
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    tags = _tags(session, (tag for data in datasets for tag in data.get("tags") or ()))
    groups = _groups(session, datasets)
    found: dict[str, model.Package] = {}
    for data in datasets:
        fields = {key: value for key, value in data.items() if key not in ("metadata_created", "plugin_data")}
        fields["extras"] = {each["key"]: each["value"] for each in data.get("extras") or ()}
        package = model.Package()
        package.from_dict(fields)
        if not data.get("metadata_modified"):
            package.metadata_modified = now
        session.add(package)
        package.resources_all[:] = [_resource(each, data["id"], now) for each in data.get("resources") or ()]
        for tag in {tags[_key(each)] for each in data.get("tags") or ()}:
            session.add(model.PackageTag(package, tag, "active"))
        tied = {each.get("id") or each.get("name"): each.get("capacity") or "public" for each in data.get("groups", ())}
        members = [(groups[key], capacity) for key, capacity in tied.items() if capacity != "organization"]
        owner = groups.get(package.owner_org)
        for group, capacity in {*members, *([(owner, "organization")] if owner else [])}:
            session.add(
                model.Member(
                    group=group, group_id=group.id, table_id=data["id"], table_name="package", capacity=capacity
                )
            )
        found[data["id"]] = package
    session.flush()
    return found


def _resource(data: dict[str, Any], package_id: str, now: datetime.datetime) -> model.Resource:
    data["package_id"] = package_id
    row = model.Resource()
    _, row.extras = row.from_dict({key: value for key, value in data.items() if key != "extras"})
    row.state, row.metadata_modified, row.url_changed = "active", now, True
    return row


def _key(tag: Mapping[str, Any]) -> tuple[str, str | None]:
    return (tag["name"], tag.get("vocabulary_id") or None)


def _tags(session: Session, wanted: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str | None], model.Tag]:
    keys = {_key(tag) for tag in wanted}
    names = {name for name, _ in keys}
    known = session.scalars(sa.select(model.Tag).where(model.Tag.name.in_(names))).all() if names else ()
    found = {(str(tag.name), tag.vocabulary_id): tag for tag in known}
    for name, vocabulary in sorted(keys - set(found), key=str):
        found[name, vocabulary] = model.Tag(name, vocabulary)
        session.add(found[name, vocabulary])
    return found


def _groups(session: Session, datasets: Iterable[Mapping[str, Any]]) -> dict[Any, model.Group]:
    """Groups and organizations, by id and by name."""
    wanted = {
        each.get("id") or each.get("name") for data in datasets for each in data.get("groups") or ()
    } | {data["owner_org"] for data in datasets if data.get("owner_org")}  # fmt: skip
    group = model.Group
    query = sa.select(group).where(sa.or_(group.id.in_(wanted), group.name.in_(wanted)))
    rows = session.scalars(query).all() if wanted else ()
    return {each.name: each for each in rows} | {each.id: each for each in rows}


def _views(session: Session, datasets: Iterable[dict[str, Any]]) -> None:
    """The views that the portal gives each new resource which they can show."""
    plugins = [(plugin, plugin.info()) for plugin in datapreview.get_default_view_plugins()]
    for data in datasets:
        for resource in data.get("resources") or ():
            fitting = [info for plugin, info in plugins if plugin.can_view({"resource": resource, "package": data})]
            for order, info in enumerate(fitting):
                session.add(
                    model.ResourceView(
                        resource_id=resource["id"],
                        view_type=info["name"],
                        title=str(info.get("default_title", tk._("View"))),
                        description=str(info.get("default_description", "")),
                        order=order,
                        config={},
                    )
                )
