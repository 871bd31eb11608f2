"""An editor links a dataset in three steps: server, experiment or model, run or version, by mouse alone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

DATASET = "titanic-fetch"
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture
def unlinked(act):
    """The dataset has no link of a person before the test, nor after it."""

    def clear():
        for link in act("mlops_link_list", id=DATASET, origin="asserted")["results"]:
            act("mlops_link_delete", id=link["id"])

    clear()
    yield
    clear()


@pytest.fixture
def picker(signed_in, portal, unlinked):
    """The first page of the picker, reached from the dataset's tab."""
    signed_in.goto(f"{portal.url}/dataset/{DATASET}/experiments")
    if signed_in.locator(".mlops-link-form").get_attribute("open") is None:
        signed_in.locator(".mlops-link-form summary").click()
    signed_in.get_by_role("link", name="Search the MLflow servers").click()
    return signed_in


@pytest.mark.parametrize("look", ["wide", "dark", "narrow"])
def test_a_run_is_linked_and_the_link_removed(picker, act, picture, look):
    if look == "narrow":
        picker.set_viewport_size({"width": 390, "height": 844})
        picker.wait_for_load_state("networkidle")
    if look == "dark":
        picker.emulate_media(color_scheme="dark")
        picker.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    main = picker.get_by_role("main")
    picture(picker, f"picker-{look}-1")
    expect(main.locator(".nav-tabs .active")).to_have_text("Experiments")
    before = picker.evaluate(WIDTH)
    main.get_by_role("link", name="titanic", exact=True).click()
    expect(main.get_by_role("heading", name="Run", exact=True)).to_be_visible()
    main.get_by_label("Search, as in MLflow").fill("attributes.status = 'FINISHED'")
    main.get_by_role("button", name="Search").click()
    if look == "dark":
        picker.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    row = main.locator("tbody tr").first
    name = row.locator("label").inner_text()
    row.get_by_role("radio").check()
    main.get_by_label("What it did").select_option("evaluated_on")
    main.get_by_label("Note").fill("by hand")
    picture(picker, f"picker-{look}-2")
    if look == "narrow":
        assert picker.evaluate(WIDTH) <= before
    main.get_by_role("button", name="Link", exact=True).click()
    expect(picker.locator(".alert")).to_contain_text(f"Linked to {name}")
    [link] = act("mlops_link_list", id=DATASET, origin="asserted")["results"]
    assert (link["run"]["name"], link["relation"], link["note"]) == (name, "evaluated_on", "by hand")
    picture(picker, f"picker-{look}-3")
    main.get_by_role("button", name=f"Remove the link to {name}").click()
    expect(picker.locator(".alert")).to_contain_text("The link was removed")
    assert act("mlops_link_list", id=DATASET, origin="asserted")["count"] == 0


def test_a_wrong_search_says_so_and_stays(picker, picture):
    main = picker.get_by_role("main")
    main.get_by_role("link", name="titanic", exact=True).click()
    main.get_by_label("Search, as in MLflow").fill("no such syntax")
    main.get_by_role("button", name="Search").click()
    expect(main.get_by_role("alert")).to_contain_text(re.compile("MLflow server"))
    expect(main.get_by_label("Search, as in MLflow")).to_have_value("no such syntax")
    expect(main).not_to_contain_text("No run answers this search.")
    picture(picker, "picker-wrong")


def test_a_whole_experiment_is_linked(picker, act, picture):
    main = picker.get_by_role("main")
    main.get_by_role("radio", name="the whole experiment titanic", exact=True).check()
    summary = main.get_by_text("Link the chosen experiment")
    summary.click()
    picture(picker, "picker-experiment")
    main.get_by_role("button", name="Link", exact=True).click()
    expect(picker.locator(".alert")).to_contain_text("Linked to titanic")
    [link] = act("mlops_link_list", id=DATASET, origin="asserted")["results"]
    assert (link["kind"], link["experiment"]["name"]) == ("experiment", "titanic")


def test_a_version_of_a_model_is_linked(picker, act, tracking, picture):
    experiment, _ = tracking.experiment()
    name = tracking.model(tracking.run(experiment, "forest"))
    tracking.sync()
    main = picker.get_by_role("main")
    main.get_by_role("link", name="Registered models").click()
    picture(picker, "picker-models")
    main.get_by_role("link", name=name).click()
    main.get_by_role("radio").first.check()
    picture(picker, "picker-versions")
    main.get_by_role("button", name="Link", exact=True).click()
    [link] = act("mlops_link_list", id=DATASET, origin="asserted")["results"]
    assert (link["kind"], link["target"]) == ("model_version", f"{name}/1")
    main.get_by_role("link", name=link["target"]).first.click()
    expect(picker.get_by_role("heading", level=1)).to_have_text(name)
    picture(picker, "model")
