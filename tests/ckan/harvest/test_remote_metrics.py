"""Metrics that only a storage holds are fetched for a source that asks for it, and nothing depends on it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from ckan.common import config as ckan_settings
from ckan.tests import helpers

from ckanext.mlops.harvesting import foreground, planning

from .conftest import Repo

EVALUATE = """\
  evaluate:
    cmd: sh evaluate.sh
    deps: [model.pkl]
    params: [seed]
    metrics: [scores.json]
"""
SCRIPT = """echo '{"accuracy": 0.7'$(cut -c7 params.yaml)'}' > scores.json\n"""
STORAGE = "ckanext.mlops.storage.lab"


@pytest.fixture(scope="module")
def pushed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tags ``one`` and ``two`` have different scores, which DVC pushed to a folder."""
    folder = tmp_path_factory.mktemp("pushed")
    shutil.copytree(built, folder / "titanic", symlinks=True)
    repo = Repo(folder / "titanic", minute=2)
    repo.dvc("remote", "add", "--default", "near", str(folder / "store"))
    repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text() + EVALUATE)
    repo.write("evaluate.sh", SCRIPT)
    repo.dvc("repro", "--force", "train", "evaluate")
    repo.commit("Evaluate")
    repo.git("tag", "one")
    repo.dvc("push")
    repo.write("params.yaml", "seed: 7\n")
    repo.dvc("repro", "evaluate")
    repo.commit("Seven")
    repo.git("tag", "two")
    repo.dvc("push")
    return folder


@pytest.fixture
def project(pushed: Path, root: Path) -> Repo:
    shutil.copytree(pushed / "titanic", root / "titanic", symlinks=True)
    return Repo(root / "titanic", minute=4)


@pytest.fixture
def store(pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator gives the storage to the repository."""
    folder = tmp_path / "store"
    shutil.copytree(pushed / "store", folder)
    monkeypatch.setitem(ckan_settings, f"{STORAGE}.url", str(folder))
    monkeypatch.setitem(ckan_settings, f"{STORAGE}.repositories", "*/titanic")
    return folder


def versions(name: str = "titanic-evaluate") -> dict[str, dict[str, Any]]:
    """By tag: id, and the values of metrics."""
    found = helpers.call_action("mlops_version_list", id=name)["results"]
    told = {}
    for each in found:
        shown = helpers.call_action("mlops_version_show", id=each["id"])
        told |= {ref["name"]: shown for ref in each["refs"]}
    return told


def scores(shown: dict[str, Any]) -> dict[str, Any]:
    [metric] = shown["facts"]["metrics"]
    return dict(metric.get("values") or {})


def warnings() -> str:
    return "\n".join(planning.preview(foreground.find_source("titanic"), progress=lambda message: None).warnings)


def test_values_are_those_of_the_files(project: Any, store: Any, source: Any, harvest: Any, page: Any) -> None:
    source(project.path, remote_metrics=True)
    assert harvest().counts()["added"] == 4
    found = versions()
    assert (scores(found["one"]), scores(found["two"])) == ({"accuracy": 0.72}, {"accuracy": 0.77})
    [change] = found["two"]["changes"]["metrics"]
    assert (change["name"], change["before"], change["after"]) == ("accuracy", 0.72, 0.77)
    assert "0.77" in page(f"/dataset/titanic-evaluate/versions/{found['two']['id']}", status=200).body
    assert [each["name"] for each in helpers.call_action("package_search", q="accuracy:<0.78")["results"]] == [
        "titanic-evaluate"
    ]
    assert warnings() == ""
    assert harvest().counts()["unchanged"] == 4


def test_nothing_is_fetched_unless_the_source_asks(project: Any, store: Any, source: Any, harvest: Any) -> None:
    source(project.path)
    harvest()
    before = versions()
    assert scores(before["one"]) == {}
    configured = foreground.find_source("titanic")
    configured.config = '{"remote_metrics": true}'
    configured.save()
    assert harvest().counts()["changed"] == 1
    after = versions()
    assert scores(after["one"]) == {"accuracy": 0.72}
    assert {tag: each["id"] for tag, each in after.items()} == {tag: each["id"] for tag, each in before.items()}


def test_what_was_fetched_stays_when_the_storage_is_gone(
    project: Any, store: Any, source: Any, harvest: Any, catalog: Any
) -> None:
    source(project.path, remote_metrics=True)
    harvest()
    before = catalog()
    shutil.rmtree(store)
    project.commit("Nothing of DVC")
    assert harvest().counts()["unchanged"] == 4
    assert catalog()["packages"] == before["packages"]
    assert scores(versions()["one"]) == {"accuracy": 0.72}


def test_what_is_missing_is_said_and_asked_for_again(
    project: Any, store: Any, source: Any, harvest: Any, pushed: Path
) -> None:
    shutil.rmtree(store)
    store.mkdir()
    source(project.path, remote_metrics=True)
    report = harvest()
    assert (report.counts()["added"], report.counts()["failed"], report.problems) == (4, 0, [])
    said = warnings()
    assert "scores.json, stage evaluate, at main" in said
    assert "the storage does not have it; run 'dvc push'" in said
    shutil.rmtree(store)
    shutil.copytree(pushed / "store", store)
    assert harvest().counts()["changed"] == 1, "no ref moved"
    assert scores(versions()["two"]) == {"accuracy": 0.77}


def test_only_storages_that_the_operator_gave_are_read(
    project: Any, store: Any, source: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ckan_settings, f"{STORAGE}.repositories", "github.com/other/*")
    source(project.path, remote_metrics=True)
    harvest()
    assert 'is not told how to read the DVC remote "near"' in warnings()
    assert scores(versions()["one"]) == {}


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("stored_bytes", "5", "larger than 5 bytes (limit: stored_bytes)"),
        ("stored_files", "1", "more than 1 files would be fetched at once (limit: stored_files)"),
        ("stored_seconds", "-1", "(limit: stored_seconds)"),
    ],
)
def test_every_bound_is_the_operators_and_is_named(
    limit: str, value: str, said: str, project: Any, store: Any, source: Any, harvest: Any, monkeypatch: Any
) -> None:
    monkeypatch.setitem(ckan_settings, f"ckanext.mlops.repository.limit.{limit}", value)
    source(project.path, remote_metrics=True)
    report = harvest()
    assert report.counts()["failed"] == 0
    job = helpers.call_action("mlops_harvest_report", {"user": "root"}, id=report.job)
    assert said in "\n".join(job["warnings"])


def test_more_files_than_allowed_come_with_later_harvests(
    project: Any, store: Any, source: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.repository.limit.stored_files", "1")
    source(project.path, remote_metrics=True)
    harvest()
    assert sum(bool(scores(each)) for each in {each["id"]: each for each in versions().values()}.values()) == 1
    harvest()
    assert all(scores(each) for each in versions().values())
    assert warnings() == ""


def test_content_must_be_what_git_names_and_a_metrics_file(project: Any, store: Any, source: Any, harvest: Any) -> None:
    digest = (project.path / "dvc.lock").read_text().split("path: scores.json")[1].split("md5: ")[1][:32]
    stored = store / "files" / "md5" / digest[:2] / digest[2:]
    stored.chmod(0o600)
    stored.write_text('{"accuracy": 1}')
    source(project.path, remote_metrics=True)
    harvest()
    assert "the storage has something else under that hash" in warnings()
    assert scores(versions()["two"]) == {}
    garbage = b"[[[ \x00"
    new = hashlib.md5(garbage, usedforsecurity=False).hexdigest()
    (store / "files" / "md5" / new[:2]).mkdir(exist_ok=True)
    (store / "files" / "md5" / new[:2] / new[2:]).write_bytes(garbage)
    project.edit("dvc.lock", digest, new)
    project.commit("Garbage")
    assert harvest().counts()["failed"] == 0
    assert "scores.json, stage evaluate, at main" in warnings()


def test_values_of_data_that_is_given_on_request_stay_where_they_are(
    project: Any, store: Any, source: Any, harvest: Any
) -> None:
    source(project.path, remote_metrics=True)
    harvest()
    helpers.call_action("package_patch", {"user": "root"}, id="titanic-evaluate", data_access="on_request")
    assert harvest().counts()["changed"] == 1
    assert [scores(each) for each in versions().values()] == [{}, {}, {}]
    assert warnings() == ""
    helpers.call_action("package_patch", {"user": "root"}, id="titanic-evaluate", data_access="")
    harvest()
    assert scores(versions()["one"]) == {"accuracy": 0.72}
