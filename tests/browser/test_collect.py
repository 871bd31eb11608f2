"""Collect: data that lives in DVC becomes a dataset by its form; a dropped file is known by its content, and linked."""

from __future__ import annotations

import uuid

import pytest
import requests


@pytest.fixture
def name(act):
    made = f"collected-{uuid.uuid4().hex[:8]}"
    yield made
    act("dataset_purge", id=made)


def test_the_dataset_form_comes_filled_from_the_repository(signed_in, portal, act, name, picture):
    page = signed_in
    repository = act("package_show", id="titanic-train")["dvc_repository"]
    page.goto(f"{portal.url}/organization/titanic-demo")
    page.click("text=Add from DVC")
    picture(page, "register-ask")
    page.fill("#field-url", repository)
    page.fill("#field-path", "train")
    page.fill("#field-revision", "random-forest")
    page.click("text=Read it")
    page.wait_for_selector("#dataset-edit", timeout=60_000)  # the page follows the worker
    picture(page, "register-form")
    assert page.input_value("#field-title").endswith("train")
    assert page.input_value("[name=derived_from-0001-dataset]") == "titanic-prepare"
    assert page.locator("text=A harvest has made a dataset of this step already").count() == 1
    page.evaluate("name => { document.querySelector('[name=name]').value = name }", name)
    page.select_option("[name=owner_org]", label="Titanic demo") if page.input_value("[name=owner_org]") == "" else None
    page.click("text=Create the dataset")
    page.wait_for_url(f"**/dataset/{name}")
    picture(page, "register-done")
    assert page.locator("text=Get this data").count() == 1
    assert act("mlops_version_list", id=name)["count"] == 1


def test_a_dropped_file_is_known_and_linked(signed_in, portal, act, name, picture):
    page = signed_in
    files = act("mlops_file_list", id="titanic-prepare")["files"]
    file = next(each for each in files if each["path"].endswith(".csv"))
    content = requests.get(portal.url + file["address"], timeout=60).text
    organization = act("package_show", id="titanic-prepare")["owner_org"]
    act("package_create", name=name, title="Mine", owner_org=organization)
    # CKAN starts its own scripts, which fill the name in, after it has fetched the texts of the locale.
    page.goto(f"{portal.url}/dataset/{name}/resource/new", wait_until="networkidle")
    drop = """(content) => {
      const data = new DataTransfer();
      data.items.add(new File([content], "passengers.csv", { type: "text/csv" }));
      const zone = document.querySelector("[data-mlops-zone]");
      for (const kind of ["dragenter", "dragover", "drop"]) {
        zone.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
      }
    }"""
    page.evaluate(drop, content)
    page.wait_for_selector("[data-mlops-known] li")
    assert file["hash"] in page.inner_text("[data-mlops-status]")
    assert page.input_value("#field-name") == "passengers.csv"
    item = page.locator("[data-mlops-known] li", has_text=file["path"]).first
    item.get_by_role("button").click()
    page.wait_for_selector("[data-mlops-known] >> text=Linked")
    picture(page, "upload-known")
    page.click("button[name=save][value=go-metadata], button[name=save]:has-text('Add')")
    page.goto(f"{portal.url}/dataset/{name}")
    picture(page, "upload-done")
    assert page.locator(".mlops-known .badge", has_text="linked").count() >= 1
    package = act("package_show", id=name)
    assert len(package["derived_from"]) == 1
    assert [each["hash"] for each in package["resources"]] == [file["hash"]]
