"""Actions on harvesting: what would be done, what was done, and what a person decided about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ckan import model
from ckan.model.types import make_uuid
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict
from ckanext.harvest.model import HarvestJob, HarvestSource
from sqlalchemy.orm import Session

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.said import said
from ckanext.mlops.harvesting import approval, reports
from ckanext.mlops.logic.plan_dictize import how_far
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import harvest as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.logic.told import told
from ckanext.mlops.model import Plan, plans
from ckanext.mlops.model.tables import utc_now


@tk.side_effect_free
@validated(schema.harvest_preview)
def mlops_harvest_preview(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What harvesting a DVC source now would do to each dataset, and why. Nothing in the catalog is written.

    The repository is read while you wait; ``mlops_preview_create`` does that in the background.

    :param id: id or name of the harvest source; you must be allowed to change it
    :param limit: changes in the answer, 1 to 1000 (default 100)

    Example::

        curl -H "Authorization: $TOKEN" 'https://portal.example/api/3/action/mlops_harvest_preview?id=titanic'

    :returns: ``summary`` (one line), ``counts`` (``added``, ``changed``, ``unchanged``, ``retired``, ``problems``),
        ``changes`` (without the unchanged ones; each with ``kind``, ``guid``, ``title``, ``reason`` and ``fields``:
        what differs, before and after), ``problems`` (sentences: what could not be read), ``warnings`` (what was read
        with doubt), ``truncated`` (there are more changes than ``limit``), ``stages`` and ``outputs`` (how many)
    :rtype: dictionary
    """
    # Reading a repository needs modules that pages do not.
    from ckanext.mlops.harvesting import planning

    tk.check_access("mlops_harvest_preview", context, data_dict)
    source = dvc_source(data_dict["id"])
    try:
        prepared = planning.preview(source)
    except (MlopsError, ValueError) as error:
        raise tk.ValidationError({"id": [str(error)]}) from error
    return prepared.shown(data_dict["limit"])


@validated(common.object_show)
def mlops_preview_create(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Let a worker read a DVC source and say what a harvest would do. Nothing in the catalog is written.

    :param id: id or name of the harvest source; you must be allowed to change it

    Example::

        curl -H "Authorization: $TOKEN" -d '{"id": "titanic"}' https://portal.example/api/3/action/mlops_preview_create

    :returns: the preview, as in ``mlops_preview_show``; the one that is under way, if any
    :rtype: dictionary
    """
    tk.check_access("mlops_preview_create", context, data_dict)
    session = cast(Session, context["session"])
    source = dvc_source(data_dict["id"])
    last = plans.last_preview(session, str(source.id))
    if last is None or not _under_way(last):
        user = model.User.get(context.get("user"))
        plan_id = make_uuid()
        plans.write(session, plan_id, str(source.id), "preview", state="waiting", user_id=user.id if user else None)
        plans.forget_previews(session, str(source.id))
        session.commit()
        title = f"Preview of harvest source {source.title or source.id}"
        tk.enqueue_job(_preview, [plan_id], title=title, rq_kwargs={"timeout": 3600})
        last = plans.get(session, plan_id)
    return _preview_dict(cast(Plan, last))


@tk.side_effect_free
@validated(common.object_show)
def mlops_preview_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The newest preview of a harvest source.

    :param id: id or name of the harvest source; you must be allowed to change it

    Example::

        curl -H "Authorization: $TOKEN" 'https://portal.example/api/3/action/mlops_preview_show?id=titanic'

    :returns: ``id``, ``state`` (``waiting``, ``reading``, ``planned`` or ``failed``; ``none`` when there was no
        preview), ``progress`` (in words; ``told``: in the language of the address),
        ``created``, and once planned ``plan``: the answer of ``mlops_harvest_preview`` at that time, with at most 1000
        changes
    :rtype: dictionary
    """
    tk.check_access("mlops_preview_show", context, data_dict)
    source = dvc_source(data_dict["id"])
    found = plans.last_preview(cast(Session, context["session"]), str(source.id))
    return {"state": "none", "plan": None} if found is None else _preview_dict(found)


@tk.side_effect_free
@validated(schema.harvest_report)
def mlops_harvest_report(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """What one harvest did: how far it is, every dataset with what happened to it and why, what could not be read.

    :param id: id of the harvest job; you must be allowed to change its source
    :param what: only the datasets that were ``added``, ``changed``, ``retired``, left ``unchanged``, that ``failed``,
        are ``waiting`` to be written or ``held`` for approval
    :param limit: datasets in the answer, 0 to 1000 (default 100)
    :param offset: datasets to skip (default 0)

    Example::

        curl -H "Authorization: $TOKEN" 'https://portal.example/api/3/action/mlops_harvest_report?id=3f2a…'

    :returns: ``stage`` (``waiting``, ``reading``, ``held``, ``writing``, ``done``, ``failed``, ``aborted``,
        ``rejected``, ``reverting``, ``reverted``, ``not reverted``), ``progress`` (``done`` of ``total`` changes,
        ``said`` in words, ``told``: in the language of the address), ``summary``, ``plan`` (its figures), ``counts``,
        ``datasets`` (what failed first, the unchanged ones last; ``guid``, ``id``, ``name``, ``title``, ``kind``,
        ``state``, ``reason``, ``kept``: fields that a person owns, ``error``, ``fields``: what differs), ``count`` (of
        them), ``problems``, ``warnings``, ``check`` (``source`` has, and ``catalog`` has, so many datasets; ``equal``;
        ``missing``), ``decision``, ``stopped`` and ``revert`` (by whom, when)
    :rtype: dictionary
    """
    tk.check_access("mlops_harvest_report", context, data_dict)
    job = _job(data_dict["id"])
    session = cast(Session, context["session"])
    found = reports.report(session, job, what=data_dict["what"], limit=data_dict["limit"], offset=data_dict["offset"])
    found["progress"]["told"] = told(found["progress"]["said"])
    return found | {"url": reports.job_url(job)}


@validated(common.object_show)
def mlops_harvest_approve(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Let the workers write a plan that waits for approval, as it is.

    :param id: id of the harvest job; you must be allowed to change its source

    Example::

        curl -H "Authorization: $TOKEN" -d '{"id": "3f2a…"}' https://portal.example/api/3/action/mlops_harvest_approve

    :returns: ``job`` and ``changes``: how many are written now
    :rtype: dictionary
    """
    tk.check_access("mlops_harvest_approve", context, data_dict)
    job = _job(data_dict["id"])
    return {"job": job.id, "changes": _decide(context, job, "approved", lambda: approval.release(str(job.id)))}


@validated(schema.harvest_reject)
def mlops_harvest_reject(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Forget a plan that waits for approval. The next harvest plans anew.

    :param id: id of the harvest job; you must be allowed to change its source
    :param why: what is wrong with it; shown with the job (optional)

    Example::

        curl -H "Authorization: $TOKEN" -d '{"id": "3f2a…", "why": "Too many changes"}' \
            https://portal.example/api/3/action/mlops_harvest_reject

    :returns: ``job`` and ``changes``: how many are not written
    :rtype: dictionary
    """
    tk.check_access("mlops_harvest_reject", context, data_dict)
    job = _job(data_dict["id"])
    why = f"{tk._('Rejected')}{': ' if data_dict['why'] else ''}{data_dict['why']}"

    def discard() -> int:
        number = approval.discard(str(job.id), why)
        if not number:
            raise approval.NotHeld(tk._("Nothing of this harvest waits for approval any more; see the newest one."))
        return number

    return {"job": job.id, "changes": _decide(context, job, "rejected", discard)}


def _decide(context: Context, job: HarvestJob, decision: str, do: Callable[[], int]) -> int:
    user = str(context.get("user") or "")
    job_id, source_id = str(job.id), str(job.source_id)
    try:
        number = do()
    except MlopsError as error:
        raise tk.ValidationError({"id": [str(error)]}) from error
    told = {"what": decision, "by": user, "at": utc_now().replace(microsecond=0).isoformat() + "Z", "changes": number}
    state = {"state": "rejected"} if decision == "rejected" else {}
    plans.write_now(job_id, source_id, facts={"decision": told}, **state)
    return number


@validated(schema.harvest_revert)
def mlops_harvest_revert(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Let a worker take one harvest back: its datasets are as they were before it, those that it added are purged.

    What people or later harvests changed since stands in the way and is named; nothing is taken back then, unless
    ``partly`` is set. The next harvest writes the same again, unless the repository or the source's settings changed.

    :param id: id of the harvest job; you must be allowed to change its source
    :param partly: take back those datasets that nothing stands in the way of (default false)

    Example::

        curl -H "Authorization: $TOKEN" -d '{"id": "3f2a…"}' https://portal.example/api/3/action/mlops_harvest_revert

    :returns: ``job`` and ``stage``; ``mlops_harvest_report`` says how it goes, and at the end in ``revert`` what was
        taken back and what was not, and why
    :rtype: dictionary
    """
    tk.check_access("mlops_harvest_revert", context, data_dict)
    session = cast(Session, context["session"])
    job = _job(data_dict["id"])
    now = reports.stage(session, job, plans.get(session, str(job.id)))
    if now not in reports.OVER:
        raise tk.ValidationError(
            {"id": [tk._("Only a harvest that is finished can be reverted; this one is: {stage}").format(stage=now)]}
        )
    plans.write(session, str(job.id), str(job.source_id), state="reverting", progress=said("waiting for a worker"))
    session.commit()
    arguments = [str(job.id), str(context.get("user") or "")]
    tk.enqueue_job(
        _revert,
        arguments,
        {"partly": data_dict["partly"]},
        title=f"Revert of harvest job {job.id}",
        rq_kwargs={"timeout": 6 * 3600},
    )
    return {"job": job.id, "stage": "reverting"}


def _revert(job_id: str, user: str, *, partly: bool) -> None:
    """The worker's part of a revert."""
    from ckanext.mlops.harvesting import revert

    revert.in_background(job_id, user, partly=partly)


def _preview(plan_id: str) -> None:
    """The worker's part of a preview."""
    from ckanext.mlops.harvesting import previews

    previews.run(plan_id)


def _under_way(row: Plan) -> bool:
    return row.state in ("waiting", "reading") and not plans.is_lost(row)


def _preview_dict(row: Plan) -> dict[str, Any]:
    return how_far(row) | {"source": row.source_id, "plan": row.facts if row.state == "planned" else None}


def dvc_source(name: str) -> HarvestSource:
    """The harvest source of that id or name."""
    package = model.Package.get(name)
    source = model.Session.get(HarvestSource, package.id) if package else None
    if source is None:
        raise tk.ObjectNotFound(tk._("Harvest source not found"))
    if source.type != "dvc":
        raise tk.ValidationError({"id": [tk._("This is no source of type dvc")]})
    return source


def _job(job_id: str) -> HarvestJob:
    job = model.Session.get(HarvestJob, job_id, populate_existing=True)
    if job is None:
        raise tk.ObjectNotFound(tk._("Harvest job not found"))
    return job
