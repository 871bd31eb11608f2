"""A phone's window: no page of the extension scrolls sideways; what is wide scrolls within its own frame."""

from __future__ import annotations

import pytest

WIDTH = "document.documentElement.scrollWidth"
PHONE = {"width": 390, "height": 844}


@pytest.mark.parametrize("language", ["", "/ar"])
def test_pages_fit_a_phone(open_page, picture, addresses, page_name, language):
    page = open_page(language + addresses[page_name], viewport=PHONE)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(WIDTH) <= PHONE["width"]
    picture(page, f"narrow{language.replace('/', '-')}-{page_name}")


def test_pages_of_who_is_signed_in_fit_a_phone(signed_in, portal, addresses, own_page):
    signed_in.set_viewport_size(PHONE)
    signed_in.goto(portal.url + addresses[own_page])
    signed_in.wait_for_load_state("networkidle")
    assert signed_in.evaluate(WIDTH) <= PHONE["width"]
