"""Pages in a language that is written from right to left: nothing lies outside of what it belongs to."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

OUTSIDE = """() => [...document.querySelectorAll("a.mlops-lineage-node")].flatMap((node) => {
  const box = node.querySelector("rect.mlops-lineage-box").getBoundingClientRect();
  return [...node.querySelectorAll(".mlops-lineage-title, .mlops-lineage-second")]
    .map((text) => [text.textContent, text.getBoundingClientRect()])
    .filter(([name, at]) => name && at.width && (at.left < box.left - 1 || at.right > box.right + 12))
    .map(([name]) => name);
})"""


def test_names_in_the_graph_lie_in_their_boxes(open_page, picture):
    page = open_page("/ar/dataset/titanic-train/lineage")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("svg.mlops-lineage-canvas text", has_text="openml.org").first).to_be_visible()
    assert page.evaluate(OUTSIDE) == []
    picture(page, "rtl-lineage")


@pytest.mark.parametrize("page_name", ["", "/versions", "/lineage", "/experiments"])
def test_pages_fit_a_phone(open_page, page_name):
    phone = {"viewport": {"width": 390, "height": 844}}
    plain = open_page("/ar/about", **phone).evaluate("document.documentElement.scrollWidth")
    page = open_page(f"/ar/dataset/titanic-train{page_name}", **phone)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= plain
