"""Keys that few projects have: retired spellings, hashes that are no md5, remotes that keep names, files beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ckanext.mlops.core.records import Snapshot, to_dict

A, B = "a" * 32, "b" * 32
Read = Callable[..., Snapshot]


def test_retired_spellings_of_outputs(read_files: Read) -> None:
    """DVC 1 wrote options of outputs as names of lists."""
    lists = ("outs_no_cache", "metrics_no_cache", "plots_no_cache", "outs_persist", "outs_persist_no_cache")
    snapshot = read_files(
        {
            "dvc.yaml": "stages:\n  a:\n    cmd: x\n    locked: true\n"
            + "".join(f"    {name}: [{name}.json]\n" for name in lists),
            "metrics_no_cache.json": '{"acc": 1}',
        }
    )
    (stage,) = snapshot.stages
    assert stage.frozen
    assert {out.path.removesuffix(".json"): (out.kind, out.cached, out.persist) for out in stage.outs} == {
        "outs_no_cache": ("data", False, False),
        "metrics_no_cache": ("metrics", False, False),
        "plots_no_cache": ("plots", False, False),
        "outs_persist": ("data", True, True),
        "outs_persist_no_cache": ("data", False, True),
    }
    assert stage.metrics[0].values == {"acc": 1}
    assert not snapshot.problems


def test_hashes_that_are_no_md5(read_files: Read) -> None:
    snapshot = read_files(
        {
            "hdfs.dvc": "deps:\n- {path: 'hdfs://host/x', checksum: 0000abc, size: 3}\n"
            f"outs:\n- {{path: x, md5: {A}, isexec: true}}\n",
            "s3.dvc": "deps:\n- {path: 's3://bucket/y', etag: '\"e-1\"', version_id: v7}\n"
            f"outs:\n- {{path: y, md5: {B}, hash: md5}}\n",
        }
    )
    hdfs, s3 = snapshot.stages
    assert (hdfs.kind, hdfs.deps[0].hash, hdfs.deps[0].algorithm) == ("import-url", "0000abc", "checksum")
    assert hdfs.outs[0].extra == {"executable": True}
    assert (s3.deps[0].hash, s3.deps[0].algorithm, s3.deps[0].version_id) == ('"e-1"', "etag", "v7")


def test_a_worktree_remote_keeps_the_names_of_files(read_files: Read) -> None:
    snapshot = read_files(
        {
            ".dvc/config": "[core]\nremote = w\n['remote \"w\"']\nurl = s3://bucket/w\nworktree = true\n",
            "data/x.csv.dvc": f"outs:\n- {{path: x.csv, md5: {A}, hash: md5}}\n",
        }
    )
    assert snapshot.remotes[0].worktree
    assert snapshot.stages[0].outs[0].storage == "s3://bucket/w/data/x.csv"


def test_the_old_file_of_artifacts_describes_outputs(read_files: Read) -> None:
    """GTO kept them in a file of its own before DVC had ``artifacts:``."""
    snapshot = read_files(
        {
            "artifacts.yaml": "churn:\n  path: models/c.bin\n  type: model\n  labels: [tabular]\n"
            "  description: who goes\n",
            "models/c.bin.dvc": f"outs:\n- {{path: c.bin, md5: {A}}}\n",
        }
    )
    (out,) = snapshot.stages[0].outs
    assert (out.artifact, out.kind, out.labels, out.desc) == ("churn", "model", ("tabular",), "who goes")


def test_a_private_configuration_that_was_committed_is_never_read(read_files: Read) -> None:
    snapshot = read_files(
        {
            ".dvc/config": "['remote \"one\"']\nurl = s3://bucket\n",
            ".dvc/config.local": "[core]\nremote = mine\n['remote \"mine\"']\nurl = s3://private\n"
            "['remote \"one\"']\nurl = s3://elsewhere\n",
            "x.dvc": f"outs:\n- {{path: x, md5: {A}}}\n",
        }
    )
    assert [(remote.name, remote.url, remote.default) for remote in snapshot.remotes] == [("one", "s3://bucket", False)]
    assert "private" not in repr(to_dict(snapshot))
    assert "elsewhere" not in repr(to_dict(snapshot))


@pytest.mark.parametrize("url", ["ext::sh -c touch% x", "-oProxyCommand=x", "--upload-pack=x", "file:///etc", "fd::3"])
def test_addresses_that_are_commands_or_private_are_not_kept(read_files: Read, url: str) -> None:
    snapshot = read_files(
        {
            ".dvc/config": f"[core]\nremote = r\n['remote \"r\"']\nurl = {url}\n",
            "x.dvc": f"frozen: true\ndeps:\n- path: a\n  repo: {{url: '{url}', rev_lock: {'1' * 40}}}\n"
            f"outs:\n- {{path: x, md5: {A}}}\n",
        }
    )
    assert (snapshot.remotes[0].kind in ("local", "file"), snapshot.remotes[0].url) == (True, "")
    assert snapshot.stages[0].deps[0].source == ""


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("dvc.yaml", "stages:\n  a: {cmd: one}\n  b: {cmd: x}\n  a: {cmd: two}\n", "given twice: a (line 4)"),
        ("dvc.yaml", "stages:\n  a:\n    cmd: one\n    cmd: two\n", "given twice: cmd (line 4)"),
        ("a.dvc", f"outs:\n- path: a\n  md5: {A}\nouts:\n- path: b\n", "given twice: outs (line 4)"),
    ],
)
def test_a_key_that_is_given_twice_is_reported_and_the_last_one_counts(
    read_files: Read, path: str, text: str, said: str
) -> None:
    snapshot = read_files({path: text})
    assert said in snapshot.problems[0].message
    assert snapshot.problems[0].severity == "warning"
    stage = next(stage for stage in snapshot.stages if stage.name in ("a", "a.dvc"))
    assert (stage.command or stage.outs[0].path) in ("two", "b")


def test_a_byte_order_mark_and_windows_line_ends(repo: Any) -> None:
    text = f"outs:\r\n- path: data\\x.csv\r\n  md5: {A}\r\n"
    repo.commit({"x.dvc": b"\xef\xbb\xbf" + text.encode(), "dvc.yaml": "\ufeffstages:\r\n  a:\r\n    cmd: x\r\n"})
    a, x = sorted(repo.snapshot().stages, key=lambda stage: stage.address)
    assert (x.outs[0].path, x.outs[0].hash, a.command) == ("data/x.csv", A, "x")
