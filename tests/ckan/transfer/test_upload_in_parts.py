"""A large file goes in parts: a break, a killed program and a lost answer cost one part, and nothing is half there."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from ckan import model
from ckan.common import config
from ckan.lib import uploader
from ckan.tests import helpers

from ckanext.mlops.client import DatasetRecord, FileRecord, Portal, Refused, plan, upload, uploads
from ckanext.mlops.client import portal as portals
from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.transfers import appending

DATA = bytes(range(256)) * 4096
PART = 100_000
SEND = """
import sys
from pathlib import Path
from ckanext.mlops.client import DatasetRecord, FileRecord, Portal, portal, upload, uploads
uploads.IN_PARTS = uploads.TINY
portal.PART = 20_000
url, token, path = sys.argv[1:]
record = DatasetRecord("large", owner_org="lab", files=(FileRecord("large.bin", Path(path)),))
for result in upload(Portal(url, token), [record]):
    print(result.status, result.error)
"""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portals, "PART", PART)
    monkeypatch.setattr(uploads, "IN_PARTS", uploads.TINY)
    for path in part_files():  # of other tests
        path.unlink()


@pytest.fixture
def record(tmp_path: Path) -> DatasetRecord:
    (tmp_path / "large.bin").write_bytes(DATA)
    return DatasetRecord("large", owner_org="lab", files=(FileRecord("large.bin", tmp_path / "large.bin"),))


def resource() -> dict[str, Any]:
    model.Session.remove()
    found: dict[str, Any] = helpers.call_action("package_show", {"ignore_auth": True}, id="large")["resources"][0]
    return found


def part_files() -> list[Path]:
    return [path for path in (Path(uploader.get_storage_path()) / "mlops/parts").glob("*") if path.is_file()]


def content(app: Any) -> bytes:
    return bytes(app.get(resource()["url"].replace("http://portal.test", ""), follow_redirects=True).data)


class Break:
    """The network, which ends the ``number``-th request for a part: before it is sent, or before its answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, *, answered: bool) -> None:
        self.sent = 0
        original = requests.Session.send

        def send(session: Any, request: Any, **options: Any) -> Any:
            appends = "mlops_file_append" in str(request.url) and b"upload" in (request.body or b"")[:5000]
            self.sent += appends
            if appends and self.sent == number:
                if answered:
                    original(session, request, **options)
                raise requests.ConnectionError("the cable")
            return original(session, request, **options)

        monkeypatch.setattr(requests.Session, "send", send)


def broken_off(portal: Portal, record: DatasetRecord, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What comes of an upload whose fifth part does not go out."""
    portal.retries = 0
    with monkeypatch.context() as patch:
        Break(patch, 5, answered=False)
        (result,) = upload(portal, [record])
    return result


def test_a_break_is_continued_by_the_next_upload(
    portal: Portal, record: DatasetRecord, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = broken_off(portal, record, monkeypatch)
    assert (result.status, result.uploaded) == ("failed", [])
    assert not resource().get("hash")
    assert [path.stat().st_size for path in part_files()] == [4 * PART]
    counted = Break(monkeypatch, 0, answered=False)
    moved: list[int] = []
    (again,) = upload(portal, [record], progress=moved.append)
    assert (again.status, again.uploaded, again.error) == ("updated", ["large.bin"], "")
    assert counted.sent == 7  # of 11 parts
    assert sum(moved) == len(DATA)
    assert (resource()["hash"], resource()["size"]) == (Md5(DATA).hexdigest(), len(DATA))
    assert content(app) == DATA
    assert part_files() == []
    (third,) = upload(portal, [record])
    assert (third.status, third.uploaded) == ("unchanged", [])


@pytest.mark.parametrize("number", [3, 11], ids=["in the middle", "at the end"])
def test_a_lost_answer_costs_nothing(
    portal: Portal, record: DatasetRecord, app: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    counted = Break(monkeypatch, number, answered=True)
    (result,) = upload(portal, [record])
    assert (result.status, result.error) == ("created", "")
    assert counted.sent == 12
    assert content(app) == DATA


def test_a_killed_upload_is_continued(
    portal: Portal, record: DatasetRecord, app: Any, live: str, people: Any, killed: Any, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SEND, live, people.editor.token, str(tmp_path / "large.bin")]
    killed(command, lambda: any(path.stat().st_size >= 100_000 for path in part_files()))
    assert not resource().get("hash")
    moved: list[int] = []
    (result,) = upload(portal, [record], progress=moved.append)
    assert (result.status, result.error) == ("updated", "")
    assert content(app) == DATA
    assert [result.status for result in plan(portal, [record])] == ["unchanged"]


def test_a_file_that_changed_begins_again(
    portal: Portal, record: DatasetRecord, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(portal, record, monkeypatch)
    path = record.files[0].path
    assert path is not None
    path.write_bytes(DATA[::-1])
    (result,) = upload(portal, [record])
    assert result.error == ""
    assert content(app) == DATA[::-1]
    assert part_files() == []


def test_other_bytes_than_announced_change_nothing(portal: Portal, record: DatasetRecord, people: Any) -> None:
    list(upload(portal, [record]))
    before = resource()
    fields = {"id": before["id"], "key": "x", "size": 4, "name": "x.bin", "hash": Md5(b"good").hexdigest()}
    with pytest.raises(Refused, match="another hash"):
        portal.action("mlops_file_append", files={"upload": ("x.bin", b"evil")}, **fields)
    assert resource() == before
    assert part_files() == []


def test_a_part_from_elsewhere_and_too_much_is_not_taken(portal: Portal, record: DatasetRecord) -> None:
    list(upload(portal, [record]))
    fields = {"id": resource()["id"], "key": "y", "size": 4}
    found = portal.action("mlops_file_append", files={"upload": ("x", b"cd")}, offset=2, **fields)
    assert found == {"received": 0, "resource": None}
    found = portal.action("mlops_file_append", files={"upload": ("x", b"abcdefgh")}, **fields)
    assert found["received"] == 4


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    portal: Portal, record: DatasetRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(config, "ckan.max_resource_size", 1)
    path = record.files[0].path
    assert path is not None
    path.write_bytes(DATA + b"x")
    counted = Break(monkeypatch, 0, answered=False)
    (result,) = upload(portal, [record])
    assert result.status == "failed"
    assert "up to 1 MB" in result.error
    assert counted.sent == 0


def test_parts_that_nobody_continues_are_removed(people: Any) -> None:
    with appending.parts("r1", "u", "old") as parts:
        parts.append(0, io.BytesIO(b"x"), 10)
        old = parts.path
    os.utime(old, (0, 0))
    with appending.parts("r2", "u", "new") as parts:
        assert not old.exists()
        parts.forget()
