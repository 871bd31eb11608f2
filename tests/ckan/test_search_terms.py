"""The search box: by content, metric, param, version and file, on CKAN's stock Solr schema."""

from __future__ import annotations

import json
import uuid

import pytest
from ckan import model
from ckan.lib import search
from ckan.tests import helpers

from ckanext.mlops.model import versions

OLD, NEW = "3863d0e317dee0a55c4e59d2ec0eef33", "7378f7c0aa51e0a55c4e59d2ec0ee000.dir"


MODEL = {"url": "", "dvc_path": "out/a/model.pkl", "dvc_kind": "model"}


def stage(accuracy, depth, content):
    return {
        "outs": [{"path": "model.pkl", "hash": content, "labels": ["tabular"], "type": "model"}],
        "metrics": [{"file": "m.json", "state": "in-git", "values": {"test": {"accuracy": accuracy}, "loss": -0.5}}],
        "params": [{"file": "params.yaml", "key": "train.max_depth", "value": depth}],
    }


def remember(package, *states):
    rows = [
        {
            "id": str(uuid.uuid4()), "digest": str(number), "commit": f"{number}a1b2c3d" * 5, "position": number,
            "committed": f"202{number}-05-01T00:00:00Z", "facts": facts, "current": number == len(states),
            "refs": [{"name": f"v{number}.0", "kind": "tag", "commit": f"{number}a1b2c3d" * 5}],
        }
        for number, facts in enumerate(states, start=1)
    ]  # fmt: skip
    versions.store(model.Session(), package["id"], rows)
    model.Session.commit()
    search.rebuild(package["id"])


@pytest.fixture
def three(make_dataset):
    """Three models; the first was better once."""
    fields = {"dvc_repository": "https://example.org/o/r.git", "dvc_command": "python train.py --seed 1"}
    best = make_dataset(name="best", dvc_stage="train", **fields, resources=[MODEL])
    good = make_dataset(name="good", dvc_stage="fit", **fields)
    poor = make_dataset(name="poor", dvc_stage="other", **fields)
    remember(best, stage(0.5, 3, OLD), stage(0.91, 5, NEW))
    remember(good, stage(0.85, 7, "aa" * 16))
    remember(poor, stage(0.099, 10, "bb" * 16))


def names(query, **more):
    answer = helpers.call_action("package_search", q=query, **more)
    return [each["name"] for each in answer["results"]]


FINDS = [
    ("accuracy:>0.8", ["best", "good"]),
    ("accuracy:<0.9", ["poor", "good"]),
    ("test.accuracy:>=0.85", ["best", "good"]),
    ("accuracy:=0.91", ["best"]),
    ("loss:<0 accuracy:>0.9", ["best"]),
    ("max_depth:5", ["best"]),
    ("train.max_depth:10", ["poor"]),
    ("max_depth:>5", ["poor", "good"]),
    (OLD, ["best"]),
    (OLD[:8], ["best"]),
    (OLD[:13], ["best"]),
    (f"hash:{NEW[:10]}", ["best"]),
    ("tag:v2.0", ["best"]),
    ("commit:2a1b2c3d2", ["best"]),
    ("path:out/a", ["best"]),
    ("path:model.pkl", ["best"]),
    ("stage:fit", ["good"]),
    ("kind:model", ["best"]),
    ('command:"train.py --seed" accuracy:>0.9', ["best"]),
    ("accuracy:>0.8 fit", ["good"]),
]


def test_terms_find(three):
    """All in one test: the catalog is the same."""
    assert {query: names(query) for query, _ in FINDS} == dict(FINDS)


def test_an_order_of_ones_own_wins(three):
    assert names("accuracy:>0", sort="mlops_number_accuracy asc") == ["poor", "good", "best"]


def test_other_searches_are_as_before(three):
    assert names("name:good") == ["good"]
    assert names("name:good OR name:poor", sort="name asc") == ["good", "poor"]
    assert sorted(names("*:*")) == ["best", "good", "poor"]


def test_facets_say_versions_labels_and_kind_in_words(three):
    wanted = ["vocab_ref", "vocab_label", "vocab_role", "vocab_year"]
    answer = helpers.call_action("package_search", **{"facet.field": json.dumps(wanted)})
    facets = {
        name: {item["display_name"]: item["count"] for item in each["items"]}
        for name, each in answer["search_facets"].items()
    }
    assert facets["vocab_ref"] == {"v1.0": 3, "v2.0": 1}
    assert facets["vocab_label"] == {"tabular": 3, "model": 3}
    assert facets["vocab_role"] == {"Prepared data": 2, "Model": 1}
    assert facets["vocab_year"] == {"2021": 2, "2022": 1}


def test_the_page_says_how_and_offers_the_metrics_order(three, page):
    body = page("/dataset/?q=accuracy:>0.8", status=200).body
    assert "accuracy:&gt;0.8" in body
    assert "accuracy: highest first" in body
    assert body.index('href="/dataset/best"') < body.index('href="/dataset/good"')
    assert "There are no Model alias" not in body, "a facet without values is left out"


def test_private_datasets_stay_private(three, make_dataset, people, api):
    secret = make_dataset(name="secret", private=True, dvc_stage="train", dvc_repository="https://example.org/o/s.git")
    remember(secret, stage(0.99, 5, "cc" * 16))
    found = api("package_search", people.anonymous, q="accuracy:>0.9")
    assert [each["name"] for each in found["results"]] == ["best"]
