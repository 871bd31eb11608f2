"""The lineage page: the graph, and the same content as tables."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect


def test_the_graph_shows_what_the_model_was_made_from(open_page, picture):
    page = open_page("/dataset/titanic-train/lineage")
    graph = page.locator(".mlops-lineage-graph svg.mlops-lineage-canvas")
    expect(graph).to_be_visible()
    for label in ("openml.org", "fetch", "prepare", "train", "metrics"):
        expect(graph.locator("text", has_text=label).first).to_be_visible()
    picture(page, "lineage")


def test_a_node_leads_to_its_dataset(open_page):
    page = open_page("/dataset/titanic-train/lineage")
    page.locator('section a[href$="/dataset/titanic-prepare"]').first.click()
    expect(page).to_have_url(re.compile("/dataset/titanic-prepare$"))


def test_without_javascript_the_tables_tell_the_same(open_page, picture):
    page = open_page("/dataset/titanic-train/lineage", java_script_enabled=False)
    tables = page.locator("table.mlops-lineage-table")
    expect(tables.first).to_contain_text("data/train_prepared.csv")
    expect(tables.first).to_contain_text("data/train.csv")
    expect(page.locator(".mlops-lineage-graph")).to_be_hidden()
    picture(page, "lineage-without-javascript")


def test_fewer_steps_show_less(open_page):
    page = open_page("/dataset/titanic-train/lineage?direction=upstream&depth=1")
    tables = page.locator("table.mlops-lineage-table")
    expect(tables.first).to_contain_text("data/train_prepared.csv")
    expect(tables.first).not_to_contain_text("data/gender_submission.csv")


#: The least contrast (WCAG) of the words in the graph and around it, and of the outlines of nodes, with what is behind.
CONTRAST = """() => {
  const graph = document.querySelector(".mlops-lineage-graph");
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const behind = parts(getComputedStyle(graph).backgroundColor);
  const seen = (colour) => {
    const [r, g, b, a = 1] = parts(colour);
    return [r, g, b].map((value, i) => value * a + behind[i] * (1 - a));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const least = (selector, property) => Math.min(...[...graph.querySelectorAll(selector)].map((each) => {
    const pair = [light(seen(getComputedStyle(each)[property])), light(behind)];
    return Math.max(...pair) / Math.min(...pair);
  }));
  return {
    words: Math.min(least(".mlops-lineage-canvas text", "fill"), least(".mlops-lineage-legend li", "color")),
    outlines: least(".mlops-lineage-box", "stroke"),
    lines: least(".mlops-lineage-edge", "stroke"),
  };
}"""


@pytest.mark.parametrize("theme", ["", "dark"], ids=["stock theme", "dark theme"])
def test_it_is_readable_in_a_dark_window(open_page, picture, theme):
    """CKAN's own theme is light in any window; a portal may choose Bootstrap's dark one."""
    page = open_page("/dataset/titanic-train/lineage", color_scheme="dark")
    page.evaluate("theme => theme && document.documentElement.setAttribute('data-bs-theme', theme)", theme)
    expect(page.locator(".mlops-lineage-graph svg.mlops-lineage-canvas")).to_be_visible()
    picture(page, f"lineage-dark-{theme or 'stock'}")
    found = page.evaluate(CONTRAST)
    assert found["words"] >= 4.5
    assert min(found["outlines"], found["lines"]) >= 3
