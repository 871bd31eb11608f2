"""Plots of the demo's repository are drawn by Vega in a frame that can do nothing else; versions meet runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 390, "height": 844}}


@pytest.fixture
def plots(open_page, portal):
    """The plots page of the demo's repository, from its Metrics tab."""

    def open_plots(**options):
        page = open_page("/dataset/titanic-train", **options)
        page.goto(portal.url + page.locator('[href*="/repository/titanic-"]').first.get_attribute("href"))
        page.locator('.nav-tabs a[href$="/plots"]').click()
        page.wait_for_url("**/plots")
        return page

    return open_plots


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_curves_of_several_revisions_are_drawn(plots, picture, size, theme):
    page = plots(viewport=SIZES[size])
    page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
    frame = page.frame_locator("iframe.mlops-plots-frame")
    expect(frame.locator("main[data-drawn='2']")).to_be_attached(timeout=30_000)
    expect(frame.locator("svg")).to_have_count(2)
    expect(frame.locator("main")).to_contain_text("false_positive_rate")
    expect(frame.locator("main")).to_contain_text("random-forest")
    expect(frame.locator(f"html[data-theme={theme}]")).to_be_attached()
    # The frame is as high as what is in it, and no wider than the window.
    inside = frame.locator("main").bounding_box()
    expect(page.locator("iframe.mlops-plots-frame")).to_have_js_property("offsetHeight", round(inside["height"] + 8.49))
    assert inside["width"] <= SIZES[size]["width"]
    picture(page, f"plots-{size}-{theme}")


def test_a_theme_that_follows_the_window_takes_the_charts_along(plots, picture):
    """No attribute says it then: a portal's style sheet makes text light where the reader prefers a dark window."""
    page = plots()
    frame = page.frame_locator("iframe.mlops-plots-frame")
    expect(frame.locator("main[data-drawn='2']")).to_be_attached(timeout=30_000)
    page.add_style_tag(
        content="@media (prefers-color-scheme: dark) { body, .main, .wrapper { background: #15181c; color: #e3e6ea; } }"
    )
    for preferred in ("dark", "light", "dark"):
        page.emulate_media(color_scheme=preferred)
        expect(frame.locator(f"html[data-theme={preferred}]")).to_be_attached()
    picture(page, "plots-preferred-dark")


def test_the_frame_has_no_origin_and_no_network(plots, complaints):
    page = plots()
    expect(page.frame_locator("iframe.mlops-plots-frame").locator("main[data-drawn]")).to_be_attached(timeout=30_000)
    frame = page.frames[1]
    assert frame.evaluate("origin") == "null"
    asked = "fetch('/api/3/action/status_show').then(() => 'answered', () => 'refused')"
    assert frame.evaluate(asked) == "refused"
    # In a task of its own: what a test evaluates itself may compile code.
    code = "try { done(String(new Function('return 1')())) } catch { done('refused') }"
    assert frame.evaluate(f"new Promise(done => setTimeout(() => {{ {code} }}))") == "refused"
    assert frame.evaluate("(() => { try { return parent.document.title } catch { return 'refused' } })()") == "refused"
    refusals = [each for each in complaints if "Content Security Policy" in each]
    assert refusals == complaints
    complaints.clear()


def test_the_numbers_are_there_without_javascript(plots):
    page = plots(java_script_enabled=False)
    table = page.locator(".mlops-plot details", has_text="roc.csv")
    table.locator("summary").click()
    expect(table.locator("table")).to_contain_text("true_positive_rate")


def test_a_version_and_runs_are_compared_from_ticks(open_page, picture):
    page = open_page("/dataset/titanic-train/versions")
    ticks = page.locator('input[type=checkbox][name="version"]')
    ticks.nth(0).check()
    ticks.nth(1).check()
    page.get_by_role("button", name="Compare the ticked versions").click()
    page.get_by_label("Add a run").select_option(index=1)
    page.get_by_role("button", name="Add", exact=True).click()
    table = page.locator("table.mlops-compared").first
    expect(table.locator("thead th")).to_have_count(3)
    expect(table.locator("tr.mlops-differs").first).to_contain_text("train.model")
    picture(page, "compare-versions-and-runs")
