"""Publish the project as a person or script would, through the portal's API: organization, harvest, MLflow links.

Every step first looks for what an earlier demo left, so it can be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
from ckanapi import NotFound, RemoteCKAN  # type: ignore[import-untyped]
from ckanapi.errors import CKANAPIError, NotAuthorized, ValidationError  # type: ignore[import-untyped]
from rich.console import Console

from ckanext.mlops.core import naming
from embedded.demo.project import Project
from embedded.demo.workspace import DemoError

ORGANIZATION = {
    "name": "titanic-demo",
    "title": "Titanic demo",
    "description": "Who survived the Titanic? A small machine learning project with its data in DVC and its trainings "
    "in MLflow, harvested to show what this catalog does.",
}
SOURCE = {
    "name": "titanic-repository",
    "title": "Titanic project",
    "notes": "The Git repository of the demo. The tags wrong-baseline and baseline have DVC 0.x stage files, all later "
    "revisions dvc.yaml.",
    "source_type": "dvc",
    "frequency": "MANUAL",
    "config": "{}",
}
POLL = 0.5
CKAN_TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class Harvest:
    """A finished harvest job.

    :param stats: objects by what became of them (``added``, ``updated``, ``not modified``, ``errored``, ``deleted``)
    :param errors: messages, most frequent first
    """

    job_id: str
    stats: dict[str, int]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """What the portal shows now.

    :param datasets: CKAN name by DVC address, of each dataset of the project
    :param links: number of links into MLflow, new and old
    """

    harvest: Harvest
    datasets: dict[str, str]
    links: int


class Portal:
    """A CKAN portal with this extension, seen through its API.

    :param url: base URL
    :param token: API token of a user who may create organizations
    :param patience: seconds without any progress after which a harvest is given up
    """

    def __init__(self, url: str, token: str, *, patience: float = 180, clock: Callable[[], float] = time.monotonic):
        self.url = url.rstrip("/")
        self.patience = patience
        self._clock = clock
        self._remote = RemoteCKAN(self.url, apikey=token, user_agent="ckanext-mlops-demo")

    def call(self, action: str, **data: Any) -> Any:
        """Call an action.

        :raises NotFound: of ckanapi
        :raises NotAuthorized: of ckanapi
        :raises DemoError: anything else went wrong; says what the portal answered
        """
        try:
            return self._remote.call_action(action, data, requests_kwargs={"timeout": CKAN_TIMEOUT})
        except (NotFound, NotAuthorized):
            raise
        except ValidationError as error:
            raise DemoError(f"{self.url} refused {action}: {_shown(error.error_dict)}") from error
        except CKANAPIError as error:
            raise DemoError(f"{self.url} failed at {action}: {str(error)[:1000]}") from error
        except requests.RequestException as error:
            raise DemoError(f"{self.url} does not answer {action} ({error}). Is the portal running?") from error

    def organization(self) -> str:
        """Id of the demo's organization, created if absent."""
        try:
            return str(self.call("organization_show", id=ORGANIZATION["name"])["id"])
        except NotFound:
            return str(self.call("organization_create", **ORGANIZATION)["id"])

    def source(self, url: str, organization: str) -> str:
        """Id of the harvest source of the repository, created if absent."""
        try:
            source = self.call("harvest_source_show", id=SOURCE["name"])
        except NotFound:
            return str(self.call("harvest_source_create", **SOURCE, url=url, owner_org=organization)["id"])
        if source["url"] == url and source.get("state", "active") == "active":
            return str(source["id"])
        changed = {**SOURCE, "id": source["id"], "url": url, "owner_org": organization, "state": "active"}
        return str(self.call("harvest_source_update", **changed)["id"])

    def harvest(self, source: str, progress: Callable[[str], None]) -> Harvest:
        """Queue a harvest job, or join the one that is under way, and wait until it is finished.

        :param progress: is told in a few words what is going on
        """
        waiting = [
            job
            for status in ("Running", "New")
            for job in self.call("harvest_job_list", source_id=source, status=status)
        ]
        job = waiting[0] if waiting else self.call("harvest_job_create", source_id=source, run=True)
        seen, since = "", self._clock()
        while job["status"] not in ("Finished", "Aborted"):
            time.sleep(POLL)
            job = self.call("harvest_job_show", id=job["id"])
            state = _state(job)
            progress(state)
            if state != seen:
                seen, since = state, self._clock()
            elif self._clock() - since > self.patience:
                raise DemoError(
                    f"The harvest job {job['id']} made no progress in {self.patience:.0f} s (it is {state}). Do the "
                    "harvest consumers run? See 'portal.py status' and 'portal.py logs'."
                )
            if job.get("gather_finished") and not _pending(job):
                self._finish(source)
        errors = [*job.get("gather_error_summary", []), *job.get("object_error_summary", [])]
        return Harvest(job["id"], _counts(job), tuple(str(error["message"]) for error in errors))

    def dataset(self, repository: str, address: str) -> dict[str, Any]:
        """The dataset that a stage became."""
        guid = naming.dataset_guid(repository, address)
        try:
            return dict(self.call("package_show", id=naming.package_id(guid)))
        except NotFound as error:
            raise DemoError(f"The harvest made no dataset of the stage {address} ({guid}).") from error

    def version(self, dataset: str, revision: str) -> str | None:
        """Id of the version of a dataset that a branch or tag shows."""
        for version in self.call("mlops_version_list", id=dataset, limit=1000)["results"]:
            if any(ref["name"] == revision for ref in version["refs"]):
                return str(version["id"])
        return None

    def mlflow_server(self) -> str:
        """Name of the MLflow server that the portal is configured with."""
        servers = self.call("mlops_server_list")
        if not servers:
            raise DemoError("The portal knows no MLflow server: set ckanext.mlops.mlflow.servers.")
        return str(min(servers, key=lambda server: not server["healthy"])["name"])

    def copy_models(self) -> bool:
        """Have what was registered copied, which the portal else does by itself some time later; false if it may not.

        :raises DemoError: the MLflow server could not be read
        """
        try:
            answer = self.call("mlops_mlflow_sync", server=self.mlflow_server())
        except NotAuthorized:
            return False
        errors = [error for report in answer["servers"] for error in report["errors"]]
        if errors:
            raise DemoError(f"{self.url} could not read MLflow: {errors[0]}")
        return True

    def _finish(self, source: str) -> None:
        # The periodic 'harvester run' marks finished jobs; asking for it now saves the wait. Not before all objects
        # are done: it would queue once more what a consumer is about to take.
        try:
            self.call("harvest_jobs_run", source_id=source)
        except NotAuthorized:
            return


def publish(portal: Portal, project: Project, console: Console) -> Published:
    """Harvest the project into the portal and link its trainings.

    :raises DemoError: a step failed
    """
    try:
        organization = portal.organization()
        source = portal.source(project.url, organization)
        with console.status("Harvesting") as status:
            harvest = portal.harvest(source, lambda state: status.update(f"Harvesting: {state}"))
        counts = ", ".join(f"{count} {name}" for name, count in harvest.stats.items() if count) or "nothing changed"
        console.print(f"  [green]✓[/green] Harvested through the queue: {counts}", highlight=False)
        for message in harvest.errors:
            console.print(f"  [red]![/red] {message}", highlight=False, markup=False)
        with console.status("Linking the trainings to the data"):
            datasets, links = _link(portal, project)
        console.print(f"  [green]✓[/green] {links} links into MLflow", highlight=False)
        if portal.copy_models():
            console.print("  [green]✓[/green] The registered model is copied from MLflow", highlight=False)
        for name in datasets.values():
            portal.call("mlops_content_check", id=name)
        console.print("  [green]✓[/green] A worker looks into the tables: columns can be searched", highlight=False)
    except NotAuthorized as error:
        raise DemoError(f"{portal.url}: the API token may not do this ({error}).") from error
    return Published(harvest, datasets, links)


def _link(portal: Portal, project: Project) -> tuple[dict[str, str], int]:
    server = portal.mlflow_server()
    addresses = dict.fromkeys(
        address for training in project.trainings for address in (training.result.train, training.result.prepare)
    )
    datasets = {address: portal.dataset(project.url, address) for address in addresses}
    links = 0

    def link(address: str, **data: Any) -> None:
        nonlocal links
        portal.call("mlops_link_create", id=datasets[address]["id"], server=server, **data)
        links += 1

    for training in project.trainings:
        result, run = training.result, training.run
        for address, relation in ((result.train, "produced"), (result.prepare, "trained_on")):
            version = portal.version(datasets[address]["id"], result.revision)
            exact = {"version": version} if version else {}
            link(address, kind="run", target=run.run_id, relation=relation, **exact)
    return {address: str(dataset["name"]) for address, dataset in datasets.items()}, links


def _state(job: dict[str, Any]) -> str:
    if job["status"] == "New":
        return "waiting for a consumer"
    if not job.get("gather_finished"):
        return "reading the repository"
    done = sum(_counts(job).values())
    return f"{done} of {done + _pending(job)} datasets"


def _pending(job: dict[str, Any]) -> int:
    # Objects without a report are counted under None, which JSON spells "null".
    return int(job.get("stats", {}).get("null", 0))


def _counts(job: dict[str, Any]) -> dict[str, int]:
    return {name: int(count) for name, count in job.get("stats", {}).items() if name != "null"}


def _shown(errors: Any) -> str:
    if not isinstance(errors, dict):
        return str(errors)[:1000]
    return "; ".join(f"{key}: {value}" for key, value in errors.items() if not key.startswith("__"))[:1000]
