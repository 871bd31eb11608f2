"""``ckan+dvc://`` addresses: resolved by the portal once, exact to the version, and safe with tokens."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("mlflow")
import mlflow.data

from ckanext.mlops.training.source import CkanDvcSource, parse

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
OLD = {
    "id": "00000000-0000-5000-8000-000000000001",
    "commit": "a" * 40,
    "refs": [{"name": "v1.0.0", "kind": "tag"}],
    "current": False,
    "facts": {"outs": [{"path": "data/train.csv", "hash": MD5}, {"path": "data/test.csv", "hash": "b" * 32}]},
}
NEW = {**OLD, "id": "00000000-0000-5000-8000-000000000002", "commit": "c" * 40, "refs": [], "current": True}
NEW = {**NEW, "facts": {"outs": [{"path": "data/train.csv", "hash": "e" * 32}]}}


@pytest.fixture
def portal(stand):
    """A stand-in of the few actions that a source asks: a whole CKAN would answer the same in a minute, not at once."""

    def answer(handler):
        parts = urlsplit(handler.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        action = parts.path.rsplit("/", 1)[-1]
        if action == "mlops_version_list" and asked["id"] == "titanic":
            offset = int(asked["offset"])
            result = {"count": 150, "results": [] if offset else [NEW] * 99 + [NEW]}
            if offset:
                result["results"] = [OLD]
        elif action == "mlops_version_show":
            result = OLD
        elif action == "package_show":
            url = f"http://{handler.headers['Host']}/file.csv"
            result = {"resources": [{"dvc_path": "data/train.csv", "hash": MD5, "url": url}]}
        elif action == "file.csv":
            return stand.reply(handler, 200, stand.file)
        else:
            return stand.reply(handler, 404, b"{}")
        return stand.reply(handler, 200, json.dumps({"success": True, "result": result}).encode())

    stand.answer, stand.file = answer, b""
    return stand


def address(portal, rest):
    return portal.url.replace("http://", "ckan+dvc+http://") + "/dataset/" + rest


@pytest.mark.parametrize(
    ("revision", "version", "md5"),
    [("@v1.0.0", OLD, MD5), ("", NEW, "e" * 32), ("@aaaaaaa", OLD, MD5), ("@" + OLD["id"], OLD, MD5)],
)
def test_mlflow_resolves_an_address_to_version_and_hash(portal, revision, version, md5):
    source = mlflow.data.dataset_source_registry.resolve_dataset_source(
        address(portal, f"titanic{revision}/data/train.csv")
    )
    assert isinstance(source, CkanDvcSource)
    assert (source.version, source.md5, source.path) == (version["id"], md5, "data/train.csv")
    kept = source.to_json()
    assert json.loads(kept)["page"] == f"{portal.url}/dataset/titanic"
    assert mlflow.data.dataset_source_registry.get_dataset_source_from_json(kept, "ckan_dvc") == source


def test_the_only_file_need_not_be_named(portal):
    assert parse(address(portal, "titanic")).completed().path == "data/train.csv"


@pytest.mark.parametrize(
    ("rest", "words"), [("titanic@v9/data/train.csv", "no version 'v9'"), ("titanic/data/x.csv", "no file data/x.csv")]
)
def test_what_the_dataset_does_not_have_is_named(portal, rest, words):
    with pytest.raises(ValueError, match=words):
        parse(address(portal, rest)).completed()


def test_a_portal_that_is_away_leaves_the_hash_open_and_says_so(portal):
    with pytest.warns(UserWarning, match="logged without its hash"):
        source = parse(address(portal, "hidden/data/train.csv")).completed()
    assert (source.md5, source.digest, source.path) == ("", None, "data/train.csv")


def test_the_token_goes_to_the_portal_of_the_environment_only(portal, monkeypatch):
    monkeypatch.setenv("CKAN_TOKEN", "s3cret")
    for url, sent in (("https://elsewhere.example.org", None), (portal.url, "s3cret"), (portal.url + "/sub", None)):
        monkeypatch.setenv("CKAN_URL", url)
        portal.requests.clear()
        parse(address(portal, "titanic/data/train.csv")).completed()
        assert {headers.get("Authorization") for _, headers, _ in portal.requests} == {sent}


def test_a_download_is_checked_against_the_hash(portal, tmp_path):
    source = parse(address(portal, "titanic@v1.0.0/data/train.csv")).completed()
    assert Path(source.load(str(tmp_path))).read_bytes() == b""
    portal.file = b"other bytes"
    with pytest.raises(ValueError, match="other bytes"):
        source.load(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "uri",
    ["ckan+dvc://u:p@host/dataset/x", "ckan+dvc://host/other/x", "ckan+dvc:///dataset/x", "https://host/dataset/x"],
)
def test_other_addresses_are_refused(uri):
    with pytest.raises(ValueError, match="no address of a dataset"):
        parse(uri)


def test_a_portal_below_a_path_and_odd_names():
    source = parse("ckan+dvc://host:8443/catalog/dataset/x@feature%2Fa/data/a%20b.csv")
    assert (source.portal, source.dataset) == ("https://host:8443/catalog", "x")
    assert (source.revision, source.path) == ("feature/a", "data/a b.csv")
    assert parse(source.uri) == source
