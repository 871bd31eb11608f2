"""Pages in a language that is written from right to left: nothing lies outside of what it belongs to."""

from __future__ import annotations

from playwright.sync_api import expect

OUTSIDE = """() => [...document.querySelectorAll("a.mlops-lineage-node")].flatMap((node) => {
  const box = node.querySelector("rect.mlops-lineage-box").getBoundingClientRect();
  return [...node.querySelectorAll(".mlops-lineage-title, .mlops-lineage-second")]
    .map((text) => [text.textContent, text.getBoundingClientRect()])
    .filter(([name, at]) => name && at.width && (at.left < box.left - 1 || at.right > box.right + 12))
    .map(([name]) => name);
})"""

#: The character of an element that is drawn first from the left.
LEFTMOST = """(element) => {
  const text = element.firstChild, range = document.createRange();
  const at = [...text.data].map((letter, index) => {
    range.setStart(text, index);
    range.setEnd(text, index + 1);
    return [range.getBoundingClientRect().left, letter];
  });
  return at.reduce((first, each) => (each[0] < first[0] ? each : first))[1];
}"""


def test_names_in_the_graph_lie_in_their_boxes(open_page, picture):
    page = open_page("/ar/dataset/titanic-train/lineage")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("svg.mlops-lineage-canvas text", has_text="openml.org").first).to_be_visible()
    assert page.evaluate(OUTSIDE) == []
    picture(page, "rtl-lineage")


def test_a_number_keeps_its_sign_in_front(open_page, addresses):
    page = open_page(f"/ar{addresses['metrics'].partition('?')[0]}?baseline=wrong-baseline&column=accuracy")
    cell = page.locator("table.mlops-metrics .mlops-delta", has_text="-0.").first
    assert page.evaluate(LEFTMOST, cell.element_handle()) == "-"
