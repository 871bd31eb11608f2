"""The life of a source: its form, a preview, a plan that is approved, a conflict, a harvest taken back, its end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

NAME = "life-of-a-source"
SOON = 120_000  # milliseconds: workers take turns with the tests
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture
def repository(act):
    """A clone of the demo's project that the test may change; afterwards its source is gone."""
    demo = Path(os.environ["MLOPS_PORTAL"]) / "demo"
    clone = demo / NAME
    shutil.rmtree(clone, ignore_errors=True)
    git(demo, "clone", "--quiet", str(demo / "titanic.git"), str(clone))
    yield clone
    source = act("harvest_source_show", id=NAME)
    if source is not None:
        act("harvest_source_clear", id=source["id"])
        act("dataset_purge", id=NAME)
    shutil.rmtree(clone)


def git(folder, *arguments):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@lab.test"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def fits(open_page, picture):
    """Leave pictures of a page, and see that a phone's window shows it whole."""
    plain = open_page("/about", viewport={"width": 390, "height": 844}).evaluate(WIDTH)

    def look(page, name):
        picture(page, f"source-{name}")
        page.set_viewport_size({"width": 390, "height": 844})
        picture(page, f"source-{name}-narrow")
        wide = page.evaluate(WIDTH)
        page.set_viewport_size({"width": 1280, "height": 900})
        assert wide <= plain, name

    return look


def confirm(page, link):
    """Follow a link of the source's buttons, whose page asks back."""
    page.click(f".mlops-actions >> text={link}")
    page.click(".mlops-decisions button")


def test_a_source_from_its_form_to_its_end(signed_in, portal, repository, act, fits):
    page = signed_in

    page.goto(f"{portal.url}/harvest/new")
    page.click("text=What is read")
    page.fill("#field-mlops-commits", "many")
    page.click("text=How it is harvested")
    page.check("#field-mlops-approval")
    page.fill("#field-url", str(repository))
    page.fill("#field-title", "Life of a source")
    page.click("#save")
    expect(page.locator("#field-mlops-commits ~ [role=alert]")).to_have_text(re.compile("must be a number"))
    assert page.is_checked("#field-mlops-approval"), "what was typed stays"
    fits(page, "form")
    page.check("[name=source_type][value=ckan]")
    expect(page.locator("#field-mlops-commits")).to_be_hidden()
    page.check("[name=source_type][value=dvc]")
    page.fill("#field-mlops-commits", "")
    page.click("#save")

    page.wait_for_url(f"**/harvest/{NAME}")
    fits(page, "new")
    page.click("[role=main] >> button:has-text('Preview')")
    expect(page.locator("text=What would be written, field by field")).to_be_visible(timeout=SOON)
    assert "7 stages, 17 outputs: 7 added" in page.inner_text("[role=main] .lead")
    fits(page, "preview")

    confirm(page, "Harvest")
    decide = page.locator("text=Look at the plan and decide")
    expect(decide).to_be_visible(timeout=SOON)  # the page follows the workers
    fits(page, "held")
    assert act("package_search", q='title:"life: train"')["count"] == 0
    decide.click()
    fits(page, "plan")
    page.click("button:has-text('Approve')")
    check = page.locator(".mlops-check")
    expect(check).to_have_text(re.compile("The source has 7, the catalog has 7 datasets of it"), timeout=SOON)
    expect(page.locator("text=A harvest runs")).to_have_count(0)
    fits(page, "done")

    name = page.locator(".mlops-happenings th[scope=row] a", has_text="train").get_attribute("href").rsplit("/", 1)[-1]
    act("package_patch", id=name, notes="My own words.")
    text = (repository / "dvc.yaml").read_text(encoding="utf-8")
    (repository / "dvc.yaml").write_text(text.replace("Train the model", "Fit the model"), encoding="utf-8")
    git(repository, "commit", "--all", "--quiet", "--message", "Other words")
    page.goto(f"{portal.url}/harvest/edit/{NAME}")
    page.uncheck("#field-mlops-approval")
    page.click("#save")
    page.wait_for_url(f"**/harvest/{NAME}")
    page.goto(f"{portal.url}/harvest/admin/{NAME}")
    confirm(page, "Reharvest")
    expect(page.locator("[role=main] .lead", has_text="0 added, 1 changed, 6 unchanged")).to_be_visible(timeout=SOON)
    expect(check).to_be_visible(timeout=SOON)
    page.click("[role=main] >> text=Every dataset, what happened to it, and why")
    page.click("summary:has-text('1 field')")
    expect(page.locator(".mlops-note")).to_have_text("A person owns, and keeps: notes")
    fits(page, "conflict")
    job = page.url

    page.goto(f"{portal.url}/dataset/{name}")
    expect(page.locator(".mlops-owned .badge")).to_have_text("conflict")
    fits(page, "dataset")
    page.click('button:has-text("Take Git\'s")')
    assert act("package_show", id=name)["notes"].startswith("Fit the model")
    page.click("button:has-text('Put back')")
    assert act("package_show", id=name)["notes"] == "My own words."

    page.goto(f"{portal.url}/harvest/{NAME}/job")
    expect(page.locator(".mlops-happenings tbody tr")).to_have_count(2)
    fits(page, "jobs")
    page.goto(job)
    page.click("text=Take this harvest back")
    page.click("button:has-text('Take back')")
    expect(page.locator(".mlops-report .alert[role=status]")).to_have_text(re.compile("taken back by"), timeout=SOON)
    fits(page, "reverted")

    confirm(page, "Clear")
    expect(page.locator("text=Not harvested yet")).to_be_visible(timeout=SOON)
    assert act("package_show", id=name) is None
    page.goto(f"{portal.url}/harvest/edit/{NAME}")
    page.click("form#source-new .btn-danger")
    expect(page.locator(".modal.show")).to_contain_text("Its datasets stay")
    page.click(".modal.show .btn-primary")
    page.wait_for_url("**/harvest/")
    assert act("harvest_source_show", id=NAME)["state"] == "deleted"
