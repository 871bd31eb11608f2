"""The Lineage tab as a person reads it, without JavaScript."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import model

from ckanext.mlops.model.lineage import store_harvested

HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'
RIGHT_TO_LEFT = "\u202eنموذج تيتانيك"


@pytest.fixture
def soup(page: Callable[..., Any]) -> Callable[..., BeautifulSoup]:
    def read(url: str, person: Any = None) -> BeautifulSoup:
        response = page(url, person)
        assert response.status_code == 200
        return BeautifulSoup(response.body, "html.parser")

    return read


def text(element: Any) -> str:
    return " ".join(element.get_text(" ").split())


def rows(soup: BeautifulSoup, section: str) -> list[list[str]]:
    table = soup.find("section", {"aria-labelledby": section}).find("table")
    return [[text(cell) for cell in row.find_all("td")] for row in table.tbody.find_all("tr")]


@pytest.fixture
def titanic(make_dataset: Callable[..., dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """fetch → prepare → train, from an outside source."""
    datasets = {
        name: make_dataset(name=f"titanic-{name}", title=f"Titanic: {name}") for name in ("fetch", "prepare", "train")
    }
    for down, up, path, content in (
        ("prepare", "fetch", "data/raw.csv", "ab" * 16),
        ("train", "prepare", "data/x.csv", "cd" * 16),
    ):
        edge = {"upstream_dataset": datasets[up]["id"], "path": path, "hash": content, "evidence": {"kind": "locked"}}
        store_harvested(model.Session, datasets[down]["id"], [edge])
    source = {
        "upstream_uri": "https://www.kaggle.com/c/titanic",
        "upstream_label": "Kaggle: titanic",
        "evidence": {"kind": "hint"},
    }
    store_harvested(model.Session, datasets["fetch"]["id"], [source])
    model.Session.commit()
    return datasets


def test_the_tables_say_what_it_was_made_from_and_used_for(
    titanic: dict[str, Any], soup: Callable[..., BeautifulSoup]
) -> None:
    read = soup("/dataset/titanic-prepare/lineage")
    assert (
        text(read.find(class_="mlops-lineage-summary"))
        == "Made from 1 dataset and 1 outside source. Used for 1 dataset."
    )
    made_from = rows(read, "lineage-made-from")
    assert made_from[0][0] == "1"
    assert made_from[0][1].startswith("Titanic: fetch ")
    assert made_from[0][3] == "data/raw.csv abababab"
    assert "harvested" in made_from[0][4]
    assert "Recorded in the repository, same content" in made_from[0][4]
    assert made_from[1][0] == "2"
    assert made_from[1][1].startswith("Kaggle: titanic")
    assert "Named in the command" in made_from[1][4]
    used_for = rows(read, "lineage-used-for")
    assert len(used_for) == 1
    assert (used_for[0][0], used_for[0][2].split(" Dataset")[0]) == ("1", "Titanic: train")
    links = {link["href"] for link in read.find("tbody").find_all("a")}
    assert links == {"/dataset/titanic-fetch", "https://www.kaggle.com/c/titanic"}


def test_tables_have_captions_and_column_heads(titanic: dict[str, Any], soup: Callable[..., BeautifulSoup]) -> None:
    tables = soup("/dataset/titanic-prepare/lineage").find_all("table", class_="mlops-lineage-table")
    assert len(tables) == 3
    for table in tables:
        assert table.caption.get_text(strip=True)
        assert {head["scope"] for head in table.find_all("th")} == {"col"}


def test_graph_and_tables_have_the_same_edges(titanic: dict[str, Any], soup: Callable[..., BeautifulSoup]) -> None:
    read = soup("/dataset/titanic-train/lineage")
    graph = json.loads(read.find("script", class_="mlops-lineage-data").string)
    titles = {node["id"]: node["title"] for node in graph["nodes"]}
    in_graph = {(titles[edge["upstream"]], titles[edge["downstream"]]) for edge in graph["edges"]}
    table = rows(read, "lineage-made-from")
    assert len(table) == len(in_graph) == 3
    for upstream, downstream in in_graph:
        assert any(row[1].startswith(upstream) and row[2].startswith(downstream) for row in table)


def test_direction_and_depth_are_chosen_by_a_plain_form(
    titanic: dict[str, Any], soup: Callable[..., BeautifulSoup]
) -> None:
    form = soup("/dataset/titanic-prepare/lineage").find("form", class_="mlops-lineage-controls")
    assert form["method"] == "get"
    names = {
        select["name"]: [option["value"] for option in select.find_all("option")] for select in form.find_all("select")
    }
    assert names["direction"] == ["both", "upstream", "downstream"]
    read = soup(form["action"] + "?direction=upstream&depth=1")
    assert read.find(id="lineage-used-for") is None
    assert len(rows(read, "lineage-made-from")) == 1
    assert "It goes on beyond 1 step:" in text(read.find(class_="mlops-lineage-notes"))
    chosen = [option["value"] for option in read.select(".mlops-lineage-controls option[selected]")]
    assert chosen == ["datasets", "upstream", "1"]


@pytest.mark.parametrize("query", ["depth=0", "depth=many", "depth=999", "direction=sideways"])
def test_a_query_that_makes_no_sense_is_refused(titanic: dict[str, Any], page: Callable[..., Any], query: str) -> None:
    assert page(f"/dataset/titanic-train/lineage?{query}").status_code == 400


def test_an_unknown_dataset_is_not_found(clean: None, page: Callable[..., Any]) -> None:
    assert page("/dataset/no-such-dataset/lineage").status_code == 404


def test_without_lineage_the_page_says_the_next_step(
    make_dataset: Callable[..., Any], people: Any, soup: Callable[..., BeautifulSoup]
) -> None:
    make_dataset(name="lonely")
    empty = soup("/dataset/lonely/lineage").find(class_="mlops-lineage-empty")
    assert "No lineage is recorded" in text(empty)
    assert empty.find("a") is None
    editors = soup("/dataset/lonely/lineage", people.editor).find(class_="mlops-lineage-empty")
    assert editors.find("a")["href"] == "/dataset/edit/lonely"


@pytest.mark.parametrize("title", [HOSTILE, RIGHT_TO_LEFT, "{{ 7 * 7 }}", "javascript:alert(1)"])
def test_hostile_titles_and_paths_stay_text(
    make_dataset: Callable[..., Any], page: Callable[..., Any], title: str
) -> None:
    up, down = make_dataset(name="up", title=title), make_dataset(name="down", title="Down")
    edges = [
        {"upstream_dataset": up["id"], "path": title},
        {"upstream_uri": "javascript:alert(document.domain)", "upstream_label": title},
        {"upstream_uri": "https://ok.example/" + HOSTILE, "upstream_label": "label"},
    ]
    store_harvested(model.Session, down["id"], edges)
    model.Session.commit()
    body = page("/dataset/down/lineage").body
    assert "<script>alert" not in body
    assert "<img src=x" not in body
    read = BeautifulSoup(body, "html.parser")
    assert not [link for link in read.find_all("a", href=True) if link["href"].lower().startswith("javascript")]
    assert title in read.find("table", class_="mlops-lineage-table").get_text()
    graph = json.loads(read.find("script", class_="mlops-lineage-data").string)
    assert {node["title"] for node in graph["nodes"]} == {title, "Down", "label"}
    assert [node["url"] for node in graph["nodes"] if node["name"].startswith("javascript")] == [""]


def test_a_retired_dataset_is_marked(titanic: dict[str, Any], soup: Callable[..., BeautifulSoup]) -> None:
    package = model.Package.get("titanic-fetch")
    package.extras = {**package.extras, "dvc_retired": "2026-01-02"}
    model.Session.commit()
    first = rows(soup("/dataset/titanic-prepare/lineage"), "lineage-made-from")[0]
    assert "retired 2026-01-02" in first[1]


def test_the_graph_is_loaded_only_where_there_is_one(
    titanic: dict[str, Any], make_dataset: Callable[..., Any], page: Callable[..., Any]
) -> None:
    make_dataset(name="lonely")
    assert re.search(r"lineage\.js", page("/dataset/titanic-train/lineage").body)
    assert not re.search(r"lineage\.js", page("/dataset/lonely/lineage").body)
