"""A phone's window: nothing of ours makes a page wider than the portal's own pages are."""

from __future__ import annotations

import pytest

WIDTH = "document.documentElement.scrollWidth"


@pytest.mark.parametrize("page_name", ["", "/versions", "/lineage", "/experiments"])
def test_pages_fit_a_phone(open_page, picture, page_name):
    phone = {"viewport": {"width": 390, "height": 844}}
    plain = open_page("/about", **phone).evaluate(WIDTH)
    page = open_page(f"/dataset/titanic-train{page_name}", **phone)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(WIDTH) <= plain
    picture(page, f"narrow-{page_name.strip('/') or 'dataset'}")
