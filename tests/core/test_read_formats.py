"""Every DVC file format, from keys to records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from ckanext.mlops.core.records import Dependency, Output, Param, Snapshot, SourceHint, Stage

A, B, C = "a" * 32, "b" * 32, "c" * 32
Read = Callable[..., Snapshot]


def stage(snapshot: Snapshot, address: str) -> Stage:
    return next(item for item in snapshot.stages if item.address == address)


def test_a_pipeline_with_its_lock(read_files: Read) -> None:
    snapshot = read_files(
        {
            "dvc.yaml": """
stages:
  train:
    cmd: python train.py
    deps: [data.csv, train.py]
    params: [lr, other.json: [a.b]]
    outs:
      - model.pkl: {desc: best, type: model, labels: [x, y], meta: {k: 1}, remote: two, persist: true}
      - big.bin: {push: false}
    metrics: [m.json: {cache: false}]
    plots: [curve.csv: {cache: false, x: step, y: acc}]
    desc: fits it
    meta: {team: ml}
    frozen: true
    always_changed: true
""",
            "dvc.lock": f"""
schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - {{path: data.csv, hash: md5, md5: {A}, size: 7}}
    - {{path: train.py, hash: md5, md5: {B}, size: 8}}
    params:
      other.json: {{a.b: true}}
      params.yaml: {{lr: 0.1}}
    outs:
    - {{path: model.pkl, hash: md5, md5: {C}, size: 9}}
    - {{path: big.bin, md5: {C}.dir, size: 9, nfiles: 2}}
    - {{path: gone.txt, md5: {C}}}
""",
            "m.json": '{"acc": 0.5, "list": [1], "deep": {"f1": 1}}',
            "curve.csv": "step,acc\n1,2\n",
            ".dvc/config": "[core]\n    remote = one\n['remote \"one\"']\n    url = s3://bucket/dir\n"
            "['remote \"two\"']\n    url = https://user:secret@host.org/x?token=1\n    access_key_id = AKIA\n",
        }
    )
    train = stage(snapshot, "train")
    assert (train.command, train.desc, train.meta, train.line) == ("python train.py", "fits it", {"team": "ml"}, 3)
    assert train.frozen
    assert train.always_changed
    assert train.deps[0] == Dependency("data.csv", hash=A, algorithm="md5", size=7)
    assert train.params == (Param("params.yaml", "lr", 0.1), Param("other.json", "a.b", True))
    model, big, metric, plot = train.outs
    assert model == Output(
        "model.pkl", C, "md5", 9, kind="model", persist=True, remote="two", desc="best", type="model",
        storage=f"https://host.org/x/files/md5/cc/{C[2:]}", labels=("x", "y"), meta={"k": 1},
    )  # fmt: skip
    assert (big.pushed, big.storage, big.is_dir, big.nfiles, big.algorithm) == (False, "", True, 2, "md5-dos2unix")
    assert (metric.kind, metric.cached, metric.storage) == ("metrics", False, "")
    assert (plot.kind, plot.plot, len(plot.blob)) == ("plots", {"x": "step", "y": "acc"}, 40)
    assert train.metrics[0].values == {"acc": 0.5, "deep": {"f1": 1}}
    assert [(remote.name, remote.kind, remote.url, remote.default) for remote in snapshot.remotes] == [
        ("one", "s3", "s3://bucket/dir", True),
        ("two", "https", "https://host.org/x", False),
    ]
    assert "AKIA" not in repr(snapshot)
    assert "secret" not in repr(snapshot)
    assert snapshot.complete
    assert not snapshot.problems


def test_a_stage_file_of_dvc_0(read_files: Read) -> None:
    snapshot = read_files(
        {
            "dvc/prepare.dvc": f"""
md5: {C}
cmd: kaggle competitions download -c titanic
wdir: ../data
deps:
- {{md5: {A}, path: raw.csv}}
- {{path: ../dvc/fetch.dvc, md5: {B}}}
outs:
- {{md5: {B}, path: out.csv, cache: true, metric: false, persist: false}}
- {{md5: {B}, path: ../m.json, cache: true, metric: {{type: json, xpath: acc}}}}
locked: true
""",
            "dvc/fetch.dvc": "cmd: true\nouts: []\n",
            ".dvc/config": "['remote \"fs\"']\nurl = /home/me/store\n[core]\nremote = fs\n",
        }
    )
    prepare = stage(snapshot, "dvc/prepare.dvc")
    assert (prepare.kind, prepare.wdir, prepare.frozen) == ("stage", "data", True)
    assert [(dep.path, dep.kind) for dep in prepare.deps] == [("data/raw.csv", "path"), ("dvc/fetch.dvc", "stage")]
    assert prepare.outs[0].path == "data/out.csv"
    assert (prepare.outs[0].algorithm, prepare.outs[0].storage) == ("md5-dos2unix", f"bb/{B[2:]}")
    assert (prepare.outs[1].path, prepare.outs[1].kind) == ("m.json", "metrics")
    assert [(metric.file, metric.state) for metric in prepare.metrics] == [("m.json", "not-in-git")]
    assert isinstance(prepare.hints[0], SourceHint)
    assert "titanic" in prepare.hints[0].uri
    assert snapshot.remotes[0].url == ""
    assert "/home/me" not in repr(snapshot)


def test_a_dvcfile_is_a_stage(read_files: Read) -> None:
    snapshot = read_files({"code/Dvcfile": f"cmd: python a.py\ndeps:\n- path: a.py\nouts:\n- md5: {A}\n  path: o\n"})
    assert [(item.address, item.kind) for item in snapshot.stages] == [("code/Dvcfile", "stage")]
    assert snapshot.stages[0].outs[0].path == "code/o"


def test_a_lock_of_schema_1(read_files: Read) -> None:
    snapshot = read_files(
        {
            "dvc.yaml": "stages:\n  a:\n    cmd: x\n    outs: [o]\n",
            "dvc.lock": f"a:\n  cmd: x\n  outs:\n  - path: o\n    md5: {A}\n",
        }
    )
    assert stage(snapshot, "a").outs[0].hash == A


def test_imports(read_files: Read) -> None:
    snapshot = read_files(
        {
            "raw.dvc": f"""
frozen: true
deps:
- path: data/raw.csv
  repo: {{url: 'https://u:p@github.com/o/r.git', rev: v1, rev_lock: {"d" * 40}}}
outs:
- {{md5: {A}, size: 3, hash: md5, path: raw.csv}}
""",
            "sub/url.dvc": f"""
deps:
- {{path: 's3://bucket/key?sig=1', etag: '"e1"', size: 5, version_id: v7}}
outs:
- {{md5: {A}, path: url.bin}}
""",
            "db.dvc": "deps:\n- db: {connection: 'postgresql://u:p@h/d', query: secret}\n"
            f"outs:\n- {{md5: {A}, path: t.csv}}\n",
            "rel.dvc": f"deps:\n- path: a\n  repo: {{url: ../registry}}\nouts:\n- {{md5: {A}, path: a}}\n",
            "private.dvc": f"deps:\n- path: /home/me/x.csv\nouts:\n- {{md5: {A}, path: x.csv}}\n",
            ".dvc/config": '[core]\nremote = s\n[remote "s"]\nurl = s3://b\n',
        }
    )
    by = {item.address: item for item in snapshot.stages}
    assert {item.address: item.kind for item in snapshot.stages} == {
        "raw.dvc": "import",
        "sub/url.dvc": "import-url",
        "db.dvc": "import-db",
        "rel.dvc": "import",
        "private.dvc": "import-url",
    }
    assert by["raw.dvc"].deps[0] == Dependency(
        "data/raw.csv", kind="repo", source="https://github.com/o/r.git", rev="v1", rev_lock="d" * 40
    )
    assert by["raw.dvc"].outs[0].storage == ""
    assert by["rel.dvc"].deps[0].source == "https://example.org/team/registry"
    url = by["sub/url.dvc"].deps[0]
    assert (url.source, url.hash, url.algorithm, url.version_id) == ("s3://bucket/key", '"e1"', "etag", "v7")
    private = by["private.dvc"].deps[0]
    assert private == Dependency("x.csv", kind="url", extra={"outside": private.extra["outside"]})
    assert not {word for word in ("secret", "u:p@", "/home/me", "sig=1") if word in repr(snapshot)}


def test_a_cloud_versioned_folder_has_the_hash_that_dvc_would_give(read_files: Read) -> None:
    snapshot = read_files(
        {
            "d.dvc": f"""
outs:
- path: d
  files:
  - {{relpath: b.txt, md5: {B}, size: 2, cloud: {{s: {{etag: e, version_id: v2}}}}}}
  - {{relpath: a.txt, md5: {A}, size: 1, cloud: {{s: {{etag: e, version_id: v1}}}}}}
""",
            "f.dvc": f"outs:\n- {{path: f, md5: {A}, hash: md5, cloud: {{s: {{etag: e, version_id: v9}}}}}}\n",
            ".dvc/config": '[remote "s"]\nurl = s3://b/p\nversion_aware = true\n',
        }
    )
    folder, file = snapshot.stages[0].outs[0], snapshot.stages[1].outs[0]
    manifest = json.dumps([{"md5": A, "relpath": "a.txt"}, {"md5": B, "relpath": "b.txt"}])
    assert folder.hash == hashlib.md5(manifest.encode()).hexdigest() + ".dir"  # noqa: S324 - DVC's own choice
    assert (folder.size, folder.nfiles, folder.remote, folder.storage) == (3, 2, "s", "s3://b/p/d")
    assert (file.version_id, file.storage) == ("v9", "s3://b/p/f")


def test_datasets_and_artifacts(read_files: Read) -> None:
    snapshot = read_files(
        {
            "sub/dvc.yaml": """
artifacts:
  champion: {path: m.bin, type: model, desc: the best, labels: [z]}
datasets:
  - {name: reg, type: dvc, url: 'https://example.org/reg.git', path: raw.csv, rev: v1}
stages:
  use: {cmd: x, deps: ['ds://reg'], outs: [m.bin]}
"""
        }
    )
    use = stage(snapshot, "sub/dvc.yaml:use")
    assert (use.outs[0].path, use.outs[0].artifact, use.outs[0].kind, use.outs[0].desc) == (
        "sub/m.bin", "champion", "model", "the best",
    )  # fmt: skip
    dep = use.deps[0]
    assert (dep.kind, dep.path, dep.source, dep.rev, dep.extra["path"]) == (
        "dataset", "reg", "https://example.org/reg.git", "v1", "raw.csv",
    )  # fmt: skip


def test_several_dvc_roots_have_their_own_remotes(read_files: Read) -> None:
    config = "[core]\nremote = r\n['remote \"r\"']\nurl = s3://{}\n"
    snapshot = read_files(
        {
            ".dvc/config": config.format("top"),
            "sub/.dvc/config": config.format("below"),
            "a.dvc": f"outs:\n- {{path: a, md5: {A}}}\n",
            "sub/b.dvc": f"outs:\n- {{path: b, md5: {A}}}\n",
        }
    )
    found = {item.address: (item.root, item.outs[0].storage) for item in snapshot.stages}
    assert found == {"a.dvc": ("", f"s3://top/aa/{A[2:]}"), "sub/b.dvc": ("sub", f"s3://below/aa/{A[2:]}")}


def test_dvcignore_hides_files(read_files: Read) -> None:
    files = dict.fromkeys(("old/a.dvc", "b.dvc", "keep/old/c.dvc", "tmp.dvc"), f"outs:\n- {{path: x, md5: {A}}}\n")
    snapshot = read_files({**files, ".dvcignore": "# note\n/old\n*.dvc\n!b.dvc\n", "keep/.dvcignore": "!c.dvc\n"})
    assert {item.address for item in snapshot.stages} == {"b.dvc", "keep/old/c.dvc"}


def test_lfs_pointers_are_stages_by_folder(read_files: Read) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12\n"
    snapshot = read_files(
        {
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            "data/a.bin": pointer.format("1" * 64),
            "data/model.safetensors": pointer.format("2" * 64),
            "data/readme.txt": "hello",
            "data/deep/b.bin": pointer.format("3" * 64),
        }
    )
    assert [(item.address, item.kind) for item in snapshot.stages] == [("data/", "lfs"), ("data/deep/", "lfs")]
    first, model = snapshot.stages[0].outs
    assert (first.path, first.hash, first.algorithm, first.size) == ("data/a.bin", "1" * 64, "sha256", 12)
    assert model.kind == "model"


def test_one_bad_file_leaves_the_rest(read_files: Read) -> None:
    snapshot = read_files(
        {
            "dvc.yaml": "stages:\n  a: {cmd: x, outs: [o]}\n  b: 3\n",
            "dvc.lock": "<<<<<<< HEAD\nschema: '2.0'\n=======\n",
            "good.dvc": f"outs:\n- {{path: g, md5: {A}}}\n",
            "bad.dvc": "outs: [\n",
            "list.dvc": "- 1\n",
            "empty.dvc": "",
            "hash.dvc": "outs:\n- {path: h, md5: 123}\n",
        }
    )
    assert {item.address for item in snapshot.stages} == {"a", "good.dvc", "hash.dvc"}
    assert not snapshot.complete
    errors = {(problem.path, problem.line) for problem in snapshot.problems if problem.severity == "error"}
    assert {path for path, _ in errors} == {"dvc.lock", "bad.dvc", "list.dvc", "dvc.yaml"}
    assert ("dvc.yaml", 3) in errors
    invalid = stage(snapshot, "hash.dvc").outs[0]
    assert (invalid.hash, invalid.extra) == (None, {"invalid_hash": "123"})
    assert all(problem.revision == "main" and problem.message for problem in snapshot.problems)


def test_unknown_keys_are_kept_and_reported(read_files: Read) -> None:
    snapshot = read_files(
        {
            "dvc.yaml": "typo: 1\nstages:\n  a: {cmd: x, outz: [o], outs: [o: {cach: false}]}\n",
            "x.dvc": "outs: []\nfoo: {b: 1}\n",
        }
    )
    assert stage(snapshot, "a").extra == {"outz": ["o"]}
    assert stage(snapshot, "a").outs[0].extra == {"cach": False}
    assert stage(snapshot, "x.dvc").extra == {"foo": {"b": 1}}
    assert {word for problem in snapshot.problems for word in ("typo", "outz", "foo") if word in problem.message} == {
        "typo", "outz", "foo",
    }  # fmt: skip
    assert snapshot.complete


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("p.json", '{"a": {"b": 1}}', 1),
        ("p.toml", "[a]\nb = 1.5\n", 1.5),
        ("p.yaml", "a:\n  b: on\n", "on"),
        ("p.py", "import os\nclass a:\n    b = [1, 2]\n    c = os.environ\n", [1, 2]),
    ],
)
def test_params_without_a_lock_come_from_the_file(read_files: Read, path: str, text: str, expected: Any) -> None:
    snapshot = read_files({"dvc.yaml": f"stages:\n  s: {{cmd: x, params: [{path}: [a.b, no.such]]}}\n", path: text})
    assert stage(snapshot, "s").params == (Param(path, "a.b", expected),)
    assert snapshot.params == (Param(path, "a", {"b": expected}),)


def test_metrics_states(read_files: Read) -> None:
    snapshot = read_files(
        {
            "dvc.yaml": "metrics: [top.json, none.json]\nstages:\n  s:\n    cmd: x\n    metrics:\n"
            + "".join(f"    - {name}: {{cache: false}}\n" for name in ("ok.yaml", "bad.json", "nan.json", "dir"))
            + "    - remote.json\n",
            "ok.yaml": "a: 1\n",
            "bad.json": "{",
            "nan.json": '{"a": NaN}',
            "dir/x.json": '{"b": 2}',
            "top.json": "3",
        }
    )
    found = {metric.file: (metric.state, metric.values) for metric in (*snapshot.stages[0].metrics, *snapshot.metrics)}
    assert found == {
        "ok.yaml": ("in-git", {"a": 1}),
        "bad.json": ("invalid", None),
        "nan.json": ("in-git", {"a": "NaN"}),
        "dir/x.json": ("in-git", {"b": 2}),
        "remote.json": ("not-in-git", None),
        "top.json": ("in-git", 3),
        "none.json": ("not-in-git", None),
    }


def test_readme_and_licence(read_files: Read) -> None:
    snapshot = read_files({"README": "old", "README.md": "# Title", "LICENSE": "MIT\x00\u202e", "sub/README.md": "no"})
    assert (snapshot.readme, snapshot.license) == ("# Title", "MIT\ufffd\ufffd")


def test_list_commands_and_credentials_in_them(read_files: Read) -> None:
    snapshot = read_files({"dvc.yaml": "stages:\n  s:\n    cmd:\n    - curl https://me:pw@h.org/x\n    - echo 1\n"})
    assert snapshot.stages[0].command == "curl https://h.org/x\necho 1"


def test_an_empty_file_is_what_its_name_says(read_files: Read) -> None:
    empty: dict[str, Any] = dict.fromkeys(
        (".dvcignore", "a.dvc", "dvc.yaml", "dvc.lock", "README.md", "sub/Dvcfile"), ""
    )
    snapshot = read_files({**empty, "b.dvc": f"outs:\n- {{path: b, md5: {A}}}\n"})
    assert [item.address for item in snapshot.stages] == ["b.dvc"]
    assert not snapshot.problems
