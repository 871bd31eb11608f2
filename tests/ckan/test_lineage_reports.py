"""Pages that answer questions on lineage: what depends on it, how two hang together, what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import model
from ckan.tests import helpers

from ckanext.mlops.model.lineage import store_harvested


@pytest.fixture
def chain(make_dataset: Callable[..., dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """raw → clean → model, and raw → secret, which is private."""
    made = {name: make_dataset(name=name, title=name.title()) for name in ("raw", "clean", "model")}
    made["secret"] = make_dataset(name="secret", title="Secret", private=True)
    for up, down in (("raw", "clean"), ("clean", "model"), ("raw", "secret")):
        store_harvested(model.Session, made[down]["id"], [{"upstream_dataset": made[up]["id"], "path": f"{up}.csv"}])
    model.Session.commit()
    return made


@pytest.fixture
def read(page: Callable[..., Any]) -> Callable[..., BeautifulSoup]:
    def open_page(url: str, person: Any = None) -> BeautifulSoup:
        response = page(url, person)
        assert response.status_code == 200, url
        assert "ecret" not in response.body or person is not None
        return BeautifulSoup(response.body, "html.parser")

    return open_page


def names(found: BeautifulSoup) -> list[str]:
    return [cell.find("a").get_text(strip=True) for cell in found.select("tbody td:nth-child(2)")]


def test_what_depends_on_it_in_any_order(
    chain: dict[str, Any], read: Callable[..., BeautifulSoup], people: Any
) -> None:
    first = read("/dataset/raw/lineage/impact")
    assert names(first) == ["Clean", "Model"]
    assert "1 more dataset that you may not see" in first.get_text()
    assert names(read("/dataset/raw/lineage/impact?sort=-name")) == ["Model", "Clean"]
    assert names(read("/dataset/raw/lineage/impact", people.member)) == ["Clean", "Secret", "Model"]
    assert names(read("/dataset/raw/lineage/impact?kind=run")) == []


def test_it_is_narrowed_to_an_organization(
    chain: dict[str, Any], read: Callable[..., BeautifulSoup], people: Any, page: Callable[..., Any]
) -> None:
    assert read("/dataset/raw/lineage/impact").select_one("#impact-organization") is None  # there is one only
    other = {"name": "other", "title": "Other", "owner_org": people.other["id"]}
    other |= {"derived_from": [{"dataset": chain["clean"]["id"]}]}
    helpers.call_action("package_create", {"user": people.sysadmin.name}, **other)
    options = read("/dataset/raw/lineage/impact").select("#impact-organization option")
    assert [each.get_text() for each in options] == ["everything", "Elsewhere (1)", "The Lab (2)"]
    found = read("/dataset/raw/lineage/impact?organization=elsewhere")
    assert names(found) == ["Other"]
    assert found.select_one("#impact-organization option[selected]")["value"] == "elsewhere"
    assert "Clean" not in page("/dataset/raw/lineage/impact?organization=elsewhere&format=csv").body


def test_as_a_file(chain: dict[str, Any], page: Callable[..., Any]) -> None:
    answer = page("/dataset/raw/lineage/impact?format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "clean" in answer.body
    assert "ecret" not in answer.body


def test_how_two_hang_together(
    chain: dict[str, Any], read: Callable[..., BeautifulSoup], page: Callable[..., Any]
) -> None:
    form = read("/dataset/raw/lineage").select_one("form[action$='/lineage/path']")
    assert form.find("input", {"name": "end"})
    found = read(f"{form['action']}?end=model")
    assert "It was made from this dataset, in 2 steps." in found.get_text()
    assert "This dataset was made from it, in 2 steps." in read("/dataset/model/lineage/path?end=raw").get_text()
    assert "Nothing of that name is known here." in read("/dataset/raw/lineage/path?end=nothing").get_text()
    hidden = page("/dataset/raw/lineage/path?end=secret").body
    assert "Nothing of that name is known here." in hidden


def test_what_an_organization_lacks(chain: dict[str, Any], read: Callable[..., BeautifulSoup], people: Any) -> None:
    found = read(f"/organization/{people.organization['name']}/health?part=gaps")
    assert found.select_one("#gap-consumer").find_next("ul").get_text(strip=True) == "Model"
    tab = read(f"/organization/{people.organization['name']}").select_one("a[href$='/health']")
    assert tab.get_text(strip=True) == "Data health"


@pytest.mark.parametrize("url", ["/dataset/secret/lineage/impact", "/dataset/secret/lineage/path?end=raw"])
def test_what_may_not_be_seen_has_no_report(chain: dict[str, Any], page: Callable[..., Any], url: str) -> None:
    assert page(url).status_code in (403, 404)


@pytest.mark.parametrize("url", ["/dataset/nothing/lineage/impact", "/organization/nothing/health"])
def test_what_does_not_exist_is_not_found(clean: None, page: Callable[..., Any], url: str) -> None:
    assert page(url).status_code == 404


def test_a_file_has_a_lineage_view(
    make_dataset: Callable[..., dict[str, Any]], api: Any, people: Any, page: Callable[..., Any]
) -> None:
    raw = make_dataset(name="raw", title="Raw", resources=[{"url": "https://x.example/raw.csv", "dvc_path": "raw.csv"}])
    clean = make_dataset(
        name="clean", title="Clean", resources=[{"url": "https://x.example/c.csv", "dvc_path": "clean.csv"}]
    )
    edge = {"upstream_dataset": raw["id"], "upstream_resource": raw["resources"][0]["id"], "path": "raw.csv"}
    store_harvested(model.Session, clean["id"], [edge])
    model.Session.commit()
    resource = raw["resources"][0]["id"]
    view = api(
        "resource_view_create",
        people.editor,
        resource_id=resource,
        title="Lineage",
        view_type="mlops_lineage_view",
        depth="2",
    )
    shown = page(f"/dataset/raw/resource/{resource}/view/{view['id']}")
    assert shown.status_code == 200
    found = BeautifulSoup(shown.body, "html.parser")
    assert found.select_one(".mlops-lineage-view") is not None
    assert page(f"/dataset/raw/resource/{resource}/lineage").status_code == 200
    form = page(f"/dataset/raw/resource/{resource}/edit_view/{view['id']}", people.editor)
    assert BeautifulSoup(form.body, "html.parser").select_one("#field-depth option[selected]")["value"] == "2"
