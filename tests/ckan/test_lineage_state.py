"""A lineage page's address holds all that it shows: what was opened, what was closed, and the order of its tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import model

from ckanext.mlops.lineage_page.shown import shown
from ckanext.mlops.lineage_page.state import MAX_OPENED, Opened, State, node_key
from ckanext.mlops.model.lineage import store_harvested


def graph(edges: list[tuple[str, str]], focus: str, ends: dict[str, set[str]]) -> dict[str, Any]:
    """An answer as the action gives it; ``ends``: which nodes go on beyond it, by side."""
    nodes = sorted({each for edge in edges for each in edge} | {focus})
    return {
        "focus": focus,
        "nodes": [
            {
                "id": each,
                "kind": "dataset",
                "title": each,
                "distance": 0 if each == focus else 1,
                "upstream_distance": 1 if (each, focus) in edges else None,
                "downstream_distance": 1 if (focus, each) in edges else None,
                "more": {side: each in ends.get(side, set()) for side in ("upstream", "downstream")},
            }
            for each in nodes
        ],
        "edges": [{"upstream": up, "downstream": down, "origin": "harvested", "path": ""} for up, down in edges],
        "hidden": 0,
        "absent": 0,
        "truncated": False,
    }


ANSWERS = {
    "c": graph([("b", "c"), ("c", "d")], "c", {"upstream": {"b"}}),
    "b": graph([("a", "b"), ("x", "b")], "b", {"upstream": {"a"}, "downstream": {"x"}}),
}


def ask(start: str, **_: Any) -> dict[str, Any]:
    return json.loads(json.dumps(ANSWERS[start]))


def names(found: dict[str, Any]) -> str:
    return "".join(sorted(node["id"] for node in found["nodes"]))


def test_what_was_opened_is_added_with_its_distance() -> None:
    state = State(expand=(Opened("upstream", node_key("b")),))
    found = shown(state, "c", ask)
    assert names(found) == "abcdx"
    nodes = {node["id"]: node for node in found["nodes"]}
    assert (nodes["a"]["distance"], nodes["a"]["upstream_distance"]) == (2, 2)
    assert nodes["b"]["more"]["upstream"] is False
    assert nodes["a"]["more"]["upstream"] is True
    assert {(edge["upstream"], edge["downstream"]) for edge in found["edges"]} >= {("a", "b"), ("b", "c")}


def test_what_was_closed_is_left_out_with_all_that_only_it_leads_to() -> None:
    opened = (Opened("upstream", node_key("b")),)
    assert names(shown(State(expand=opened, fold=opened), "c", ask)) == "bcd"
    closed = (Opened("upstream", node_key("c")),)
    found = shown(State(expand=opened, fold=closed), "c", ask)
    assert names(found) == "cd"
    assert next(node for node in found["nodes"] if node["id"] == "c")["folded"] == ["upstream"]


def test_an_address_gives_the_state_that_made_it() -> None:
    state = State(depth="3", level="files", at="v1", sort="-from", expand=(Opened("upstream", "abcdefgh"),), node="x")
    assert State.of(state.query()) == state
    assert State.of({}).query() == {}


def test_a_page_has_defaults_of_its_own() -> None:
    state = State.of({"depth": "2"}, level="files")
    assert (state.level, state.query()) == ("files", {"depth": "2"})
    assert state.full_query() == {"depth": "2", "level": "files"}
    assert State.of({"level": "datasets"}, level="files").query() == {"level": "datasets"}


def test_what_makes_no_sense_is_not_opened_and_there_is_an_end() -> None:
    assert State.of({"expand": "u<script>.zABCDEFGH.u1234567"}).expand == ()
    many = ".".join(f"u{number:08d}" for number in range(10_000))
    assert len(State.of({"expand": many}).expand) == MAX_OPENED


@pytest.fixture
def chain(make_dataset: Callable[..., dict[str, Any]]) -> dict[str, str]:
    """a → b → c → d."""
    ids = {name: make_dataset(name=f"chain-{name}", title=f"Chain {name}")["id"] for name in "abcd"}
    for up, down in ("ab", "bc", "cd"):
        store_harvested(model.Session, ids[down], [{"upstream_dataset": ids[up], "path": f"{up}.csv"}])
    model.Session.commit()
    return ids


def soup(page: Callable[..., Any], url: str) -> BeautifulSoup:
    response = page(url)
    assert response.status_code == 200, url
    return BeautifulSoup(response.body, "html.parser")


def titles(read: BeautifulSoup) -> list[str]:
    cells = read.select("table.mlops-lineage-nodes tbody td:nth-child(2)")
    return [cell.find(["a", "strong"]).get_text(strip=True) for cell in cells]


def test_without_javascript_the_table_opens_what_is_beyond(chain: dict[str, str], page: Callable[..., Any]) -> None:
    read = soup(page, "/dataset/chain-d/lineage?depth=1")
    assert titles(read) == ["Chain d", "Chain c"]
    link = read.select_one("a.mlops-lineage-open")
    further = soup(page, link["href"])
    assert titles(further) == ["Chain d", "Chain c", "Chain b"]
    assert titles(soup(page, further.select_one("a.mlops-lineage-open")["href"]))[-1] == "Chain a"


def test_tables_are_sorted_by_links(chain: dict[str, str], page: Callable[..., Any]) -> None:
    read = soup(page, "/dataset/chain-d/lineage")
    by_name = next(link for link in read.select("table.mlops-lineage-nodes a.mlops-sort") if "Name" in link.get_text())
    once = soup(page, by_name["href"])
    assert titles(once) == ["Chain a", "Chain b", "Chain c", "Chain d"]
    head = once.select_one("table.mlops-lineage-nodes th[aria-sort=ascending] a")
    assert titles(soup(page, head["href"])) == ["Chain d", "Chain c", "Chain b", "Chain a"]


@pytest.mark.parametrize("form", ["mermaid", "dot", "csv", "json"])
def test_the_files_hold_what_is_shown(chain: dict[str, str], page: Callable[..., Any], form: str) -> None:
    read = soup(page, "/dataset/chain-d/lineage?depth=1")
    opened = soup(page, read.select_one("a.mlops-lineage-open")["href"])
    link = next(each for each in opened.select(".mlops-lineage-downloads a") if f"lineage.{form}" in each["href"])
    body = page(link["href"]).body
    assert "Chain b" in body
    assert "Chain a" not in body
    if form == "json":
        assert json.loads(body)["focus"] == chain["d"]


def test_labels_of_files_are_only_labels(make_dataset: Callable[..., dict[str, Any]], page: Callable[..., Any]) -> None:
    title = 'evil"]; click n0 href "javascript:alert(1)" \\" -> x [label="y"'
    up, down = make_dataset(name="up", title=title), make_dataset(name="down", title="=1+1")
    store_harvested(model.Session, down["id"], [{"upstream_dataset": up["id"], "path": "x"}])
    model.Session.commit()
    mermaid = page("/mlops/lineage.mermaid?id=down").body
    assert "click n0 href #34;javascript" in mermaid
    assert len(mermaid.splitlines()) == 5
    dot = page("/mlops/lineage.dot?id=down").body
    assert r'label="evil\"]; click n0 href \"javascript:alert(1)\" \\\" -> x [label=\"y\"\nDataset"' in dot
    assert "\n=1+1" not in page("/mlops/lineage.csv?id=down").body.replace("\r", "")


def test_files_show_a_reader_what_the_page_shows(
    make_dataset: Callable[..., dict[str, Any]], page: Callable[..., Any], people: Any
) -> None:
    secret = make_dataset(name="secret", title="Secret", private=True)
    open_data = make_dataset(name="open", title="Open")
    store_harvested(model.Session, open_data["id"], [{"upstream_dataset": secret["id"], "path": "secret.csv"}])
    model.Session.commit()
    for form in ("mermaid", "dot", "csv", "json"):
        assert "ecret" not in page(f"/mlops/lineage.{form}?id=open").body
        assert "ecret" in page(f"/mlops/lineage.{form}?id=open", people.member).body
        assert page(f"/mlops/lineage.{form}?id=secret").status_code in (403, 404)
