"""The extract of a description in a list is that of CKAN, whatever the parser read before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ckan.lib import helpers as ckans
from ckan.plugins import toolkit as tk
from hypothesis import given
from hypothesis import strategies as st

from ckanext.mlops import helpers_search

TEXTS = [
    "Passengers of the **Titanic**: *no* lifeboats.",
    "[a]: https://e.example\n\nSee [a] and [b].",
    "See [a] and [b], of another text.",
    "[b]: https://e.example 'x'",
    "# Head\n\n- one\n- two\n\n    code <b>\n\n> said &amp; <script>alert(1)</script>",
    "1. a\n2. b\n\n***\n\n`x < y`",
    "<div>block\n\n**not bold**</div>",
    "<!-- hidden",
    "long " * 200,
    "",
]
MARKED = st.text(alphabet="ab *_`#[]()<>&;!\\\n-1.:/\"'", max_size=60)


@pytest.mark.parametrize("length", [0, 20, 190])
def test_it_is_ckans(app: Any, length: int) -> None:
    assert tk.h.markdown_extract is helpers_search.markdown_extract
    for _ in range(2):
        for text in (*TEXTS, *reversed(TEXTS), None):
            assert tk.h.markdown_extract(text, length) == ckans.markdown_extract(text, length), text


@given(MARKED)
def test_it_is_ckans_of_any_markdown(text: str) -> None:
    assert helpers_search.markdown_extract(text) == ckans.markdown_extract(text)


def test_many_threads_read_at_once() -> None:
    texts = [f"{text} {number}" for number in range(40) for text in TEXTS]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(helpers_search.markdown_extract, texts))
    assert found == [ckans.markdown_extract(text) for text in texts]
