"""Actions on data that lives in DVC and that a person registers: read it, show what was read, make the dataset."""

from __future__ import annotations

from typing import Any, cast

from ckan import model
from ckan.model.types import make_uuid
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from sqlalchemy.orm import Session

from ckanext.mlops.core.address import shown
from ckanext.mlops.logic import registration
from ckanext.mlops.logic.plan_dictize import how_far
from ckanext.mlops.logic.reader import Reader, same_user
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import registration as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model import Plan, plans

KIND = "registration"
#: Readings of one person that may be under way at once.
MAX_AT_ONCE = 3


@validated(schema.create)
def mlops_registration_create(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Let a worker read data that lives in DVC, so that a dataset can be made of it without typing its facts.

    The addresses that may be read, the bounds and the credentials are those of harvest sources.

    :param url: address of the Git repository
    :type url: string
    :param path: of an output, a stage (``train``, ``sub/dvc.yaml:train``) or a ``.dvc`` file (optional; without it the
        answer has all steps to choose from)
    :type path: string
    :param revision: branch, tag or commit (optional, default: the default branch)
    :type revision: string
    :param credential: name of a credential that the operator configured (optional)
    :type credential: string

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_registration_create \\
            -d url=https://github.com/o/titanic -d path=data/train.csv

    :returns: the registration as in ``mlops_registration_show``; its ``id`` asks for it
    :rtype: dictionary
    """
    tk.check_access("mlops_registration_create", context, data_dict)
    session = cast(Session, context["session"])
    asker = model.User.get(context["user"])
    user = str(asker.id) if asker is not None else ""
    if plans.under_way(session, user, KIND) >= MAX_AT_ONCE:
        raise tk.ValidationError({"url": [tk._("You have several readings under way: wait for one of them")]})
    asked = {name: data_dict[name] for name in ("url", "path", "revision", "credential")}
    plan_id = make_uuid()
    plans.write(session, plan_id, user, KIND, state="waiting", user_id=user, facts={"asked": asked})
    plans.forget_previews(session, user, KIND)
    session.commit()
    title = f"Read {shown(asked['url'])} for a dataset form"
    tk.enqueue_job(_read, [plan_id], title=title, rq_kwargs={"timeout": 3600})
    return _dict(context, cast(Plan, plans.get(session, plan_id)))


@tk.side_effect_free
@validated(common.object_show)
def mlops_registration_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What was read for a registration.

    :param id: of the registration
    :type id: string

    Example::

        curl -H "Authorization: $TOKEN" 'https://portal.example/api/3/action/mlops_registration_show?id=3f2a…'

    :returns: ``id``, ``state`` (``waiting``, ``reading``, ``planned`` = it was read, ``failed``), ``progress`` (in
        words; ``told``: in the language of the address), ``asked``, and once it was read ``revision``, ``commit``,
        ``choices`` (``address``, ``outs`` and how many ``more`` of each step that the path can mean), ``steps`` (how
        many), ``warnings``, ``dataset`` (a dictionary for ``package_create``; null unless it is one step) and ``known``
        (``dataset``: the one of this step that a harvest made, ``same``: other datasets with a file of the same
        content)
    :rtype: dictionary
    """
    tk.check_access("mlops_registration_show", context, data_dict)
    return _dict(context, _row(context, data_dict["id"]))


@validated(schema.register)
def mlops_dataset_register(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Make a dataset of what was read: its files with hashes, sizes and storage paths, at the version that was read.

    :param id: of the registration
    :type id: string
    :param package: fields of the dataset, laid over those that were read; ``owner_org`` at least where the portal wants
        one. The files are those that were read.
    :type package: dictionary

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_dataset_register \\
            -H "Content-Type: application/json" -d '{"id": "3f2a…", "package": {"owner_org": "lab"}}'

    :returns: the dataset, as in ``package_show``
    :rtype: dictionary
    """
    tk.check_access("mlops_dataset_register", context, data_dict)
    row = _row(context, data_dict["id"])
    found = row.facts.get("found") if row.state == "planned" else None
    if not found:
        raise tk.ValidationError({"id": [tk._("This registration has no step that was read; name its path")]})
    read = registration.values(Reader(context), found)
    # What was read decides what can be downloaded: a person words it, but does not change what it is of.
    fixed = {name: read.get(name, "") for name in ("dvc_repository", "dvc_commit", "dvc_stage", "resources")}
    package = {**read, **data_dict["package"], **fixed, "type": "dataset"}
    writer = cast(Context, {key: context[key] for key in ("user", "auth_user_obj", "session") if key in context})
    writer[registration.VERSION] = found["version"]  # type: ignore[literal-required]
    made: dict[str, Any] = tk.get_action("package_create")(writer, package)
    return made


@validated(schema.source_add)
def mlops_source_add(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Note that a dataset was made from another one: an entry more of ``derived_from``, unless it is there.

    :param id: id or name of the dataset; you must be allowed to change it
    :type id: string
    :param dataset: id or name of the dataset that it was made from; you must be allowed to see it
    :type dataset: string

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_source_add \\
            -d id=my-upload -d dataset=titanic-prepare

    :returns: ``id`` of the dataset, its ``derived_from``, and whether it was ``added``
    :rtype: dictionary
    """
    tk.check_access("mlops_source_add", context, data_dict)
    reader = same_user(context)
    package = tk.get_action("package_show")(cast(Context, {**reader, "use_cache": False}), {"id": data_dict["id"]})
    try:
        source = tk.get_action("package_show")(same_user(context), {"id": data_dict["dataset"]})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        raise tk.ValidationError({"dataset": [tk._("There is no dataset of that name that you may see")]}) from None
    if source["id"] == package["id"]:
        raise tk.ValidationError({"dataset": [tk._("A dataset is not made from itself")]})
    entries = list(package.get("derived_from") or ())
    added = all(each.get("dataset") != source["id"] for each in entries)
    if added:
        entries.append({"dataset": source["id"]})
        patched = {"id": package["id"], "derived_from": entries}
        package = tk.get_action("package_patch")(same_user(context), patched)
    return {"id": package["id"], "derived_from": package.get("derived_from") or [], "added": added}


def _row(context: Context, registration_id: str) -> Plan:
    row = plans.get(cast(Session, context["session"]), registration_id)
    if row is None or row.kind != KIND:
        raise tk.ObjectNotFound(tk._("Registration not found"))
    return row


def _read(plan_id: str) -> None:
    """The worker's part."""
    from ckanext.mlops.harvesting import registrations

    registrations.run(plan_id)


def _dict(context: Context, row: Plan) -> dict[str, Any]:
    result = how_far(row) | {"asked": row.facts["asked"]}
    if row.state == "planned":
        found = row.facts["found"]
        reader = Reader(context)
        result |= {name: row.facts[name] for name in ("revision", "commit", "choices", "steps", "warnings")}
        result["dataset"] = registration.values(reader, found) if found else None
        result["known"] = registration.known(reader, found) if found else None
    return result
