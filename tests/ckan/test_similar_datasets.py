"""Similar datasets: by content, columns and common sources, with the reason, and nothing that is not the reader's."""

from __future__ import annotations

import pytest
from ckan import model
from ckan.lib import search

from ckanext.mlops.model import versions
from ckanext.mlops.model.transfers import Content

HASH, EMPTY = "3f2a9c01" * 4, "d41d8cd98f00b204e9800998ecf8427e"


@pytest.fixture
def dataset(make_dataset):
    def make(name, hashes=(), columns=(), **values):
        package = make_dataset(name=name, title=name.title(), **values)
        facts = {"outs": [{"path": f"{number}.csv", "hash": each} for number, each in enumerate(hashes)]}
        row = {"id": f"v-{name}", "digest": "x", "commit": "c" * 40, "facts": facts, "current": True}
        versions.store(model.Session(), package["id"], [row])
        if columns:
            profile = {"kind": "table", "columns": [{"name": each} for each in columns]}
            model.Session.add(Content(package_id=package["id"], path="0.csv", hash=hashes[0], profile=profile))
        model.Session.commit()
        search.rebuild(package["id"])
        return package

    return make


def like(api, person, name="passengers"):
    return {
        each["name"]: {reason["kind"]: (reason["count"], reason["of"], reason["names"]) for reason in each["reasons"]}
        for each in api("mlops_dataset_similar", person, id=name)
    }


def test_the_reasons_are_said_and_the_most_alike_come_first(people, dataset, api):
    raw = dataset("raw")
    source = {"derived_from": [{"dataset": raw["id"]}, {"url": "https://example.org/x.csv"}]}
    dataset("passengers", [HASH, EMPTY, "a" * 32], ["Age", "Fare", "Name"], **source)
    dataset("copy", [HASH, EMPTY], ["Age", "Fare", "Name", "Cabin"])
    dataset("empty", [EMPTY])
    dataset("chance", ["b" * 32], ["Age", *(f"c{number}" for number in range(30))])
    dataset("sibling", **source)
    found = like(api, people.anonymous)
    assert list(found) == ["copy", "sibling"]
    assert found["copy"] == {"content": (1, 2, []), "columns": (3, 4, ["Age", "Fare", "Name"])}
    assert found["sibling"] == {"lineage": (2, 2, ["Raw", "https://example.org/x.csv"])}
    assert list(like(api, people.anonymous, "empty")) == []


def test_what_a_reader_may_not_see_is_neither_found_nor_named(people, dataset, api, page):
    secret = dataset("salaries", [HASH], private=True)
    dataset("passengers", [HASH], derived_from=[{"dataset": secret["id"]}])
    dataset("other", derived_from=[{"dataset": secret["id"]}])
    assert like(api, people.outsider) == {}
    assert set(like(api, people.member)) == {"salaries", "other"}
    assert like(api, people.member)["other"] == {"lineage": (1, 1, ["Salaries"])}
    assert "Salaries" not in page("/dataset/passengers/similar", status=200).body


def test_columns_of_files_on_request_are_not_told(people, dataset, api):
    dataset("passengers", [HASH], ["Age", "Fare"])
    dataset("locked", ["b" * 32], ["Age", "Fare"], data_access="on_request")
    assert like(api, people.member) == {}


def test_the_dataset_page_loads_them_later(people, dataset, page):
    dataset("passengers", [HASH])
    dataset("copy", [HASH])
    assert 'hx-get="/dataset/passengers/similar"' in page("/dataset/passengers", status=200).body
    part = page("/dataset/passengers/similar", status=200)
    assert "1 file of equal content" in part.body
    assert "<html" in part.body


def test_the_part_has_no_frame(people, dataset, app):
    dataset("passengers", [HASH])
    dataset("copy", [HASH])
    part = app.get("/dataset/passengers/similar", headers={"HX-Request": "true"}, status=200).body
    assert part.strip().startswith("<section")
    assert "/dataset/copy" in part
