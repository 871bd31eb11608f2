"""What a person settles: suggestions by name are accepted or dismissed, and evidence that disagrees is told."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

WIDTH = "document.documentElement.scrollWidth"
DATASET, STAGE = "titanic-fetch", "titanic-train"


def file_of(act, dataset):
    """The name of a file of a dataset's current version."""
    return act("mlops_file_list", id=dataset)["files"][0]["path"].rsplit("/", 1)[-1]


@pytest.mark.parametrize("look", ["wide", "narrow"])
def test_suggestions_are_accepted_or_dismissed(signed_in, portal, act, tracking, picture, look):
    if look == "narrow":
        signed_in.set_viewport_size({"width": 390, "height": 844})
    signed_in.goto(f"{portal.url}/about")
    plain = signed_in.evaluate(WIDTH)
    name = file_of(act, DATASET)
    experiments = [tracking.experiment() for _ in range(2)]
    for experiment, _ in experiments:
        tracking.run(experiment, "by name only", inputs=(name,))
    tracking.sync()
    (_, yes), (_, no) = experiments
    address = f"{portal.url}/dataset/{DATASET}/experiments"
    signed_in.goto(address)
    section = signed_in.get_by_role("region", name="To be settled by a person")
    item = section.locator("li.mlops-link", has_text=yes)
    item.locator("summary").click()
    expect(item).to_contain_text(f"Only a name says so: {name.lower()}.")
    picture(signed_in, f"settling-{look}")
    assert signed_in.evaluate(WIDTH) <= plain
    section.get_by_role("button", name=f"Yes, {yes} belongs to this dataset").click()
    expect(signed_in.locator(".alert")).to_contain_text("It is a link now.")
    section.get_by_role("button", name=f"No, {no} does not belong to this dataset").click()
    expect(signed_in.locator(".alert")).to_contain_text("It will not be suggested again.")
    expect(section.get_by_text(no)).to_have_count(0)
    links = [link["experiment"]["name"] for link in act("mlops_link_list", id=DATASET)["results"] if link["experiment"]]
    assert yes in links
    assert no not in links


@pytest.mark.parametrize("look", ["wide", "dark"])
def test_evidence_that_disagrees_is_shown_beside_what_a_person_said(signed_in, portal, act, tracking, picture, look):
    dark = look == "dark"
    old, new = act("mlops_version_list", id=STAGE)["results"][:2]
    named = {
        key: act("mlops_file_list", id=STAGE, version=each["id"])["files"] for key, each in (("old", old), ("new", new))
    }
    here = {file["path"]: file["hash"] for file in named["new"]}
    [told] = [file["hash"] for file in named["old"] if here.get(file["path"]) not in (None, file["hash"])][:1]
    experiment, _ = tracking.experiment()
    run = tracking.run(experiment, "disputed", tags={"dvc_data_md5": told})
    tracking.sync()
    [link] = [each for each in act("mlops_link_list", id=STAGE, limit=1000)["results"] if each["target"] == run]
    other = new["id"] if link["version"] == old["id"] else old["id"]
    act("mlops_link_update", id=link["id"], version=other)
    signed_in.goto(f"{portal.url}/dataset/{STAGE}/experiments?version=all")
    if dark:
        signed_in.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    section = signed_in.get_by_role("region", name="To be settled by a person")
    item = section.locator("li.mlops-link", has_text="disputed").first
    expect(item).to_contain_text("asserted, disputed")
    item.locator("summary").click()
    expect(item).to_contain_text(re.compile("Found beside it:.*The run names this very content", re.DOTALL))
    # And which version that is.
    expect(item.locator(f'a[href$="/dataset/{STAGE}/versions/{link["version"]}"]')).to_be_visible()
    picture(signed_in, f"contradiction-{look}")
