"""``ckan+dvc://`` addresses: resolved by the portal once, exact to the version, and safe with tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("mlflow")
import mlflow.data

from ckanext.mlops.training.source import CkanDvcSource, parse

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
OLD = {
    "version": "00000000-0000-5000-8000-000000000001",
    "files": [{"path": "data/train.csv", "hash": MD5}, {"path": "data/test.csv", "hash": "b" * 32}],
}
NEW = {
    "version": "00000000-0000-5000-8000-000000000002",
    "files": [{"path": "data/train.csv", "hash": "e" * 32}],
}
VERSIONS = {"": NEW, "v1.0.0": OLD, "aaaaaaa": OLD, OLD["version"]: OLD}


@pytest.fixture
def portal(stand):
    """A stand-in of the few actions that a source asks: a whole CKAN would answer the same in a minute, not at once.

    The real one is asked in ``tests/ckan/transfer/test_mlflow_source.py``.
    """

    def answer(handler):
        parts = urlsplit(handler.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        asked |= json.loads(stand.requests[-1][2] or "{}")
        action = parts.path.rsplit("/", 1)[-1]
        result = None
        if action == "mlops_file_list" and asked["id"] == "titanic":
            result = VERSIONS.get(asked.get("version", ""))
        elif action == "mlops_content_find":
            found = {"dataset": "x", "name": "titanic", "path": "data/train.csv", "version": {"id": OLD["version"]}}
            result = {"results": [found] if asked["hash"] == MD5 else []}
        if action == "download":
            return stand.reply(handler, 200, stand.file)
        if result is None:
            error = {"__type": "Not Found Error", "message": "Not found"}
            return stand.reply(handler, 404, json.dumps({"success": False, "error": error}).encode())
        if "files" in result:
            more = {"is_dir": False, "algorithm": "md5", "size": 0, "address": "/dataset/titanic/download"}
            result = {**result, "files": [{**more, **each} for each in result["files"]]}
        return stand.reply(handler, 200, json.dumps({"success": True, "result": result}).encode())

    stand.answer, stand.file = answer, b""
    return stand


def address(portal, rest):
    return portal.url.replace("http://", "ckan+dvc+http://") + "/dataset/" + rest


@pytest.mark.parametrize(
    ("revision", "version", "md5"),
    [("@v1.0.0", OLD, MD5), ("", NEW, "e" * 32), ("@aaaaaaa", OLD, MD5), ("@" + OLD["version"], OLD, MD5)],
)
def test_mlflow_resolves_an_address_to_version_and_hash(portal, revision, version, md5):
    source = mlflow.data.dataset_source_registry.resolve_dataset_source(
        address(portal, f"titanic{revision}/data/train.csv")
    )
    assert isinstance(source, CkanDvcSource)
    assert (source.version, source.md5, source.path) == (version["version"], md5, "data/train.csv")
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
    monkeypatch.setenv("CKAN_API_TOKEN", "s3cret")
    for url, sent in (("https://elsewhere.example.org", None), (portal.url, "s3cret"), (portal.url + "/sub", None)):
        monkeypatch.setenv("CKAN_URL", url)
        portal.requests.clear()
        parse(address(portal, "titanic/data/train.csv")).completed()
        assert {headers.get("Authorization") for _, headers, _ in portal.requests} == {sent}


def test_a_download_is_checked_against_the_hash(portal, tmp_path):
    source = parse(address(portal, "titanic@v1.0.0/data/train.csv")).completed()
    loaded = Path(source.load(str(tmp_path)))
    assert (loaded, loaded.read_bytes()) == (tmp_path / "data/train.csv", b"")
    loaded.unlink()
    portal.file = b"other bytes"
    with pytest.raises(ValueError, match="another hash"):
        source.load(str(tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_data_that_was_tracked_is_found_by_its_hash_when_the_dataset_has_gone_on(portal, tmp_path):
    source = CkanDvcSource(portal=portal.url, dataset="titanic", path="data/train.csv", md5=MD5)
    assert Path(source.load(str(tmp_path))).read_bytes() == b""
    assert any(OLD["version"] in path or OLD["version"] in str(body) for path, _, body in portal.requests)
    with pytest.raises(ValueError, match="no such file with the hash"):
        CkanDvcSource(portal=portal.url, dataset="titanic", path="data/train.csv", md5="f" * 32).load(str(tmp_path))


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


@pytest.mark.parametrize(
    "before",
    ["import ckanext.mlops.training.source", "import mlflow", "import mlflow.data", "import ckanext.mlops.training"],
)
def test_mlflow_knows_the_source_whatever_is_imported_first(before):
    """In a process of its own: an import happens once."""
    script = f"""
import warnings
warnings.simplefilter("error", UserWarning)
{before}
import mlflow.data
from mlflow.data.dataset_source_registry import get_registered_sources
from ckanext.mlops.training.source import CkanDvcSource
print([each.__name__ for each in get_registered_sources()].count("CkanDvcSource"))
print(CkanDvcSource in get_registered_sources())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ["1", "True"]), done.stderr
