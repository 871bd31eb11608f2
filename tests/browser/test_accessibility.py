"""Automated accessibility checks (axe) on every page of the extension: nothing serious in what is ours.

CKAN's own frame (header, footer, language form, facets, select2 fields, ckanext-harvest's tooltips) is left out: it is
not this project's to mend.
"""

from __future__ import annotations

import requests
from axe_playwright_python.sync_playwright import Axe

#: Bytes of all scripts of a page and of the frames in it that are not CKAN's own, as they are sent.
MOST_SCRIPT = 300 * 1024
SCRIPTS = "() => [...document.scripts].map((each) => each.src).filter((source) => source.includes('/mlops/'))"
OURS = {
    "include": [["[role=main]"]],
    "exclude": [
        [".secondary"],
        [".toolbar"],
        [".page_primary_action"],
        [".select2-container"],
        ["i[data-toggle=tooltip]"],
    ],
}


def look(page):
    """What is serious in a page, wide and narrow, and how much script it brings."""
    page.wait_for_load_state("networkidle")
    serious = []
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page, context=OURS).response["violations"]
        serious += [
            f"{page.url} at {width}: {each['id']}: {each['help']}: {node['html'][:300]}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"][:3]
        ]
    # Asked for again: a frame without an origin does not tell how much came.
    sources = {source for frame in page.frames for source in frame.evaluate(SCRIPTS)}
    return serious, sum(map(sent, sources))


def sent(source):
    """Bytes of a script on the wire, for a browser that takes it compressed."""
    with requests.get(source, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=30) as answer:
        answer.raise_for_status()
        return len(answer.raw.read(decode_content=False))


def test_nothing_serious_and_little_script(open_page, addresses, page_name):
    serious, script = look(open_page(addresses[page_name]))
    assert serious == []
    assert script <= MOST_SCRIPT
    if page_name == "plots":
        assert script > 100 * 1024, "what draws in the frame counts"


def test_pages_of_people_who_are_signed_in(signed_in, portal, addresses, own_page):
    signed_in.goto(portal.url + addresses[own_page])
    serious, script = look(signed_in)
    assert serious == []
    assert script <= MOST_SCRIPT
