"""The lineage of a file as a view of its resource: an editor adds it, everybody sees it on the resource's page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def resource(act):
    """A file of the demo; what is added to it goes at the end."""
    package = act("package_show", id="titanic-train")
    found = next(each for each in package["resources"] if each.get("dvc_path"))
    before = {each["id"] for each in act("resource_view_list", id=found["id"])}
    yield f"/dataset/titanic-train/resource/{found['id']}"
    for view in act("resource_view_list", id=found["id"]):
        if view["id"] not in before:
            act("resource_view_delete", id=view["id"])


def test_an_editor_adds_the_view_and_visitors_use_it(open_page, signed_in, portal, resource, picture):
    page = signed_in
    page.goto(portal.url + resource + "/new_view?view_type=mlops_lineage_view")
    page.get_by_label("Title").fill("Where it comes from")
    page.get_by_role("combobox", name="Steps").select_option("2")
    page.get_by_role("button", name="Preview").click()
    preview = page.frame_locator("iframe[data-module=data-viewer]")
    expect(preview.locator("svg.mlops-lineage-canvas")).to_be_visible()
    picture(page, "lineage-view-form")
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_url(re.compile("/views$|/resource/"))

    visitor = open_page(resource)
    frame = visitor.frame_locator("iframe[data-module=data-viewer]").first
    canvas = frame.locator("svg.mlops-lineage-canvas")
    expect(canvas).to_be_visible()
    expect(frame.locator(".mlops-lineage-node.is-focus")).to_have_count(1)
    canvas.locator("a.mlops-lineage-node").first.click()
    expect(frame.locator(".mlops-lineage-panel")).to_be_visible()
    picture(visitor, "lineage-view")
    assert "node=" not in visitor.url  # the address of the page is not the view's
    frame.get_by_role("link", name="Open its lineage page").click()
    expect(visitor).to_have_url(re.compile("/resource/[^/]+/lineage"))
