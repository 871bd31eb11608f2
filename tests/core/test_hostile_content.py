"""Repositories made to hurt: each ends with a reason, in little time and memory."""

from __future__ import annotations

import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core import Limits, Selection
from ckanext.mlops.core.errors import ContentError, LimitExceeded, RepositoryError
from ckanext.mlops.core.safe_yaml import load
from ckanext.mlops.core.values import ValueReader

GOOD: dict[str, str | bytes | None] = {"good.dvc": "outs:\n- path: g\n  md5: " + "a" * 32 + "\n"}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """An attack that works takes minutes; the bound leaves room for a slow machine (each case takes about 0.1 s)."""
    start = time.process_time()
    yield
    assert time.process_time() - start < 10


YAML = {
    "alias bomb": 'a: &a ["x","x","x","x","x","x","x","x","x","x"]\n'
    + "".join(f"{c}: &{c} [{','.join(['*' + p] * 10)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
    "deep flow": "a: " + "[" * 100_000 + "]" * 100_000 + "\n",
    "deep maps": "".join(" " * i + "a:\n" for i in range(1_000)),
    "deep lists in a line": "- " * 100_000 + "x\n",
    "deep keys in a line": "? " * 100_000 + "x\n",
    "deep after odd line ends": "a: 1\x85" + "- " * 50_000 + "x\n",
    "recursive alias": "a: &a\n  b: *a\n",
    "merge bomb": "a: &a {k0: 1}\n"
    + "".join(
        f"b{i}: &b{i} {{<<: [{','.join(['*' + ('a' if i == 0 else f'b{i - 1}')] * 10)}], k{i}: 1}}\n" for i in range(9)
    ),
    "python object": "a: !!python/object/apply:os.system [id]\n",
    "tag": "a: !x 1\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "tab": "a:\n\tb: 1\n",
    "control character": "a: \x07\n",
    "unbalanced": "a: [1\n",
    "mapping as key": "{a: 1}: 2\n",
}


@pytest.mark.parametrize("name", YAML)
def test_yaml_that_is_refused(name: str) -> None:
    with pytest.raises(ContentError) as caught:
        load(YAML[name], Limits(yaml_nodes=100_000))
    assert 0 < len(caught.value.message) < 400


@pytest.mark.parametrize("name", ["alias bomb", "deep flow", "recursive alias", "merge bomb", "tab"])
@pytest.mark.parametrize("path", ["dvc.yaml", "dvc.lock", "bad.dvc", "params.yaml", "m.yaml"])
def test_hostile_yaml_spoils_only_its_file(repo: Any, name: str, path: str) -> None:
    files: dict[str, str | bytes | None] = {"dvc.yaml": "metrics: [m.yaml]\nstages:\n  a: {cmd: x}\n", path: YAML[name]}
    repo.commit({**GOOD, **files})
    snapshot = repo.snapshot(limits=Limits(yaml_nodes=100_000))
    assert "good.dvc" in {stage.address for stage in snapshot.stages}


@pytest.mark.parametrize("value", ["true", "1", "x", "{a: b}", "[1]", "[[a]]", "[{path: [a]}]", "[{path: 1}]"])
@pytest.mark.parametrize("key", ["cmd", "deps", "outs", "params"])
@pytest.mark.parametrize("pipeline", [None, "[]", "stages: {train: {cmd: '${no.such}'}}"])
def test_a_lock_alone_with_values_of_the_wrong_kind(repo: Any, pipeline: str | None, key: str, value: str) -> None:
    repo.commit({**GOOD, "dvc.yaml": pipeline, "dvc.lock": f"schema: '2.0'\nstages: {{train: {{{key}: {value}}}}}\n"})
    assert "good.dvc" in {stage.address for stage in repo.snapshot().stages}


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.json", b"[" * 100_000),
        ("a.json", b'{"a": ' + b"9" * 10_000 + b"}"),
        ("a.toml", b"a = " + b"[" * 5_000),
        ("a.toml", b"a = 1\na = 2\n"),
        ("a.py", b"x = " + b"(" * 5_000 + b")" * 5_000),
        ("a.py", b"x = " + b"-" * 100_000 + b"1"),
        ("a.py", b"x = " + b"not " * 10_000 + b"1"),
        ("a.py", b"def f(:"),
        ("a.yaml", b"\xff\xfe\x00a"),
        ("a.yaml", b"a: \x00"),
        ("a.json", b"\xed\xa0\x80"),
        ("a.json", b""),
    ],
)
def test_values_that_are_refused(path: str, data: bytes) -> None:
    with pytest.raises(ContentError):
        ValueReader().read(data, path)


def test_python_params_do_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\nx = 1\ny = __import__('os').system('true')\n"
    assert ValueReader().read(text.encode(), "p.py") == {"x": 1}
    assert not marker.exists()


def test_surrogates_and_controls_do_not_survive() -> None:
    assert ValueReader().read(b'{"a\\ud800": "b\\u0000\\u202e"}', "x.json") == {"a\ufffd": "b\ufffd\ufffd"}


def test_files_above_the_limit_are_named_not_read(repo: Any) -> None:
    repo.commit({**GOOD, "big.dvc": b"#" * 3_000_000, "dvc.yaml": "metrics: [m.json]\n", "m.json": b" " * 3_000_000})
    snapshot = repo.snapshot(limits=Limits(dvc_bytes=1_000_000, value_bytes=1_000_000))
    assert [stage.address for stage in snapshot.stages] == ["good.dvc"]
    assert "3000000 bytes" in next(problem.message for problem in snapshot.problems if problem.path == "big.dvc")
    assert snapshot.metrics[0].state == "invalid"


def test_a_folder_with_a_list_above_the_limit_is_said_to_be_too_large_not_corrupt(repo: Any) -> None:
    repo.commit({**GOOD, **{f"images/{number:04}.png": b"" for number in range(100)}})
    snapshot = repo.snapshot(limits=Limits(dvc_bytes=2_000))
    assert [stage.address for stage in snapshot.stages] == ["good.dvc"]
    [problem] = snapshot.problems
    assert (problem.path, problem.severity) == ("images", "error")
    assert "3600 bytes, more than 2000 (limit: dvc_bytes)" in problem.message
    assert "raise the limit" in problem.remedy
    assert not snapshot.complete, "files of DVC may be in it"


def test_paths_cannot_leave_the_repository(repo: Any) -> None:
    repo.commit(
        {
            "a.dvc": "outs:\n- path: ../../etc/passwd\n- path: /root/.ssh/id\n"
            "- path: C:\\Users\\me\\x\n- path: ok\\sub\n",
            "dvc.yaml": "stages:\n  s: {cmd: x, wdir: ../.., deps: [../../../x, a/../b], outs: [/abs/o], "
            "params: [/etc/p.yaml: [k]]}\n",
        }
    )
    for stage in repo.snapshot().stages:
        for item in (*stage.outs, *stage.deps):
            assert not item.path.startswith(("/", ".."))
            assert ".." not in item.path.split("/")
            assert "root" not in item.path


@pytest.mark.parametrize("mode", ["120000", "160000"])
def test_links_and_submodules_at_dvc_paths_are_not_followed(repo: Any, mode: str) -> None:
    oid = repo.commit({"x": "outs: []\n"})
    target = oid if mode == "160000" else repo.git("hash-object", "-w", "--stdin", data=b"/etc/passwd")
    tree = repo.git(
        "mktree", "--missing", data=f"{mode} {'commit' if mode == '160000' else 'blob'} {target}\tdvc.yaml\n".encode()
    )
    repo.git("update-ref", "refs/heads/main", repo.git("commit-tree", tree, "-m", "x"))
    snapshot = repo.snapshot()
    assert not snapshot.stages
    assert snapshot.problems[0].path == "dvc.yaml"


@pytest.mark.parametrize("leaf", ["", "a.dvc"])
def test_a_tree_bomb_is_refused(repo: Any, leaf: str) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", data=b"outs: []\n")
    oid = repo.git("mktree", data=f"100644 blob {blob}\t{leaf or 'x.txt'}\n".encode())
    for _ in range(10):
        oid = repo.git("mktree", data="".join(f"040000 tree {oid}\td{n}\n" for n in range(10)).encode())
    repo.git("update-ref", "refs/heads/main", repo.git("commit-tree", oid, "-m", "x"))
    repo.git("update-ref", "refs/tags/fine", repo.commit(GOOD, branch="other"))
    found = {revision.name: snapshot for snapshot in repo.read() for revision in snapshot.revisions}
    assert found["other"].stages
    assert found["main"].complete == (leaf == "")
    assert leaf == "" or "more than" in found["main"].problems[0].message


def test_folders_that_nest_too_deeply(repo: Any) -> None:
    repo.commit({"/".join(["d"] * 200) + "/a.dvc": "outs: []\n"})
    snapshot = repo.snapshot()
    assert "deep" in snapshot.problems[0].message
    assert not snapshot.complete


def test_missing_and_corrupt_objects(repo: Any) -> None:
    repo.commit({**GOOD, "bad.dvc": "outs: [] # this one\n", "lost.dvc": "outs: [] # that one\n"})
    repo.git("config", "core.compression", "0")
    bad = repo.git("rev-parse", "main:bad.dvc")
    lost = repo.git("rev-parse", "main:lost.dvc")
    for pack in (repo.folder / "objects/pack").glob("*.pack"):
        data = pack.read_bytes()
        for path in (pack, pack.with_suffix(".idx"), pack.with_suffix(".rev")):
            path.unlink(missing_ok=True)
        subprocess.run(
            ["git", f"--git-dir={repo.folder}", "unpack-objects", "-q"], input=data, check=True, env=repo.environment
        )
    place = repo.folder / "objects" / bad[:2] / bad[2:]
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"blob 3\0no!")[:-4])
    (repo.folder / "objects" / lost[:2] / lost[2:]).unlink()
    snapshot = repo.snapshot()
    assert [stage.address for stage in snapshot.stages] == ["good.dvc"]
    assert {problem.path for problem in snapshot.problems} == {"bad.dvc", "lost.dvc"}
    assert not snapshot.complete


def test_a_missing_folder_makes_the_snapshot_incomplete(repo: Any) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", data=b"outs: []\n")
    entries = f"100644 blob {blob}\ta.dvc\n040000 tree {'1' * 40}\tsub\n"
    partly = repo.git("mktree", "--missing", data=entries.encode())
    for tree, place, count in ((partly, "sub", 1), ("2" * 40, ".", 0)):
        text = f"tree {tree}\nauthor A <a> 1 +0000\ncommitter C <c> 1 +0000\n\nx\n"
        oid = repo.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", data=text.encode())
        repo.git("update-ref", "refs/heads/main", oid)
        snapshot = repo.snapshot()
        assert not snapshot.complete
        assert (snapshot.problems[0].path, len(snapshot.stages)) == (place, count)


def test_a_missing_commit_is_a_problem_of_its_branch(repo: Any) -> None:
    repo.commit(GOOD)
    (repo.folder / "refs/heads/gone").write_text("1" * 40 + "\n")
    reading = repo.read()
    assert [revision.name for revision in reading.revisions] == ["main"]
    assert "gone" in reading.problems[0].message


def test_shallow_history(repo: Any, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    repo.commit(GOOD)
    shallow = tmp_path / "shallow.git"
    command = ["git", "clone", "-q", "--bare", "--depth=1", repo.folder.as_uri(), str(shallow)]
    subprocess.run(command, check=True, env={**repo.environment, "GIT_ALLOW_PROTOCOL": "file"})
    from ckanext.mlops.core import read_repository

    reading = read_repository(shallow, url=repo.url, selection=Selection(commits="all"))
    assert len(reading.revisions) == 1
    assert next(iter(reading)).stages


def test_sha256_repositories(make_repo: Callable[..., Any]) -> None:
    repo = make_repo("sha256")
    repo.commit({**GOOD, "sub/x.dvc": "outs: []\n"})
    snapshot = repo.snapshot()
    assert len(snapshot.revisions[0].commit) == 64
    assert len(snapshot.stages) == 2


def test_a_commit_without_a_clock_or_author(repo: Any) -> None:
    repo.commit(GOOD)
    tree = repo.git("rev-parse", "main^{tree}")
    for text in ("author\ncommitter\n", "author A <a> 99999999999999999999 +0000\ncommitter C <c> x\n", ""):
        oid = repo.git(
            "hash-object", "-t", "commit", "-w", "--literally", "--stdin", data=f"tree {tree}\n{text}\nhello\n".encode()
        )
        repo.git("update-ref", "refs/heads/main", oid)
        (revision,) = repo.read().revisions
        assert (revision.date, revision.message) == ("", "hello")
        assert repo.snapshot().stages


def test_too_many_references(repo: Any) -> None:
    oid = repo.commit(GOOD)
    lines = "".join(f"{oid} refs/tags/t{number:06}\n" for number in range(100_000))
    (repo.folder / "packed-refs").write_text(
        f"# pack-refs with: peeled fully-peeled sorted \n{oid} refs/heads/main\n{lines}"
    )
    with pytest.raises(LimitExceeded, match="20000"):
        repo.read()
    assert len(repo.read(Selection(tags=("t00000*",))).revisions) == 11


def test_too_many_stages(repo: Any) -> None:
    text = "stages:\n" + "".join(f"  s{number}: {{cmd: x}}\n" for number in range(5_000))
    repo.commit({**GOOD, "dvc.yaml": text})
    snapshot = repo.snapshot(limits=Limits(stages=1_000))
    assert "1000 stages" in snapshot.problems[0].message
    assert [stage.address for stage in snapshot.stages] == ["good.dvc"]


def test_a_hundred_thousand_stages_are_refused_in_bounded_time(repo: Any) -> None:
    lock = "schema: '2.0'\nstages:\n" + "".join(f"  s{number}:\n    cmd: x\n" for number in range(100_000))
    repo.commit({**GOOD, "dvc.lock": lock, "dvc.yaml": "stages: {}\n"}, tag="lock")
    pipeline = "stages:\n" + "".join(f"  s{number}: {{cmd: x}}\n" for number in range(100_000))
    repo.commit({"dvc.lock": None, "dvc.yaml": pipeline}, tag="yaml")
    for snapshot in repo.read():
        assert any("more than 20000 stages" in problem.message for problem in snapshot.problems)
        assert "good.dvc" in {stage.address for stage in snapshot.stages}


def test_the_time_limit(repo: Any) -> None:
    for number in range(40):
        repo.commit({f"f{number}": "x"}, tag=f"t{number}")
    with pytest.raises(LimitExceeded, match="seconds"):
        list(repo.read(limits=Limits(seconds=1e-6)))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config", "[include]\n\tpath = /dev/zero\n"),
        ("config", '[IncludeIf "x"]\npath=y\n'),
        ("objects/info/alternates", "/elsewhere\n"),
    ],
)
def test_repositories_that_lead_elsewhere_are_refused(repo: Any, file: str, text: str) -> None:
    repo.commit(GOOD)
    path = repo.folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(RepositoryError, match="clone it"):
        repo.read()


def test_replace_refs_are_not_honoured(repo: Any) -> None:
    first = repo.commit(GOOD)
    other = repo.commit({"good.dvc": "outs: []\n"}, branch="other")
    repo.git("update-ref", f"refs/replace/{first}", other)
    assert next(iter(repo.read(Selection(branches=("main",))))).stages[0].outs


def test_no_repository(tmp_path: Path) -> None:
    from ckanext.mlops.core import read_repository

    with pytest.raises(RepositoryError, match="not a Git repository"):
        read_repository(tmp_path, url="https://example.org/x")


def test_an_empty_repository(repo: Any) -> None:
    assert repo.read().revisions == ()
    assert list(repo.read()) == []


def test_names_and_texts_are_bounded_and_clean(repo: Any) -> None:
    repo.commit(
        {
            "dvc.yaml": 'stages:\n  "a\\e[31m\\u202e": {cmd: "x\\ty\\a", desc: "' + "d" * 50_000 + '"}\n',
            "a\x1b.dvc": 'outs:\n- path: "o\\u0000"\n',
        }
    )
    for stage in repo.snapshot().stages:
        text = f"{stage.address}{stage.command}{stage.desc}{[out.path for out in stage.outs]}"
        assert not {"\x1b", "\x07", "\u202e", "\0"} & set(text)
        assert len(stage.desc) <= 10_000


def test_a_tag_of_a_tag_is_its_commit_and_a_tag_of_nothing_a_problem(repo: Any) -> None:
    """The inner tag is asked for, too: it is read before the outer one is followed."""
    commit = repo.commit({"dvc.yaml": "stages: {}\n"}, tag="plain")
    repo.git("tag", "-a", "inner", "-m", "inner", "plain")
    repo.git("tag", "-a", "outer", "-m", "outer", "inner")
    for number, text in enumerate((b"", b"object nonsense\ntype commit\ntag x\n\n", b"object " + b"0" * 40 + b"\n\n")):
        oid = repo.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", data=text).strip()
        (repo.folder / f"refs/tags/broken{number}").write_text(f"{oid}\n")  # Git's own command refuses to
    reading = repo.read()
    found = {revision.name: (revision.commit, revision.note) for revision in reading.revisions}
    assert found["inner"] == (commit, "inner")
    assert found["outer"] == (commit, "outer")
    assert [problem.revision for problem in reading.problems] == ["broken0", "broken1", "broken2"]
