"""Suggestions while a person types: what the catalog has and the reader may see, as terms that the search reads."""

from __future__ import annotations

import pytest
from ckan import model
from ckan.lib import search

from ckanext.mlops.model import versions
from ckanext.mlops.model.transfers import Content

HASH, SECRET_HASH = "3f2a9c01" * 4, "3f2aeeee" * 4


@pytest.fixture
def world(people, make_dataset):
    """A public dataset and a private one of other columns, metrics and hashes."""
    for name, private, digest, columns in (
        ("passengers", False, HASH, ["Age", "Passenger Id", "Fare"]),
        ("salaries", True, SECRET_HASH, ["Wage", "Age of contract"]),
    ):
        package = make_dataset(
            name=name,
            title=name.title(),
            private=private,
            dvc_repository=f"https://example.org/o/{name}",
            dvc_stage="prepare",
        )
        facts = {
            "outs": [{"path": "x.csv", "hash": digest}],
            "metrics": [{"path": "m.json", "values": {"eval": {"accuracy": 0.9}, f"{name}_score": 1}}],
            "params": [{"key": "max_depth", "value": 5 if not private else 77}],
        }
        row = {"id": f"v-{name}", "digest": "x", "commit": digest[:20] * 2, "facts": facts, "current": True}
        row["refs"] = [{"name": f"{name}-v1", "kind": "tag", "commit": "c" * 40}]
        versions.store(model.Session(), package["id"], [row])
        profile = {"kind": "table", "rows": 3, "columns": [{"name": each} for each in columns]}
        model.Session.add(Content(package_id=package["id"], path="x.csv", hash=digest, profile=profile))
        model.Session.commit()
        search.rebuild(package["id"])
    make_dataset(name="long", title="A dataset of long names")


def offered(api, person, q, **more):
    return {(each["kind"], each["term"] or each["name"]) for each in api("mlops_search_suggest", person, q=q, **more)}


OFFERED = {
    "passen": ("dataset", "passengers"),
    "Passengers": ("dataset", "passengers"),
    "of long name": ("dataset", "long"),
    "fare": ("column", "column:Fare"),
    "ger id": ("column", 'column:"Passenger Id"'),
    "accu": ("metric", "eval.accuracy:>"),
    "depth": ("param", "max_depth:"),
    "max_depth:": ("param", "max_depth:5"),
    "passengers-v": ("ref", "ref:passengers-v1"),
    "tag:pass": ("ref", "tag:passengers-v1"),
    "column:ag": ("column", "column:Age"),
    "prep": ("stage", "stage:prepare"),
    "example.org": ("repository", "repository:example.org/o/passengers"),
    "3f2a9": ("hash", f"hash:{HASH}"),
    "commit:3F2A": ("commit", f"commit:{HASH[:20] * 2}"),
}


def test_a_word_becomes_what_the_catalog_has(world, people, api):
    wrong = [typed for typed, expected in OFFERED.items() if expected not in offered(api, people.anonymous, typed)]
    assert wrong == []


def test_nothing_of_what_the_reader_may_not_see(world, people, api):
    for typed in ("salar", "wage", "age", "3f2ae", "max_depth:", "column:", "salaries", "score"):
        for person in (people.anonymous, people.outsider):
            said = repr(api("mlops_search_suggest", person, q=typed)).lower()
            for secret in ("salar", "wage", "contract", "77", SECRET_HASH):
                assert secret not in said, typed
    assert offered(api, people.member, "wage")


def test_every_term_finds_the_dataset(world, people, api):
    terms = [
        each["term"] for q in ("pass", "age", "depth", "prep", "3f2a9") for each in api("mlops_search_suggest", q=q)
    ]
    terms = [each for each in terms if each and not each.endswith((":", ">"))]
    assert len(terms) >= 5
    for term in terms:
        assert api("package_search", q=term)["count"] >= 1, term


def test_what_means_something_to_solr_is_text(people, api):
    for typed in ("a", '"', "{!func}", "a:*", "*", "(a OR", "x" * 500, "column:\\", "état"):
        assert api("mlops_search_suggest", people.anonymous, q=typed) == [], typed


def test_the_list_is_bounded(world, people, api):
    assert len(api("mlops_search_suggest", people.member, q="a", limit=2)) == 0
    assert len(api("mlops_search_suggest", people.member, q="ag", limit=2)) == 2


def test_the_box_has_them_where_datasets_are_searched(world, page):
    assert 'data-mlops-suggest="field-main-search"' in page("/", status=200).body
    assert 'data-mlops-suggest="field-giant-search"' in page("/dataset/", status=200).body
    assert 'data-mlops-suggest="field-giant-search"' in page("/organization/lab", status=200).body
    body = page("/organization/", status=200).body
    assert 'data-mlops-suggest="field-giant-search"' not in body, "organizations are searched there"
    assert 'data-mlops-suggest="field-sitewide-search"' in body
