"""The demo's portal as a person sees it: Chromium, and what it complained about.

``MLOPS_PORTAL`` is the data folder of a running portal that holds the demo (``scripts/portal.py demo --detach``),
``MLOPS_CHROMIUM`` the browser, ``MLOPS_SCREENSHOTS`` the folder for pictures. ``scripts/check.py browser`` sets them.
"""

from __future__ import annotations

import json
import os
import tomllib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

# A closed network refuses the browser's own background requests, many at a time.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

DATASET = "titanic-train"
#: Every page of the extension.
PATHS = {
    "home": "/",
    "search": "/dataset/?q=accuracy:%3E0.5",
    "dataset": f"/dataset/{DATASET}",
    "resource": f"/dataset/{DATASET}/resource/{{resource}}",
    "similar datasets": f"/dataset/{DATASET}/similar",
    "lineage": f"/dataset/{DATASET}/lineage",
    "lineage of a file": f"/dataset/{DATASET}/resource/{{resource}}/lineage",
    "impact": "/dataset/titanic-prepare/lineage/impact",
    "path": "/dataset/titanic-prepare/lineage/path?end=titanic-train",
    "versions": f"/dataset/{DATASET}/versions",
    "version": f"/dataset/{DATASET}/versions/{{version}}",
    "lineage of a version": f"/dataset/{DATASET}/versions/{{version}}/lineage",
    "recipe": f"/dataset/{DATASET}/versions/{{version}}/recipe",
    "versions compared": f"/dataset/{DATASET}/versions/compare?before={{older}}&after={{version}}",
    "experiments": f"/dataset/{DATASET}/experiments",
    "runs and a version compared": f"/dataset/{DATASET}/compare?run={{run}}&run={{other}}&version={{version}}",
    "leaderboard": f"/dataset/{DATASET}/leaderboard",
    "repository": "/repository/{repository}",
    "metrics": "/repository/{repository}/metrics?baseline=baseline",
    "plots": "/repository/{repository}/plots",
    "MLflow experiments": "/mlflow/experiments",
    "models": "/mlflow/models",
    "organization": "/organization/titanic-demo",
    "data health": "/organization/titanic-demo/health",
    "model": "/mlflow/{server}/models/titanic-survival",
    "MLflow experiment": "/mlflow/{server}/experiments/{experiment}",
    "gaps": "/organization/titanic-demo/health?part=gaps",
}
#: Those of people who are signed in.
SIGNED_IN = {
    "access": f"/dataset/{DATASET}/access",
    "link to MLflow": f"/dataset/{DATASET}/experiments/choose",
    "a dataset of DVC": "/dataset/new/dvc",
    "dataset of an editor": f"/dataset/{DATASET}",
    "saved searches": "/dashboard/searches",
    "harvest source": "/harvest/new",
    "preview of a harvest": "/harvest/titanic-repository/preview",
    "clearing of a source": "/harvest/clear/titanic-repository",
    "report of a harvest": "/harvest/titanic-repository/job/last",
}


@dataclass(frozen=True)
class Portal:
    """Where the portal is, and who may change it."""

    url: str
    user: str
    password: str

    def __str__(self) -> str:
        return self.url


@pytest.fixture(scope="session")
def portal() -> Portal:
    home = Path(os.environ["MLOPS_PORTAL"])
    settings = tomllib.loads((home / "portal.toml").read_text(encoding="utf-8"))
    credentials = json.loads((home / "credentials.json").read_text(encoding="utf-8"))
    return Portal(f"http://127.0.0.1:{settings['ckan']['port']}", credentials["user"], credentials["password"])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=os.environ["MLOPS_CHROMIUM"], args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def complaints() -> list[str]:
    """Errors of scripts, of the console, and of requests; empty it where one is meant."""
    return []


@pytest.fixture
def open_page(browser: Browser, portal: Portal, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Open a page of the portal; options are those of Playwright's new_context. Fails the test on any complaint."""
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            complaints.append(f"{response.status} {response.url}")

    def broken(request: Request) -> None:
        # Leaving a page aborts what it still loads.
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"{request.failure}: {request.url}")

    def open_path(path: str = "/", **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("response", answered)
        page.on("requestfailed", broken)
        page.goto(portal.url + path)
        return page

    yield open_path
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Leave a screenshot of the whole page."""
    folder = Path(os.environ["MLOPS_SCREENSHOTS"])

    def take(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return take


@pytest.fixture
def act(portal: Portal) -> Callable[..., Any]:
    """Call an action as the demo's sysadmin."""
    credentials = json.loads((Path(os.environ["MLOPS_PORTAL"]) / "credentials.json").read_text(encoding="utf-8"))

    def call(action: str, **values: object) -> Any:
        headers = {"Authorization": credentials["api_token"]}
        answer = requests.post(f"{portal.url}/api/3/action/{action}", json=values, headers=headers, timeout=60)
        return answer.json().get("result")

    return call


@pytest.fixture(scope="session")
def addresses(portal: Portal) -> dict[str, str]:
    """The address of every page, by its name."""

    def ask(action: str, **values: str) -> Any:
        answer = requests.get(f"{portal}/api/3/action/{action}", values, timeout=30)
        answer.raise_for_status()
        return answer.json()["result"]

    package = ask("package_show", id=DATASET)
    versions = ask("mlops_version_list", id=DATASET)["results"]
    runs = [f"{each['server']}:{each['run_id']}" for each in ask("mlops_run_list", id=DATASET)["results"]]
    experiment = ask("mlops_experiment_list")["results"][0]
    known = {
        "resource": package["resources"][0]["id"],
        "version": versions[0]["id"],
        "older": versions[1]["id"],
        "run": runs[0],
        "other": runs[1],
        "repository": next(
            each["id"]
            for each in ask("mlops_overview")["repositories"]
            if package["dvc_repository"].removesuffix(".git").endswith(each["name"])
        ),
        "server": experiment["server"],
        "experiment": experiment["experiment_id"],
    }
    return {name: path.format(**known) for name, path in (PATHS | SIGNED_IN).items()}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``page_name``: the name of each page, ``own_page``: of those of people who are signed in."""
    for argument, paths in (("page_name", PATHS), ("own_page", SIGNED_IN)):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, paths)


@pytest.fixture
def signed_in(open_page: Callable[..., Page], portal: Portal) -> Page:
    """A page of who is signed in as the demo's sysadmin."""
    page = open_page("/user/login")
    page.fill("#field-login", portal.user)
    page.fill("#field-password", portal.password)
    page.click("form .btn-primary")
    return page


class Tracking:
    """The demo's MLflow server, as a training machine uses it."""

    def __init__(self, uri: str, act: Callable[..., Any]) -> None:
        self._uri, self._act = uri, act
        self.experiments: list[str] = []
        self.models: list[str] = []

    def call(self, path: str, method: str = "POST", **body: object) -> Any:
        answer = requests.request(method, f"{self._uri}/api/2.0/mlflow/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def experiment(self) -> tuple[str, str]:
        """A new one: its id and name."""
        name = f"test {uuid.uuid4().hex[:6]}"
        self.experiments.append(self.call("experiments/create", name=name)["experiment_id"])
        return self.experiments[-1], name

    def run(self, experiment: str, name: str, tags: dict[str, str] | None = None, inputs: tuple[str, ...] = ()) -> str:
        """A finished run: its id."""
        pairs, start = [{"key": key, "value": value} for key, value in (tags or {}).items()], 1_700_000_000_000
        made = self.call("runs/create", experiment_id=experiment, run_name=name, start_time=start, tags=pairs)
        run_id: str = made["run"]["info"]["run_id"]
        for item in inputs:
            dataset = {"name": item, "digest": "0a1b2c3d", "source_type": "local", "source": "{}"}
            self.call("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": []}])
        self.call("runs/update", run_id=run_id, status="FINISHED", end_time=start + 1000)
        return run_id

    def model(self, run_id: str) -> str:
        """A registered model of one version: its name."""
        self.models.append(f"model {uuid.uuid4().hex[:6]}")
        self.call("registered-models/create", name=self.models[-1])
        self.call("model-versions/create", name=self.models[-1], source="s3://bucket/model", run_id=run_id)
        self.call("registered-models/alias", name=self.models[-1], alias="champion", version="1")
        return self.models[-1]

    def sync(self, **options: object) -> None:
        """Copy it all into the portal."""
        [report] = self._act("mlops_mlflow_sync", **options)["servers"]
        assert report["errors"] == []


@pytest.fixture
def tracking(act: Callable[..., Any]) -> Iterator[Tracking]:
    """What a test logs is deleted after it, and so are the links to it."""
    page = act("mlops_run_list", id="titanic-train")["results"][0]["page"]
    server = Tracking(page.split("/#")[0], act)
    yield server
    for name in server.models:
        server.call("registered-models/delete", "DELETE", name=name)
    for experiment in server.experiments:
        server.call("experiments/delete", experiment_id=experiment)
    for dataset in ("titanic-fetch", "titanic-train"):
        for link in act("mlops_link_list", id=dataset, limit=1000)["results"]:
            if link["id"] and (link["experiment"] or {}).get("experiment_id") in server.experiments:
                act("mlops_link_delete", id=link["id"])
    server.sync(full=True)
