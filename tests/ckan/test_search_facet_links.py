"""Facets of the search page: each value leads to the search that has it, or no longer has it."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest


def links(body: str, title: str) -> dict[str, dict[str, list[str]]]:
    """Value → query of its link, of the facet with that heading."""
    nav = re.search(rf'<nav aria-label="Filter by: {title}">(.*?)</nav>', body, re.DOTALL)
    assert nav, f"no facet {title}"
    found = re.findall(r'href="([^"]+)".*?<span class="item-label">\s*(.*?)\s*</span>', nav[1], re.DOTALL)
    return {unescape(label): parse_qs(urlsplit(unescape(address)).query) for address, label in found}


@pytest.fixture
def two(make_dataset):
    make_dataset(name="one", dvc_stage="fetch & mix", tags=[{"name": "sea"}, {"name": "both"}])
    make_dataset(name="two", dvc_stage="train", tags=[{"name": "land"}, {"name": "both"}])


@pytest.mark.parametrize(
    ("title", "field", "value"), [("Tags", "tags", "sea"), ("Stage", "vocab_dvc_stage", "fetch & mix")]
)
def test_a_value_is_chosen_and_given_up(two, page, title, field, value):
    body = page("/dataset/?q=*:*&sort=name+asc", status=200).body
    chosen = links(body, title)[value]
    assert chosen[field] == [value]
    assert chosen["sort"] == ["name asc"], "the rest of the search stays"
    body = page(f"/dataset/?sort=name+asc&{field}={value.replace('&', '%26').replace(' ', '+')}", status=200).body
    assert 'href="/dataset/one"' in body
    assert 'href="/dataset/two"' not in body
    assert links(body, title)[value] == {"sort": ["name asc"]}, "chosen again it is given up"


def test_a_facet_of_ckan_without_values_says_so(two, page):
    assert "There are no Licenses that match this search" in page("/dataset/", status=200).body


def test_more_values_than_are_shown_are_offered(make_dataset, page):
    for number in range(12):
        make_dataset(name=f"d{number}", tags=[{"name": f"tag-{number:02}"}])
    body = page("/dataset/", status=200).body
    assert len(links(body, "Tags")) == 10
    assert "_tags_limit=0" in body
    assert len(links(page("/dataset/?_tags_limit=0", status=200).body, "Tags")) == 12
