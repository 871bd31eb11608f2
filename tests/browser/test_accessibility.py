"""Automated accessibility checks (axe) on every page of the extension: nothing serious in what is ours.

CKAN's own frame (header, footer, language form, facets, select2 fields, ckanext-harvest's tooltips) is left out: it is
not this project's to mend.
"""

from __future__ import annotations

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe

DATASET = "titanic-train"
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
    "MLflow experiment": "/mlflow/{server}/experiments/{experiment}",
    "gaps": "/organization/titanic-demo/health?part=gaps",
}
#: Pages of people who are signed in.
SIGNED_IN = {
    "access": f"/dataset/{DATASET}/access",
    "link to MLflow": f"/dataset/{DATASET}/experiments/choose",
    "a dataset of DVC": "/dataset/new/dvc",
    "dataset of an editor": f"/dataset/{DATASET}",
    "saved searches": "/dashboard/searches",
    "harvest source": "/harvest/new",
    "preview of a harvest": "/harvest/titanic-repository/preview",
    "report of a harvest": "/harvest/titanic-repository/job/last",
}
#: Bytes of all scripts of a page and of the frames in it that are not CKAN's own, as they are sent.
MOST_SCRIPT = 300 * 1024
SCRIPTS = "() => [...document.scripts].map((each) => each.src).filter((source) => source.includes('/mlops/'))"
OURS = {
    "include": [["[role=main]"]],
    "exclude": [
        [".secondary"],
        [".toolbar"],
        [".page_primary_action"],
        [".select2-container"],
        ["i[data-toggle=tooltip]"],
    ],
}


@pytest.fixture(scope="module")
def known(portal):
    """What the addresses of the demo's pages need."""

    def ask(action, **values):
        answer = requests.get(f"{portal}/api/3/action/{action}", values, timeout=30)
        answer.raise_for_status()
        return answer.json()["result"]

    package = ask("package_show", id=DATASET)
    versions = ask("mlops_version_list", id=DATASET)["results"]
    runs = [f"{each['server']}:{each['run_id']}" for each in ask("mlops_run_list", id=DATASET)["results"]]
    experiment = ask("mlops_experiment_list")["results"][0]
    return {
        "resource": package["resources"][0]["id"],
        "version": versions[0]["id"],
        "older": versions[1]["id"],
        "run": runs[0],
        "other": runs[1],
        "repository": ask("mlops_overview")["repositories"][0]["id"],
        "server": experiment["server"],
        "experiment": experiment["experiment_id"],
    }


def look(page):
    """What is serious in a page, wide and narrow, and how much script it brings."""
    page.wait_for_load_state("networkidle")
    serious = []
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page, context=OURS).response["violations"]
        serious += [
            f"{page.url} at {width}: {each['id']}: {each['help']}: {node['html'][:300]}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"][:3]
        ]
    # Asked for again: a frame without an origin does not tell how much came.
    sources = {source for frame in page.frames for source in frame.evaluate(SCRIPTS)}
    return serious, sum(map(sent, sources))


def sent(source):
    """Bytes of a script on the wire, for a browser that takes it compressed."""
    with requests.get(source, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=30) as answer:
        answer.raise_for_status()
        return len(answer.raw.read(decode_content=False))


@pytest.mark.parametrize("name", PATHS)
def test_nothing_serious_and_little_script(open_page, known, name):
    serious, script = look(open_page(PATHS[name].format(**known)))
    assert serious == []
    assert script <= MOST_SCRIPT
    if name == "plots":
        assert script > 100 * 1024, "what draws in the frame counts"


def test_pages_of_people_who_are_signed_in(open_page, portal, known):
    page = open_page("/user/login")
    page.get_by_label("Username or Email").fill(portal.user)
    page.get_by_label("Password").fill(portal.password)
    page.get_by_role("main").get_by_role("button", name="Login").click()
    serious = []
    for path in SIGNED_IN.values():
        page.goto(portal.url + path)
        found, script = look(page)
        serious += found
        assert script <= MOST_SCRIPT
    assert serious == []
