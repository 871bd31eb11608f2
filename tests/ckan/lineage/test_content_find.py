"""Is a file known, and where does it come from: by its hash, and only in datasets that the reader may see."""

from __future__ import annotations

import uuid

import pytest
from ckan import model

from ckanext.mlops.model import hashes, versions

DIGEST = "3863d0e317dee0a55c4e59d2ec0eef33"


@pytest.fixture
def make(make_dataset):
    """A dataset whose output ``train.csv`` has the content, now or before."""

    def make(name, *, current=True, **values):
        package = make_dataset(name=name, dvc_repository="https://git.example/o/r", dvc_stage=name, **values)
        out = {"path": "train.csv", "hash": DIGEST, "algorithm": "md5", "size": 100}
        row = {
            "id": str(uuid.uuid4()), "digest": name, "commit": "c" * 40, "current": current, "position": 1,
            "refs": [{"name": "v1", "kind": "tag", "commit": "c" * 40}],
            "facts": {"outs": [out], "command": "python make.py"},
        }  # fmt: skip
        versions.store(model.Session(), package["id"], [row])
        hashes.store_harvested(model.Session(), {package["id"]: ("git.example/o/r#" + name, [row], [])})
        model.Session.commit()
        return package, row

    return make


def find(api, person, **values):
    return api("mlops_content_find", person, **{"hash": DIGEST} | values)["results"]


def test_it_says_where_and_at_which_version(api, people, make):
    old, _ = make("old", current=False)
    _, row = make("titanic")
    first, second = find(api, people.anonymous, hash=DIGEST.upper())
    version = {"id": row["id"], "commit": "c" * 40, "refs": ["v1"], "current": True}
    assert (first["name"], first["path"], first["made"], first["version"]) == ("titanic", "train.csv", True, version)
    assert (second["dataset"], second["current"]) == (old["id"], False), "what has it now is first"
    assert [each["name"] for each in find(api, people.anonymous, without="titanic")] == ["old"]


def test_a_hidden_dataset_is_not_told(api, people, make):
    make("secret", private=True)
    assert find(api, people.outsider) == []
    assert [each["name"] for each in find(api, people.member)] == ["secret"]


@pytest.mark.parametrize("digest", ["d41d8cd98f00b204e9800998ecf8427e", "x", "a" * 32])
def test_what_says_nothing_or_is_unknown_finds_nothing(api, people, make, digest):
    make("titanic")
    assert find(api, people.editor, hash=digest) == []
