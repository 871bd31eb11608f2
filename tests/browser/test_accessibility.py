"""Automated accessibility checks (axe) on every page of the extension: nothing serious in what is ours.

CKAN's own frame (header, footer, language form, facets, select2 fields) is left out: it is not this project's to mend.
"""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

DATASET = "titanic-train"
PATHS = {
    "home": "/",
    "search": "/dataset/?q=accuracy:%3E0.5",
    "dataset": f"/dataset/{DATASET}",
    "lineage": f"/dataset/{DATASET}/lineage",
    "versions": f"/dataset/{DATASET}/versions",
    "experiments": f"/dataset/{DATASET}/experiments",
    "repository": "/repository/{repository}",
    "metrics": "/repository/{repository}/metrics?baseline=baseline",
}
OURS = {
    "include": [["[role=main]"]],
    "exclude": [[".secondary"], [".toolbar"], [".page_primary_action"], [".select2-container"]],
}


@pytest.fixture
def repository(portal):
    """Id of the demo's repository, as its pages' addresses have it."""
    import requests

    found = requests.get(f"{portal}/api/3/action/mlops_overview", timeout=30).json()["result"]
    return found["repositories"][0]["id"]


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", PATHS)
def test_nothing_serious(open_page, repository, name, width):
    page = open_page(PATHS[name].format(repository=repository), viewport={"width": width, "height": 900})
    page.wait_for_load_state("networkidle")
    found = Axe().run(page, context=OURS).response["violations"]
    serious = [
        f"{each['id']}: {each['help']}: {node['html'][:300]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]
    assert serious == []
