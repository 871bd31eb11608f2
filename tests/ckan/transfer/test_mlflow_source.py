"""``ckan+dvc://`` addresses with a real portal and MLflow: the version that was named, its hash, its bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ckan import model
from ckan.common import config

pytest.importorskip("mlflow")
# MLflow loads its plug-ins while it is imported: it must not meet ours half-imported.
import mlflow.data

from ckanext.mlops.model import hashes, versions
from ckanext.mlops.training.source import CkanDvcSource, parse

OLD, NEW = b"a,b\n1,2\n", b"a,b\n3,4\n"
FOLDER = {"one.txt": b"one", "deep/two.txt": b"two"}


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def dataset(make_dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version_id: Any) -> dict[str, Any]:
    """A private dataset of a file and a folder in two versions."""
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.url", str(tmp_path / "remote"))
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "*")

    def out(path: str, data: bytes, suffix: str = "") -> dict[str, Any]:
        digest = md5(data) + suffix
        key = f"files/md5/{digest[:2]}/{digest[2:]}"
        (tmp_path / "remote" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "remote" / key).write_bytes(data)
        found = {"path": path, "hash": digest, "algorithm": "md5", "storage": key, "remote": "s"}
        return found | ({"is_dir": True} if suffix else {})

    for data in FOLDER.values():
        out("", data)
    listed = json.dumps([{"md5": md5(data), "relpath": name} for name, data in FOLDER.items()]).encode()
    folder = out("data/texts", listed, ".dir")
    package: dict[str, Any] = make_dataset(
        name="titanic", private=True, dvc_repository="https://git.example/lab/titanic", dvc_stage="prepare"
    )
    rows = [
        {"id": version_id(package, str(number)), "digest": str(number), "commit": "ab"[number] * 40,
         "current": number == 1,
         "position": number, "refs": [{"name": f"v{number}", "kind": "tag", "commit": "ab"[number] * 40}],
         "facts": {"address": "prepare", "outs": [out("data/train.csv", data), folder]}}
        for number, data in enumerate((OLD, NEW))
    ]  # fmt: skip
    versions.store(model.Session(), package["id"], rows)
    guid = "git.example/lab/titanic#prepare"
    hashes.store_harvested(model.Session(), {package["id"]: (guid, rows, [])})
    model.Session.commit()
    return package | {"versions": [row["id"] for row in rows]}


@pytest.fixture
def address(dataset: Any, live: str, people: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CKAN_URL", live)
    monkeypatch.setenv("CKAN_API_TOKEN", people.member.token)
    return live.replace("http://", "ckan+dvc+http://") + "/dataset/titanic"


def test_a_run_keeps_the_version_and_loads_it_again(
    address: str, dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    with mlflow.start_run() as run:
        frame = pd.DataFrame({"a": [1], "b": [2]})
        data = mlflow.data.from_pandas(frame, source=f"{address}@v0/data/train.csv", name="train")
        mlflow.log_input(data, context="training")
    (logged,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    source = mlflow.data.get_source(logged)
    assert isinstance(source, CkanDvcSource)
    assert (source.version, source.md5) == (dataset["versions"][0], md5(OLD))
    assert Path(source.load(str(tmp_path / "got"))).read_bytes() == OLD


@pytest.mark.parametrize(("revision", "data"), [("", NEW), ("@v0", OLD), ("@aaaaaaa", OLD)])
def test_every_name_of_a_version_loads_its_bytes(address: str, tmp_path: Path, revision: str, data: bytes) -> None:
    source = parse(f"{address}{revision}/data/train.csv").completed()
    assert source.md5 == md5(data)
    assert Path(source.load(str(tmp_path / "got"))).read_bytes() == data


def test_a_folder_is_loaded_with_its_files(address: str, tmp_path: Path) -> None:
    found = Path(parse(f"{address}@v1/data/texts").completed().load(str(tmp_path / "got")))
    assert {
        path.relative_to(found).as_posix(): path.read_bytes() for path in found.rglob("*") if path.is_file()
    } == FOLDER


def test_data_named_by_its_hash_is_found_after_the_dataset_went_on(
    address: str, dataset: Any, live: str, tmp_path: Path
) -> None:
    tracked = CkanDvcSource(portal=live, dataset=dataset["id"], path="data/train.csv", md5=md5(OLD))
    assert Path(tracked.load(str(tmp_path / "got"))).read_bytes() == OLD


def test_what_is_not_there_is_an_error_and_what_is_hidden_a_warning(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="no version 'v9'"):
        parse(f"{address}@v9/data/train.csv").completed()
    monkeypatch.delenv("CKAN_API_TOKEN")
    with pytest.warns(UserWarning, match="logged without its hash"):
        assert parse(f"{address}@v0/data/train.csv").completed().md5 == ""
