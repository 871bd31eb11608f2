"""The lineage graph as a person uses it: open, close, search, go back in time, take it along."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

TRAIN = "/dataset/titanic-train/lineage"


def canvas(page: Page) -> Locator:
    return page.locator("svg.mlops-lineage-canvas")


def node(page: Page, name: str) -> Locator:
    return canvas(page).locator("a.mlops-lineage-node").filter(has=page.locator("title", has_text=re.compile(name)))


def test_what_is_beyond_is_opened_closed_and_in_the_address(open_page, picture):
    page = open_page(f"{TRAIN}?depth=1")
    expect(node(page, ": prepare$")).to_be_visible()
    expect(node(page, ": fetch$")).to_have_count(0)
    node(page, ": prepare$").locator(".mlops-lineage-handle.is-open").click()
    expect(node(page, ": fetch$")).to_be_visible()
    expect(page).to_have_url(re.compile("expand=u"))
    expect(page.locator("table.mlops-lineage-nodes")).to_contain_text("fetch")
    node(page, ": prepare$").click()
    picture(page, "lineage-opened")
    page.get_by_role("button", name="Hide what it was made from").click()
    expect(node(page, ": fetch$")).to_have_count(0)
    expect(page.locator("table.mlops-lineage-nodes")).not_to_contain_text("code/fetch.py")

    again = open_page(page.url.removeprefix(re.match(r"https?://[^/]+", page.url)[0]))
    expect(node(again, ": prepare$")).to_be_visible()
    expect(node(again, ": fetch$")).to_have_count(0)
    expect(again.locator(".mlops-lineage-panel")).to_contain_text("prepare.py")

    page.go_back()
    expect(node(page, ": fetch$")).to_be_visible()
    page.go_back()
    expect(node(page, ": fetch$")).to_have_count(0)


def test_the_place_of_the_picture_is_in_the_address(open_page):
    page = open_page(TRAIN)
    page.get_by_role("button", name="Zoom in").click()
    expect(page).to_have_url(re.compile(r"#view=-?\d+,-?\d+,\d"))
    x, y, scale = page.url.rpartition("#view=")[2].split(",")
    again = open_page(page.url.removeprefix(re.match(r"https?://[^/]+", page.url)[0]))
    layer = canvas(again).locator("> g").first
    expect(layer).to_have_attribute("transform", re.compile(rf"translate\({x}, ?{y}\) scale\({float(scale):g}"))


def test_a_search_finds_and_leads_there(open_page):
    page = open_page(TRAIN)
    search = page.get_by_role("searchbox", name="Find in the graph")
    search.fill("prepare.py")
    expect(page.locator(".mlops-lineage-result")).to_have_text(re.compile("^1 of "))
    search.press("Enter")
    expect(page.locator(".mlops-lineage-panel h3")).to_contain_text("prepare")
    page.locator(".mlops-lineage-panel").get_by_role("link", name="Open dataset").click()
    expect(page).to_have_url(re.compile("/dataset/titanic-prepare$"))


def test_the_keyboard_is_enough(open_page):
    page = open_page(TRAIN)
    node(page, ": train$").focus()
    page.keyboard.press("ArrowLeft")
    expect(node(page, ": prepare$")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".mlops-lineage-panel")).to_contain_text("code/prepare.py")
    page.keyboard.press("Escape")
    expect(page.locator(".mlops-lineage-panel")).to_be_hidden()
    expect(node(page, ": prepare$")).to_be_focused()


def test_the_picture_is_taken_along(open_page, tmp_path: Path):
    page = open_page(TRAIN)
    expect(canvas(page)).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Save the picture as SVG").click()
    taken.value.save_as(tmp_path / "lineage.svg")
    drawn = (tmp_path / "lineage.svg").read_text()
    assert ">prepare<" in drawn
    assert "stroke=" in drawn
    with page.expect_download() as taken:
        page.get_by_role("button", name="Save the picture as PNG").click()
    taken.value.save_as(tmp_path / "lineage.png")
    assert (tmp_path / "lineage.png").read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Mermaid").click()
    taken.value.save_as(tmp_path / "lineage.mmd")
    assert "-->" in (tmp_path / "lineage.mmd").read_text()


def test_a_table_is_sorted_in_place(open_page):
    page = open_page(TRAIN)
    table = page.locator("table.mlops-lineage-nodes")
    table.get_by_role("link", name="Name").click()
    expect(page).to_have_url(re.compile("nodes=name"))
    expect(table.locator("tbody tr").first).to_contain_text("MLflow run")
    table.get_by_role("link", name="Name").click()
    expect(table.locator("tbody tr").first).to_contain_text("openml.org")


def test_the_graph_as_of_a_tag(open_page, picture):
    page = open_page(TRAIN)
    page.get_by_label("As of").select_option("random-forest")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("at=random-forest"))
    expect(canvas(page)).to_be_visible()
    node(page, ": train$").click()
    expect(page.locator(".mlops-lineage-panel")).to_contain_text("random-forest")
    picture(page, "lineage-at-a-tag")


def test_two_tags_are_compared_and_it_says_why_the_metrics_moved(open_page, picture):
    page = open_page(TRAIN)
    page.get_by_label("compared with").select_option("random-forest")
    page.get_by_role("button", name="Apply").click()
    why = page.locator(".mlops-lineage-why")
    expect(why).to_contain_text("accuracy")
    expect(why).to_contain_text("train.random_forest.n_estimators")
    expect(page.locator(".mlops-lineage-legend")).to_contain_text("changed")
    expect(canvas(page).locator("a.mlops-lineage-node.is-changed").first).to_be_visible()
    picture(page, "lineage-compared")


def test_files_and_steps(open_page, picture):
    page = open_page(TRAIN)
    page.get_by_label("Show").select_option("steps")
    page.get_by_role("button", name="Apply").click()
    expect(canvas(page)).to_be_visible()
    expect(page.locator(".mlops-lineage-legend")).to_contain_text("Step")
    expect(canvas(page)).to_contain_text("train_prepared.csv")
    picture(page, "lineage-steps")


def test_the_repository_shows_its_whole_pipeline(open_page, picture):
    page = open_page("/dataset/titanic-train")
    page.get_by_role("link", name="its whole pipeline").click()
    expect(page).to_have_url(re.compile("/repository/titanic-"))
    for name in ("fetch", "prepare", "train", "metrics"):
        expect(node(page, f": {name}$")).to_be_visible()
    expect(page.locator("#repository-datasets")).to_be_visible()
    picture(page, "repository")
    page.locator("a.mlops-ref", has_text="baseline").first.click()
    expect(page).to_have_url(re.compile("at="))
    expect(canvas(page)).to_be_visible()


def test_it_fits_a_narrow_window(open_page, picture):
    page = open_page(f"{TRAIN}?depth=1", viewport={"width": 390, "height": 800})
    expect(canvas(page)).to_be_visible()
    stock = open_page("/dataset/titanic-train", viewport={"width": 390, "height": 800})
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= stock.evaluate(wide)
    node(page, ": train$").click()
    picture(page, "lineage-narrow")
