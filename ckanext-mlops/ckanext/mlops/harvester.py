"""The harvester ``dvc`` of ckanext-harvest: from the queue's calls to :mod:`gather` and :mod:`apply`, and no error out.

One instance serves all jobs, so it has no state; an exception that left it would end the queue's consumer.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import sqlalchemy as sa
from ckan import model
from ckan import plugins as p
from ckan.plugins import toolkit as tk
from ckan.types import Action, AuthFunction, AuthResult, Context, DataDict
from ckanext.harvest import queue
from ckanext.harvest.harvesters.base import HarvesterBase
from ckanext.harvest.logic.dictization import harvest_job_dictize
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestObjectError, HarvestSource

from ckanext.mlops import cleanup
from ckanext.mlops.catalog import ownership
from ckanext.mlops.catalog.weburl import file_page
from ckanext.mlops.core.collecting import keep_loaded, paused
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.harvesting import (
    batches,
    follow,
    gather,
    mails,
    memory,
    planning,
    reading,
    repositories,
    source_form,
    stopping,
    triggers,
    watch,
)
from ckanext.mlops.harvesting.source_config import ConfigError
from ckanext.mlops.model import hashes
from ckanext.mlops.search import news, overdue
from ckanext.mlops.tracking import links as mlflow_links

log = logging.getLogger(__name__)

DESCRIPTION = (
    "A Git repository whose data DVC or git-lfs versions. Every stage and tracked file becomes a dataset, with all its "
    "versions at the branches and tags, its lineage and where its data is stored. URL: https://…, or a folder that the "
    "operator allows. All settings below are optional and can be read by everybody: "
    "name a credential, never write a password."
)


@tk.chained_action
def harvest_jobs_run(next_action: Action, context: Context, data_dict: DataDict) -> Any:
    """Take back what killed workers left, do what ckanext-harvest does, then mail the reports."""
    tk.check_access("harvest_jobs_run", context, data_dict)
    watch.take_back()
    result = next_action(context, data_dict)
    triggers.follow_up()
    mails.send_due()
    news.enqueue_missed()
    overdue.enqueue_missed()
    return result


@tk.chained_action
def harvest_job_create(next_action: Action, context: Context, data_dict: DataDict) -> Any:
    """Begin a job; an earlier one of the source that is done does not stand in its way until the clock looks."""
    tk.check_access("harvest_job_create", context, data_dict)
    source = HarvestSource.get(data_dict.get("source_id"))
    if source is not None and source.type == DvcHarvester.NAME and watch.has_ended(model.Session(), str(source.id)):
        tk.get_action("harvest_jobs_run")(
            {"user": str(context.get("user") or ""), "ignore_auth": True}, {"source_id": str(source.id)}
        )
    return next_action(context, data_dict)


@tk.chained_action
def harvest_send_job_to_gather_queue(next_action: Action, context: Context, data_dict: DataDict) -> Any:
    """Send a job on its way, without the source's page, for which all datasets of the source are counted."""
    job: Any = HarvestJob.get(data_dict.get("id"))
    page = model.Package.get(job.source_id) if job is not None and job.source.type == DvcHarvester.NAME else None
    if page is None or page.state != "active" or not job.source.active:
        return next_action(context, data_dict)
    tk.check_access("harvest_send_job_to_gather_queue", context, {"id": job.id, "source_id": job.source_id})
    job.status = "Running"
    job.save()
    queue.get_gather_publisher().send({"harvest_job_id": job.id})
    return harvest_job_dictize(job, context)


@tk.chained_action
def harvest_source_clear(next_action: Action, context: Context, data_dict: DataDict) -> Any:
    """Purge the datasets of a source, and with them what is known of their versions, lineage and links."""
    tk.check_access("harvest_source_clear", context, data_dict)
    source = HarvestSource.get(data_dict.get("id"))
    if source is None or source.type != DvcHarvester.NAME:
        return next_action(context, data_dict)
    session = model.Session()
    source_id = str(source.id)
    mine = sa.select(HarvestObject.package_id).where(
        HarvestObject.harvest_source_id == source_id, HarvestObject.package_id.is_not(None)
    )
    gone = [str(each) for each in session.scalars(mine.distinct())]
    # In the transaction that ckanext-harvest ends with its own COMMIT.
    cleanup.forget_datasets(session, gone)
    cleanup.forget_source(session, source_id)
    result = next_action(context, data_dict)
    hashes.settle(session)
    return result


@tk.chained_action
def harvest_job_abort(next_action: Action, context: Context, data_dict: DataDict) -> Any:
    """Stop a job; its page says who did. ckanext-harvest's own lets one that is being read go on."""
    tk.check_access("harvest_job_abort", context, data_dict)
    job = _job_to_stop(data_dict)
    if job is None:
        return next_action(context, data_dict)
    job_id = str(job.id)
    stopping.stop(job_id, str(context.get("user") or ""))
    return tk.get_action("harvest_job_show")(context, {"id": job_id})


@tk.chained_auth_function
def may_stop(next_auth: AuthFunction, context: Context, data_dict: DataDict | None) -> AuthResult:
    """Whoever may harvest a source may stop it: its page offers that. ckanext-harvest leaves it to sysadmins."""
    job = _job_to_stop(data_dict or {})
    if job is None:
        return next_auth(context, data_dict or {})
    try:
        tk.check_access("harvest_job_create", context, {"source_id": job.source_id})
    except tk.NotAuthorized as error:
        return {"success": False, "msg": str(error.message or "")}
    return {"success": True}


def _job_to_stop(data_dict: DataDict) -> HarvestJob | None:
    """The newest job of the source that is named, or the job; None when it is no DVC repository's."""
    named = data_dict.get("source_id") or data_dict.get("id")
    package = model.Package.get(named)
    of_source = sa.select(HarvestJob).where(HarvestJob.source_id == (package.id if package else None))
    newest = model.Session.scalars(of_source.order_by(HarvestJob.created.desc()).limit(1)).first()
    job = newest or HarvestJob.get(named)
    return job if job is not None and job.source.type == DvcHarvester.NAME else None


class DvcHarvester(HarvesterBase):
    """Datasets of a DVC or git-lfs repository."""

    NAME = "dvc"

    p.implements(p.IActions)
    p.implements(p.IAuthFunctions)
    p.implements(p.IPackageController, inherit=True)

    def after_dataset_create(self, context: Context, pkg_dict: dict[str, Any]) -> None:
        """Refuse a source whose address cannot be read, while its owner is at the form."""
        if pkg_dict.get("type") == "harvest" and pkg_dict.get("source_type") == self.NAME:
            config = reading.configuration(str(pkg_dict.get("config") or ""))
            why = repositories.refused(str(pkg_dict["url"]).strip(), fetched=not config.push)
            if why:
                model.Session.rollback()
                raise tk.ValidationError({"url": [why]})

    def after_dataset_update(self, context: Context, pkg_dict: dict[str, Any]) -> None:
        """The same."""
        self.after_dataset_create(context, pkg_dict)

    def get_actions(self) -> dict[str, Action]:
        """What `ckan harvester run` calls, with more care for what was interrupted; a begin that costs little; whole
        clearing and stopping."""
        return {
            "harvest_jobs_run": cast(Action, harvest_jobs_run),
            "harvest_job_create": cast(Action, harvest_job_create),
            "harvest_send_job_to_gather_queue": cast(Action, harvest_send_job_to_gather_queue),
            "harvest_source_clear": cast(Action, harvest_source_clear),
            "harvest_job_abort": cast(Action, harvest_job_abort),
        }

    def get_auth_functions(self) -> dict[str, AuthFunction]:
        """Who may stop a harvest."""
        return {"harvest_job_abort": cast(AuthFunction, may_stop)}

    def info(self) -> dict[str, str]:
        """How the source form shows it."""
        return {
            "name": self.NAME,
            "title": tk._("DVC repository"),
            "description": DESCRIPTION,
            "form_config_interface": "Text",
        }

    def validate_config(self, config: str | None) -> str | None:
        """The configuration as it was given, or by the fields of the form, when every option in it is right.

        :raises ConfigError: naming the option, the fault and the remedy
        """
        config = source_form.sent(config)
        source_form.check(config)
        return config

    def get_original_url(self, harvest_object_id: str) -> str | None:
        """The page of the stage's file at the commit that was harvested."""
        harvest_object = HarvestObject.get(harvest_object_id)
        if harvest_object is None:
            return None
        try:
            package = memory.dataset_of(harvest_object.content).package
        except ValueError:
            return str(harvest_object.source.url)
        address = package["dvc_stage"].split(":", 1)[0]
        path = address if "." in address.rsplit("/", 1)[-1] or address.endswith("Dvcfile") else "dvc.yaml"
        return file_page(package["dvc_repository"], package["dvc_commit"], path) or package["dvc_repository"]

    def gather_stage(self, harvest_job: HarvestJob) -> list[str]:
        """Ids of the harvest objects that the queue is to hand to workers; each brings others of the job along."""
        source_id = str(harvest_job.source_id)
        with paused():
            prepared, ids = self.gather_prepared(harvest_job)
            was_read = prepared is not None and prepared.reading is not None
            del prepared  # nearly all of it goes without a search for garbage
        if was_read and not ids:
            # A commit that changes no dataset still says what came after a run.
            self._follow_up(source_id)
        return ids

    def gather_prepared(
        self, harvest_job: HarvestJob, progress: follow.Progress = log.info, *, wait: float = 600.0
    ) -> tuple[planning.Prepared | None, list[str]]:
        """Like :meth:`gather_stage`, with the plan; None when the repository could not be read.

        A database that is away is waited for; what was read until then is in the mirror and its cache.
        """
        keep_loaded()
        job_id, source_id = str(harvest_job.id), str(harvest_job.source_id)
        said = follow.progress(job_id, source_id, progress)
        try:
            with watch.alive(queue.get_gather_routing_key(), job_id):
                return batches.patiently(lambda: gather.gather(harvest_job, said, wait=wait))
        except gather.JobOver as over:
            log.info("%s", over)
            return None, []
        except (MlopsError, ConfigError) as error:
            self._gather_failed(job_id, batches.sentence(error))
        except Exception as error:
            log.exception("Harvest job %s: gather failed", job_id)
            self._gather_failed(job_id, batches.sentence(error))
        follow.note(job_id, source_id, state="failed", progress="")
        return None, []

    def fetch_stage(self, harvest_object: HarvestObject) -> bool:
        """Nothing to do: gather has read everything."""
        return True

    def import_stage(self, harvest_object: HarvestObject) -> bool | str:
        """Write one change, and others of the job with it: True when it was written, ``"unchanged"`` when there was
        nothing to write.
        """
        keep_loaded()
        object_id, guid = str(harvest_object.id), str(harvest_object.guid)
        try:
            with watch.alive(queue.get_fetch_routing_key(), object_id):
                outcome = batches.run(str(harvest_object.harvest_job_id), user_name(), first=object_id)
        except Exception as error:
            log.exception("Harvest object %s (%s): import failed", object_id, guid)
            self._import_failed(object_id, f"{guid}: {batches.sentence(error)}")
            return False
        for applied in outcome.applied.values():
            for conflict in applied.conflicts:
                kept = ownership.label(conflict.to_dict())
                log.info("%s: kept the portal's %s; Git says something else", guid, kept)
        self._go_on(str(harvest_object.harvest_job_id), str(harvest_object.harvest_source_id))
        done = outcome.applied.get(object_id)
        return False if done is None else True if done.written else "unchanged"

    def _go_on(self, job_id: str, source_id: str) -> None:
        """Send another object of the job to the end of the queue, so that jobs take turns; after the last, look for the
        MLflow runs that belong to what was harvested."""
        try:
            object_id = batches.promote(job_id)
            if object_id is not None:
                queue.get_fetch_publisher().send({"harvest_object_id": object_id})
            else:
                self._follow_up(source_id)
        except Exception:
            # `ckan harvester run` sends every object that waits.
            log.exception("Harvest job %s: the next batch could not be sent to the queue", job_id)

    def _follow_up(self, source_id: str) -> None:
        """What comes after a harvest: tags in the search index, links to MLflow's runs, and news for people."""
        overdue.begin()
        try:
            mlflow_links.enqueue_after_harvest(source_id)
        except Exception:
            # The next sync or harvest makes up for it.
            log.exception("Harvest source %s: its MLflow runs could not be looked for", source_id)
        try:
            news.enqueue()
        except Exception:
            # `ckan harvester run` sees that it was missed.
            log.exception("Harvest source %s: nobody could be told of its new versions", source_id)

    def _gather_failed(self, job_id: str, message: str) -> None:
        def save() -> None:
            model.Session.rollback()
            job = HarvestJob.get(job_id)
            if job is not None:
                HarvestGatherError.create(message, job)

        try:
            batches.patiently(save)
        except Exception:
            log.exception("Harvest job %s: its error could not be saved: %s", job_id, message)

    def _import_failed(self, object_id: str, message: str) -> None:
        def save() -> None:
            model.Session.rollback()
            harvest_object = HarvestObject.get(object_id)
            if harvest_object is not None:
                HarvestObjectError.create(message, harvest_object, "Import")

        try:
            batches.patiently(save)
        except Exception:
            log.exception("Harvest object %s: its error could not be saved: %s", object_id, message)


def user_name() -> str:
    """Who the datasets are written as: the rule of ckanext-harvest, whose own method remembers the answer for ever."""
    configured = tk.config.get("ckanext.harvest.user_name")
    if configured:
        return str(configured)
    user = model.User.get("harvest")
    if user is not None and user.sysadmin and user.state == "active":
        return "harvest"
    return str(tk.get_action("get_site_user")({"ignore_auth": True, "defer_commit": True}, {})["name"])
