"""Facets and free-text search by the fields, on CKAN's stock Solr schema."""

from __future__ import annotations

import json

import pytest
from ckan.tests import helpers

HASH = "3863d0e317dee0a55c4e59d2ec0eef33"


@pytest.fixture
def titanic(make_dataset):
    return make_dataset(
        name="titanic",
        dvc_repository="git@github.com:example/titanic.git",
        dvc_stage="train",
        dvc_commit="9c1d8e0f3a7b5c2d4e6f8091a2b3c4d5e6f70819",
        dvc_command="python src/train.py --estimators zweihundert",
        derived_from=[{"url": "https://www.kaggle.com/c/titanic", "label": "Passagierliste"}],
        resources=[
            {"url": "", "dvc_kind": "model", "dvc_path": "models/deep/estimator.pkl", "hash": HASH + ".dir"},
            {"url": "", "dvc_kind": "metrics", "dvc_path": "scores.json", "dvc_storage_path": "s3://bucket/aa/bbcc"},
            {"url": "", "dvc_kind": "metrics"},
        ],
    )


def found(**query):
    return helpers.call_action("package_search", **query)


@pytest.mark.parametrize(
    "words",
    [
        HASH,
        HASH[:8],
        HASH + ".dir",
        "models/deep/estimator.pkl",
        "estimator.pkl",
        "scores.json",
        "zweihundert",
        "train.py",
        "9c1d8e0f3a7b5c2d4e6f8091a2b3c4d5e6f70819",
        "9c1d8e0f",
        "Passagierliste",
        "train",
    ],
)
def test_words_that_find_a_dataset(titanic, make_dataset, words):
    make_dataset(name="another", dvc_stage="fetch", resources=[{"url": "", "hash": "0" * 32, "dvc_path": "a/b.csv"}])
    # Readers do not quote; a colon or slash in their words is not a query of its own.
    answer = found(q=words.replace("/", r"\/"), defType="edismax")
    assert [each["name"] for each in answer["results"]] == ["titanic"]


def test_facets(titanic):
    answer = found(**{"facet.field": json.dumps(["vocab_repository", "vocab_dvc_kind", "vocab_dvc_stage"])})
    facets = {
        name: {item["name"]: item["count"] for item in each["items"]} for name, each in answer["search_facets"].items()
    }
    assert facets == {
        "vocab_repository": {"github.com/example/titanic": 1},
        "vocab_dvc_kind": {"metrics": 1, "model": 1},
        "vocab_dvc_stage": {"train": 1},
    }
    assert found(fq='vocab_dvc_kind:"model"')["count"] == 1


def test_files_without_a_format_make_no_empty_facet(make_dataset):
    make_dataset(name="titanic", resources=[{"url": "", "format": "CSV"}, {"url": "", "name": "folder/"}])
    answer = found(**{"facet.field": '["res_format"]'})
    assert [item["name"] for item in answer["search_facets"]["res_format"]["items"]] == ["CSV"]


@pytest.mark.parametrize("url", ["/dataset/", "/organization/lab"])
def test_facets_have_titles_on_the_search_pages(titanic, make_dataset, page, url):
    make_dataset(name="other", dvc_repository="https://github.com/example/other", dvc_stage="fetch")
    body = page(url, status=200).body
    for title in ("Repository", "Kind", "Stage"):
        assert f"{title}\n" in body or f">{title}<" in body or f" {title} " in body
    assert "github.com/example/titanic" in body


def test_a_dataset_with_huge_fields_is_indexed(make_dataset):
    """Lucene takes no term above 32,766 bytes; a dataset must not be lost to the search for that."""
    sources = [{"url": f"https://example.com/{number}/" + "x" * 300, "label": "y" * 200} for number in range(200)]
    make_dataset(
        name="titanic",
        dvc_command="ü" * 99_000,
        dvc_stage="s" * 2000,
        url="https://example.com/" + "z" * 40_000,
        derived_from=sources,
        resources=[{"url": "https://example.com/" + "u" * 40_000, "dvc_path": "p" * 4000, "description": "d" * 50_000}],
    )
    answer = found(q="name:titanic")
    assert answer["count"] == 1
    assert len(answer["results"][0]["derived_from"]) == 200, "the search answers with the whole dataset"


def test_datasets_without_our_fields_are_indexed_as_before(make_dataset):
    make_dataset(name="plain", notes="zebra")
    assert found(q="zebra")["count"] == 1
