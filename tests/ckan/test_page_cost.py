"""A page asks for the same thing once: the sidebar, the dataset that it is about, the words of its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pysolr
import pytest
from bs4 import BeautifulSoup
from ckan.common import config
from ckan.plugins import toolkit as tk
from markdown import Markdown

WHOLE_ROW = "SELECT package.id AS package_id"
#: What a page of a dataset needs beside its actions: by id, then by name, for it and for its permission; the sidebar.
BESIDE = 5


@pytest.fixture
def dataset(make_dataset: Callable[..., dict[str, Any]], people: Any) -> dict[str, Any]:
    before = make_dataset(name="before")
    return make_dataset(name="it", owner_org=people.organization["id"], derived_from=[{"dataset": before["id"]}])


@pytest.mark.parametrize("tab", ["", "/lineage", "/experiments", "/versions"])
def test_the_sidebar_is_made_once(dataset: dict[str, Any], page: Any, statements: list[str], tab: str) -> None:
    body = page(f"/dataset/{dataset['name']}{tab}", status=200).body
    assert len([each for each in statements if "user_following_group" in each]) == 1
    assert len(BeautifulSoup(body, "html.parser").select("aside.secondary")) == 1


def test_a_page_without_a_sidebar_has_none(page: Any, people: Any) -> None:
    soup = BeautifulSoup(page("/mlflow/experiments", status=200).body, "html.parser")
    assert not soup.select("aside.secondary")
    assert soup.select(".wrapper.no-nav")


def test_every_page_has_its_own_sidebar(make_dataset: Callable[..., dict[str, Any]], page: Any, people: Any) -> None:
    for name in ("one", "two"):
        make_dataset(name=name, tags=[{"name": f"tag-{name}"}], owner_org=people.organization["id"])
    for name, other in (("one", "two"), ("two", "one"), ("one", "two")):
        aside = BeautifulSoup(page(f"/dataset/?tags=tag-{name}", status=200).body, "html.parser").select_one("aside")
        assert aside is not None
        assert f"tag-{name}" in aside.text
        assert f"tag-{other}" not in aside.text


@pytest.mark.parametrize("tab", ["lineage", "lineage/impact", "experiments", "leaderboard", "versions", "similar"])
def test_the_actions_of_a_page_share_its_dataset(
    dataset: dict[str, Any], page: Any, statements: list[str], tab: str
) -> None:
    page(f"/dataset/{dataset['name']}/{tab}", status=200)
    assert len([each for each in statements if each.startswith(WHOLE_ROW)]) <= BESIDE


@pytest.mark.parametrize("query", ["", "?q=prepared", "?q=accuracy:%3E0.5", "?vocab_freshness=week"])
def test_a_search_asks_solr_once(
    dataset: dict[str, Any], page: Any, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    requests: list[str] = []
    send = pysolr.Solr._send_request

    def counted(self: pysolr.Solr, method: str, path: str = "", *given: Any, **options: Any) -> Any:
        requests.append(path)
        return send(self, method, path, *given, **options)

    monkeypatch.setattr(pysolr.Solr, "_send_request", counted)
    page(f"/dataset/{query}", status=200)
    assert len(requests) == 1


def test_what_is_kept_of_notes_is_that_of_their_text(
    make_dataset: Callable[..., dict[str, Any]], people: Any, api: Any, page: Any
) -> None:
    changed = make_dataset(name="one", notes="*Old* words", owner_org=people.organization["id"])
    assert "Old words" in page("/dataset/", status=200).body
    api("package_patch", people.editor, id=changed["id"], notes="*New* words <script>")
    body = page("/dataset/", status=200).body
    assert "New words" in body
    assert "Old words" not in body
    assert "words <script>" not in body


@pytest.mark.parametrize("root", ["", "/data/{{LANG}}"])
def test_the_addresses_of_languages_are_those_of_ckan(
    dataset: dict[str, Any], page: Any, app: Any, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    if root:
        monkeypatch.setitem(config, "ckan.root_path", root)
    body = page("/de/dataset/?q=a+%26b", status=200).body
    options = BeautifulSoup(body, "html.parser").select("#field-lang-select option")
    with app.flask_app.test_request_context("/dataset/?q=a+%26b"):
        known = [each.short_name for each in tk.h.get_available_locales()]
        expected = [tk.h.url_for("/dataset/?q=a+%26b", locale=each) for each in known]
    assert len(known) > 50
    assert [each["value"] for each in options] == expected
    assert [each["lang"] for each in options if each.has_attr("selected")] == ["de"]


def test_words_are_those_of_the_readers_language(dataset: dict[str, Any], page: Any) -> None:
    bodies = [page(f"{prefix}/dataset/it/lineage", status=200).body for prefix in ("", "/de", "", "/de")]
    assert "Recorded by a person" in bodies[0]
    assert "Recorded by a person" not in bodies[1]
    assert bodies[2].count("Recorded by a person") == bodies[0].count("Recorded by a person")


def test_notes_in_a_list_are_parsed_once(
    make_dataset: Callable[..., dict[str, Any]], page: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    convert = Markdown.convert
    monkeypatch.setattr(Markdown, "convert", lambda self, text: parsed.append(text) or convert(self, text))
    make_dataset(name="noted", notes="Passengers, *cleaned*")
    for _ in range(2):
        assert "Passengers" in page("/dataset/", status=200).body
    assert parsed == ["Passengers, *cleaned*"]
