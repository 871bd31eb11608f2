"""What DVC remotes hold: pushed or missing, lists of folders, small values; from a folder, a web server and S3."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ckanext.mlops.core import Limits
from ckanext.mlops.core.records import Metric, Output, Snapshot
from ckanext.mlops.core.storage import Settings, StorageError
from ckanext.mlops.core.stored import Stores, parse_manifest, stores_of
from ckanext.mlops.tool import main

METRIC = b'{"acc": 0.75, "note": "best"}'
BUCKET = "dvc-data"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], Path]:
    """Files of a project that real DVC wrote, and the folder that it pushed to."""
    pytest.importorskip("dvc", reason="real DVC pushes the data")
    top = tmp_path_factory.mktemp("project")
    work, remote = top / "work", top / "remote"

    def run(*command: str) -> None:
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
        subprocess.run(command, cwd=work, check=True, capture_output=True, env=environment)

    def dvc(*arguments: str) -> None:
        run(sys.executable, "-m", "dvc", *arguments)

    (work / "images/deep").mkdir(parents=True)
    (work / "images/one.txt").write_text("one")
    (work / "images/deep/zwei ü.txt").write_text("zwei")
    (work / "raw.csv").write_text("a,b\n1,2\n")
    (work / "kept.csv").write_text("never pushed")
    (work / "m.json").write_bytes(METRIC)
    (work / "dvc.yaml").write_text("stages:\n  eval:\n    cmd: 'true'\n    metrics: [m.json]\n")
    run("git", "init", "-q", "-b", "main")
    dvc("init", "-q")
    dvc("remote", "add", "-q", "-d", "store", str(remote))
    dvc("add", "-q", "images", "raw.csv")
    dvc("commit", "-q", "-f", "eval")
    dvc("push", "-q")
    dvc("add", "-q", "kept.csv")
    names = ("images.dvc", "raw.csv.dvc", "kept.csv.dvc", "dvc.yaml", "dvc.lock")
    return {name: (work / name).read_bytes() for name in names}, remote


@pytest.fixture(scope="module")
def web(project: tuple[dict[str, bytes], Path]) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(project[1]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def s3(project: tuple[dict[str, bytes], Path]) -> Iterator[Settings]:
    """The same objects behind an S3 service."""
    moto = pytest.importorskip("moto.server", reason="an S3 service of its own")
    boto3 = pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    settings = Settings("store", f"s3://{BUCKET}/team", endpoint, "us-east-1", "key", "secret")
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket=BUCKET)
    for path in project[1].rglob("*"):
        if path.is_file():
            client.put_object(Bucket=BUCKET, Key=f"team/{path.relative_to(project[1])}", Body=path.read_bytes())
    yield settings
    server.stop()


def config(url: str) -> str:
    return f"[core]\n    remote = store\n['remote \"store\"']\n    url = {url}\n"


@pytest.fixture(params=["folder", "web", "s3"])
def asked(request: Any, repo: Any, project: tuple[dict[str, bytes], Path]) -> tuple[Snapshot, Stores]:
    """A snapshot, and the storages that read its remote."""
    files, remote = project
    if request.param == "folder":
        url, settings = "/home/ada/dvc", Settings("store", str(remote))
    elif request.param == "web":
        url, settings = "https://data.example.org/dvc", Settings("store", request.getfixturevalue("web"))
    else:
        url, settings = f"s3://{BUCKET}/team", request.getfixturevalue("s3")
    repo.commit({**files, ".dvc/config": config(url)})
    return repo.snapshot(), Stores({"store": settings})


def output(snapshot: Snapshot, path: str) -> Output:
    return next(out for stage in snapshot.stages for out in stage.outs if out.path == path)


def test_pushed_and_missing(asked: tuple[Snapshot, Stores]) -> None:
    snapshot, stores = asked
    found = {item.path: item for item in stores.presence(snapshot)}
    assert {path: item.state for path, item in found.items()} == {
        "images": "pushed",
        "raw.csv": "pushed",
        "kept.csv": "missing",
        "m.json": "pushed",
    }
    assert (found["images"].asked, found["images"].missing) == (2, 0)


def test_files_of_a_folder(asked: tuple[Snapshot, Stores]) -> None:
    snapshot, stores = asked
    files = stores.manifest(output(snapshot, "images"), snapshot.remotes)
    assert [(file.path, file.size) for file in files] == [("deep/zwei ü.txt", 4), ("one.txt", 3)]
    assert files[1].hash == hashlib.md5(b"one", usedforsecurity=False).hexdigest()
    assert stores.manifest(output(snapshot, "images"), snapshot.remotes, sizes=False)[0].size is None


def test_values_that_only_the_remote_holds(asked: tuple[Snapshot, Stores]) -> None:
    snapshot, stores = asked
    metrics = [metric for stage in stores.with_values(snapshot).stages for metric in stage.metrics]
    assert metrics == [Metric("m.json", "from-remote", {"acc": 0.75, "note": "best"})]
    small = Stores(stores.settings, Limits(value_bytes=10))
    (metric,) = [metric for stage in small.with_values(snapshot).stages for metric in stage.metrics]
    assert (metric.state, metric.values) == ("not-in-git", None)
    assert "more than the limit of 10" in metric.detail


def test_nobody_is_asked_unless_the_operator_says_where(asked: tuple[Snapshot, Stores]) -> None:
    snapshot, stores = asked
    assert {item.state for item in Stores({}).presence(snapshot)} == {"unknown"}
    assert Stores({}).with_values(snapshot) == snapshot
    few = Stores(stores.settings, most=1)
    assert [item.state for item in few.presence(snapshot)].count("unknown") == 3


def test_a_server_that_does_not_answer_is_unknown(repo: Any, project: tuple[dict[str, bytes], Path]) -> None:
    repo.commit({**project[0], ".dvc/config": config("https://data.example.org/dvc")})
    (state,) = {item.state for item in stores_of([("store", "http://127.0.0.1:9/x")]).presence(repo.snapshot())}
    assert state == "unknown"
    gone = stores_of([("store", "/no/such/folder")]).presence(repo.snapshot())
    assert {item.state for item in gone} == {"unknown"}


def test_what_the_remote_has_must_be_what_git_names(
    repo: Any, project: tuple[dict[str, bytes], Path], tmp_path: Path
) -> None:
    files, _ = project
    repo.commit({**files, ".dvc/config": config("/x")})
    snapshot = repo.snapshot()
    for path in ("m.json", "images"):
        target = tmp_path / output(snapshot, path).storage
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b'[{"md5": "' + b"0" * 32 + b'", "relpath": "other"}]')
    stores = stores_of([("store", str(tmp_path))])
    (metric,) = [metric for stage in stores.with_values(snapshot).stages for metric in stage.metrics]
    assert (metric.state, "something else" in metric.detail) == ("not-in-git", True)
    with pytest.raises(StorageError, match="not the one that Git names"):
        stores.manifest(output(snapshot, "images"), snapshot.remotes)


def test_what_no_remote_should_have(repo: Any) -> None:
    pointer = "outs:\n- {path: %s, md5: %s, hash: md5%s}\n"
    repo.commit(
        {
            "a.dvc": pointer % ("a", "a" * 32, ""),
            "b.dvc": pointer % ("b", "b" * 32, ", push: false"),
            "c.dvc": pointer % ("c", "c" * 32, "") + "deps:\n- {path: c, repo: {url: https://x.org/y, rev_lock: z}}\n",
        }
    )
    (found,) = stores_of([]).presence(repo.snapshot())
    assert (found.path, found.state, found.detail) == ("a", "unknown", "the repository names no remote for it")


def test_a_folder_that_lost_a_file_is_missing(
    repo: Any, project: tuple[dict[str, bytes], Path], tmp_path: Path
) -> None:
    files, remote = project
    subprocess.run(["cp", "-r", f"{remote}/.", str(tmp_path)], check=True)
    digest = hashlib.md5(b"one", usedforsecurity=False).hexdigest()
    (tmp_path / "files/md5" / digest[:2] / digest[2:]).unlink()
    repo.commit({**files, ".dvc/config": config("/x")})
    stores = stores_of([("store", str(tmp_path))])
    found = {item.path: item for item in stores.presence(repo.snapshot())}["images"]
    assert (found.state, found.missing, found.asked) == ("missing", 1, 2)
    sizes = {file.path: file.size for file in stores.manifest(output(repo.snapshot(), "images"), ())}
    assert sizes == {"deep/zwei ü.txt": 4, "one.txt": None}


def test_a_remote_that_keeps_names(repo: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("abc")
    pointer = "outs:\n- path: data\n  files:\n"
    for name in ("a.csv", "b.csv"):
        pointer += f"  - {{relpath: {name}, size: 3, md5: {'0' * 32}, cloud: {{store: {{version_id: v1}}}}}}\n"
    repo.commit({"data.dvc": pointer, ".dvc/config": config("s3://b/x") + "    version_aware = true\n"})
    stores = stores_of([("store", str(tmp_path))])
    (found,) = stores.presence(repo.snapshot())
    assert (found.state, found.missing, found.asked) == ("missing", 1, 2)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff", b'"a"'])
def test_what_is_no_list_of_files_is_said_so(data: bytes) -> None:
    with pytest.raises(StorageError):
        parse_manifest(data)


def test_hostile_entries_of_a_list_of_files_are_left_out() -> None:
    paths = ["a/../../b", "/etc/passwd", "", "a\\b", "\u202eb", "a//b"]
    entries: list[Any] = [{"relpath": path, "md5": "0" * 32} for path in paths]
    entries += [
        1,
        None,
        {"relpath": 1, "md5": 2},
        {"relpath": "a", "md5": "../../x"},
        {"relpath": "ok", "md5": "1" * 32},
    ]
    assert [file.path for file in parse_manifest(json.dumps(entries).encode())] == ["ok"]


def test_the_tool(repo: Any, project: tuple[dict[str, bytes], Path], tmp_path: Path) -> None:
    files, remote = project
    repo.commit({**files, ".dvc/config": config("/home/ada/dvc")})

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, ["--mirrors", str(tmp_path), *arguments])
        assert result.exit_code == code, result.output
        return result.output

    where = ("--remote", f"store={remote}")
    found = json.loads(run("stored", str(repo.folder), *where, "--json"))
    assert {item["path"]: item["state"] for item in found}["kept.csv"] == "missing"
    assert "one.txt" in run("stored", str(repo.folder), *where, "--files", "images")
    assert "0.75" in run("metrics", str(repo.folder), *where)
    assert "not-in-git" in run("metrics", str(repo.folder), "--json")
    assert "unknown" in run("stored", str(repo.folder))
    assert "NAME=ADDRESS" in run("stored", str(repo.folder), "--remote", "x", code=2)
    assert "no output" in run("stored", str(repo.folder), *where, "--files", "nope", code=1)


def test_an_address_that_is_not_below_its_remote_is_not_asked(repo: Any, tmp_path: Path) -> None:
    repo.commit({"a.dvc": f"outs:\n- {{path: a, md5: {'a' * 32}, hash: md5}}\n", ".dvc/config": config("s3://b/x")})
    snapshot = repo.snapshot()
    out = replace(output(snapshot, "a"), storage="s3://b/xy/../secret")
    with pytest.raises(StorageError, match="not below"):
        stores_of([("store", str(tmp_path))]).content(out, snapshot.remotes, 100)
