"""Storages that fsspec reads (Google Cloud, Azure, SSH and others), by two of its file systems that need no service."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckanext.mlops.core.storage import Found, ObjectMissing, Settings, StorageError, open_store

fsspec = pytest.importorskip("fsspec")
KEY = "files/md5/ab/cdef"


@pytest.fixture(params=["memory://bucket/project", "file://"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = request.param if request.param != "file://" else f"file://{tmp_path}"
    with (
        fsspec.open(f"{url}/{KEY}", "wb", auto_mkdir=True)
        if url.startswith("file")
        else fsspec.open(f"{url}/{KEY}", "wb") as stream
    ):
        stream.write(b"0123456789")
    return url


def test_a_file_and_parts_of_it(url: str) -> None:
    store = open_store(Settings("x", url))
    assert store.stat(KEY) == Found(10)
    assert b"".join(store.read(KEY)) == b"0123456789"
    assert b"".join(store.read(KEY, 3, 4)) == b"3456"
    assert b"".join(store.read(KEY, 8)) == b"89"
    assert store.local_path(KEY) is None
    assert store.signed_url(KEY, 60, "x.csv") == ""


def test_what_is_missing_or_elsewhere(url: str) -> None:
    store = open_store(Settings("x", url))
    assert store.stat("files/md5/ab/none") is None
    with pytest.raises(ObjectMissing):
        store.read("files/md5/ab/none")
    with pytest.raises(ObjectMissing):
        store.read("../secret")


def test_a_scheme_without_a_file_system_names_what_is_needed() -> None:
    with pytest.raises(StorageError, match="nosuch:// needs a file system of fsspec"):
        open_store(Settings("x", "nosuch://bucket"))
