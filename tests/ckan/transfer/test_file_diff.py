"""Which files differ between two versions: folders by the lists in their storages, for those who may take them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ckan import model
from ckan.common import config
from ckan.tests import helpers

from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.model import versions

FIRST = {"a.txt": b"alpha", "deep/b.txt": b"beta", "c.txt": b"gamma"}
SECOND = {"a.txt": b"alpha", "deep/b.txt": b"better", "moved.txt": b"gamma"}


def put(folder: Any, data: bytes, suffix: str = "") -> tuple[str, str]:
    digest = Md5(data).hexdigest() + suffix
    key = f"files/md5/{digest[:2]}/{digest[2:]}"
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder / key).write_bytes(data)
    return digest, key


class World:
    """Two versions of a folder and a file."""

    def __init__(self, make_dataset: Any, folder: Any, monkeypatch: Any, version_id: Any) -> None:
        monkeypatch.setitem(config, "ckanext.mlops.storage.x.url", str(folder))
        monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "git.example/o/*")
        self.package = make_dataset(name="titanic", dvc_repository="https://git.example/o/titanic", dvc_stage="train")
        self.ids = [version_id(self.package, digest) for digest in ("0", "1")]
        rows = []
        for number, (id_, files) in enumerate(zip(self.ids, (FIRST, SECOND), strict=True)):
            listed = [{"md5": put(folder, data)[0], "relpath": path} for path, data in files.items()]
            digest, key = put(folder, json.dumps(listed).encode(), ".dir")
            outs = [
                {"path": "data", "hash": digest, "storage": key, "is_dir": True, "nfiles": 3,
                 "size": sum(map(len, files.values()))},
                {"path": "notes.txt", "hash": "a" * 32, "size": 100},
            ]  # fmt: skip
            rows.append(
                {
                    "id": id_,
                    "digest": str(number),
                    "commit": f"{number}" * 40,
                    "facts": {"outs": outs},
                    "position": number,
                }
            )
        versions.store(model.Session(), self.package["id"], rows)
        model.Session.commit()

    @property
    def query(self) -> dict[str, str]:
        return {"before": self.ids[0], "after": self.ids[1]}


@pytest.fixture
def world(people: Any, make_dataset: Any, tmp_path: Any, monkeypatch: Any, version_id: Any) -> World:
    return World(make_dataset, tmp_path, monkeypatch, version_id)


def test_files_of_folders_are_compared(world: World, api: Any) -> None:
    found = api("mlops_file_diff", **world.query)
    assert {key: found[key] for key in ("added", "removed", "changed", "unchanged", "reused", "total")} == {
        "added": 1, "removed": 1, "changed": 1, "unchanged": 2, "reused": 3, "total": 4
    }  # fmt: skip
    assert [(each["path"], each["change"], each["size_after"], each["moved_from"]) for each in found["files"]] == [
        ("data/c.txt", "removed", None, None),
        ("data/deep/b.txt", "changed", 6, None),
        ("data/moved.txt", "added", 5, "data/c.txt"),
    ]
    assert (found["bytes_before"], found["bytes_after"], found["bytes_new"]) == (114, 116, 6)
    assert found["share_of"] == "bytes"
    assert found["share_reused"] == pytest.approx(110 / 116)
    assert found["unknown"] == []


def test_a_folder_that_cannot_be_opened_says_why_and_how_to_know(
    world: World, api: Any, page: Any, monkeypatch: Any
) -> None:
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "git.example/other/*")
    found = api("mlops_file_diff", **world.query)
    assert [each["path"] for each in found["files"]] == ["data"]
    assert "not told how to read" in found["unknown"][0]["why"]
    assert found["share_reused"] is None
    body = page(f"/dataset/titanic/versions/compare?before={world.ids[0]}&after={world.ids[1]}", status=200).body
    assert "dvc diff 000000000000 111111111111" in body


def test_the_comparison_of_versions_lists_files(world: World, page: Any) -> None:
    body = page(f"/dataset/titanic/versions/compare?before={world.ids[0]}&after={world.ids[1]}", status=200).body
    assert "data/moved.txt" in body
    assert "content of data/c.txt" in body
    assert "95 % of the bytes" in " ".join(body.split())


def test_names_in_folders_are_for_who_may_take_the_files(world: World, api: Any, people: Any) -> None:
    helpers.call_action("package_patch", {"user": people.sysadmin.name}, id="titanic", data_access="on_request")
    found = api("mlops_file_diff", people.outsider, **world.query)
    assert "moved.txt" not in json.dumps(found)
    assert "on request" in found["unknown"][0]["why"]
    assert api("mlops_file_diff", people.member, **world.query)["unknown"] == []
