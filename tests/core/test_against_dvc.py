"""Stages, metrics and params equal those of real DVC, at every tag and branch where DVC can read them.

``test_dvc_2_reads_the_same_of_old_files`` builds an environment with ``dvc==2.58.2`` (the last line that reads files of
DVC 0.x) and takes minutes: run it with ``-m oracle``.
"""

from __future__ import annotations

import json
import os
import posixpath
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core import read_repository
from ckanext.mlops.core.records import Snapshot
from ckanext.mlops.core.tables import metrics_table, params_table, value_changes

pytestmark = pytest.mark.slow

OLD_DVC = ("dvc==2.58.2", "pathspec<0.12", "dulwich<0.22", "pygit2<1.15", "dvc-http<2.31")
# Runs in the oracle's own process: DVC is never imported by the reader's tests themselves.
PROBE = """
import json, logging, os, posixpath, sys
logging.disable(logging.ERROR)
from dvc.repo import Repo
found = {}
with Repo(".") as repo:
    for names in repo.brancher(revs=repo.scm.list_tags() + repo.scm.list_branches()):
        if names == "workspace":
            continue
        try:
            stages = list(repo.index.stages)
        except Exception as error:
            found[names] = None
            continue
        def path(item):
            local = item.protocol == "local" or item.fs.protocol in ("local", "git")
            return posixpath.normpath(os.path.relpath(item.fs_path, repo.root_dir)) if local else str(item)
        result = {}
        for stage in stages:
            name = stage.path_in_repo + (":" + stage.name if getattr(stage, "name", None) else "")
            deps = {path(dep): dep.hash_info.value for dep in stage.deps if type(dep).__name__ == "Dependency"}
            outs = {
                path(out): [
                    out.hash_info.value, out.meta.size, out.meta.nfiles, bool(out.metric), bool(out.plot), out.use_cache
                ]
                for out in stage.outs
            }
            command = "\\n".join(stage.cmd) if isinstance(stage.cmd, list) else stage.cmd
            result[name.removeprefix("dvc.yaml:")] = [command or "", deps, outs]
        found[names] = result
json.dump(found, sys.stdout)
"""
PARAMS = """
import json
from dvc.repo import Repo
print(json.dumps(Repo(".").params.show(all_branches=True, all_tags=True, on_error="ignore")))
"""


def run(folder: Path, *command: str) -> str:
    environment = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Ada"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ada@example.org"),
    }
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def dvc(folder: Path, *arguments: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *arguments)


def work_tree(bare: Path, target: Path) -> Path:
    """A clone with every branch, which DVC needs."""
    run(bare.parent, "git", "clone", "-q", str(bare), str(target))
    for line in run(bare, "git", "for-each-ref", "--format=%(refname:strip=2)", "refs/heads").split():
        run(target, "git", "update-ref", f"refs/heads/{line}", f"refs/remotes/origin/{line}")
    return target


def ours(folder: Path) -> dict[str, Snapshot]:
    reading = read_repository(folder / ".git", url="https://example.org/x.git")
    return {revision.name: snapshot for snapshot in reading for revision in snapshot.revisions}


def facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        stage.address: [
            stage.command,
            {dep.path: dep.hash for dep in stage.deps if dep.kind in ("path", "stage", "url")},
            {
                out.path: [out.hash, out.size, out.nfiles, out.kind == "metrics", out.kind == "plots", out.cached]
                for out in stage.outs
            },
        ]
        for stage in snapshot.stages
        if stage.kind != "lfs"
    }


def assert_stages_equal(folder: Path, python: str = sys.executable) -> int:
    """How many revisions DVC could read; all of them are equal."""
    mine = ours(folder)
    compared = 0
    for names, expected in json.loads(run(folder, python, "-c", PROBE)).items():
        for name in names.split(","):
            if expected is not None and name in mine:
                found = facts(mine[name])
                for address, (_, deps, _) in expected.items():
                    # DVC 2 does not tell the etag of a URL that DVC 0.x recorded.
                    unknown = [path for path, hash_ in deps.items() if "://" in path and hash_ is None]
                    found[address][1].update(dict.fromkeys(unknown))
                assert found == expected, name
                compared += 1
    return compared


def assert_tables_equal(folder: Path) -> int:
    compared = 0
    for command, table in (("metrics", metrics_table), ("params", params_table)):
        if command == "metrics":
            theirs = json.loads(dvc(folder, "metrics", "show", "-a", "-T", "--json"))
        else:
            theirs = json.loads(run(folder, sys.executable, "-c", PARAMS))
        mine = table(read_repository(folder / ".git", url="https://example.org/x.git"))
        by_name = {name: entry["data"] for names, entry in mine.items() for name in names.split(",")}
        for names, entry in theirs.items():
            if names == "workspace":
                continue
            for name in names.split(","):
                values = {file: found["data"] for file, found in entry.get("data", {}).items() if "data" in found}
                known = {file: found["data"] for file, found in by_name[name].items() if "data" in found}
                assert {posixpath.normpath(file): value for file, value in values.items()} == known, (command, name)
                compared += len(values)
    return compared


@pytest.fixture(autouse=True)
def needs_dvc() -> None:
    pytest.importorskip("dvc", reason="real DVC is the oracle")


@pytest.mark.parametrize(("name", "revisions"), [("example-get-started", 25), ("vscode-dvc-demo", 7)])
def test_bundles(bundle: Callable[[str], Path], tmp_path: Path, name: str, revisions: int) -> None:
    folder = work_tree(bundle(name), tmp_path / "work")
    assert assert_stages_equal(folder) == revisions


def test_metrics_and_params_of_a_bundle(bundle: Callable[[str], Path], tmp_path: Path) -> None:
    assert assert_tables_equal(work_tree(bundle("vscode-dvc-demo"), tmp_path / "work")) >= 14


def test_a_project_made_with_dvc(tmp_path: Path) -> None:
    """Templates, foreach, matrix, params of four formats, metrics, plots, subfolder, frozen and wdir."""
    folder = tmp_path / "project"
    folder.mkdir()
    run(folder, "git", "init", "-q", "-b", "main")
    dvc(folder, "init", "-q")
    (folder / "sub").mkdir()
    (folder / "raw.csv").write_text("a,b\n1,2\n")
    dvc(folder, "add", "-q", "raw.csv")
    (folder / "params.yaml").write_text("models: {lr: {C: 1.0}, rf: {C: 2e-3}}\nseeds: [1, 2]\nwhen: on\n")
    (folder / "p.toml").write_text("[a]\nb = 1\n")
    (folder / "p.json").write_text('{"x": {"y": [1, 2]}}')
    (folder / "p.py").write_text("LR = 0.5\nclass Net:\n    depth = 3\n")
    (folder / "dvc.yaml").write_text(
        """
vars: [{out: out}]
stages:
  prepare:
    cmd: mkdir -p ${out} && cp raw.csv ${out}/prep.csv
    deps: [raw.csv]
    params: [when, p.toml: [a.b], p.json: [x], p.py: [LR, Net.depth]]
    outs: ["${out}/prep.csv"]
  train:
    foreach: ${models}
    do:
      cmd:
      - echo ${item.C} > ${out}/${key}.model
      - 'echo "{\\"acc\\": 0.5, \\"n\\": {\\"f\\": 1}, \\"l\\": [1]}" > ${out}/${key}.json'
      deps: ["${out}/prep.csv"]
      params: ["models.${key}.C"]
      outs: ["${out}/${key}.model"]
      metrics: ["${out}/${key}.json": {cache: false}]
  grid:
    matrix: {seed: "${seeds}", kind: [x, y]}
    cmd: echo ${item.seed} > ${out}/g-${item.seed}-${item.kind}.txt
    outs: ["${out}/g-${item.seed}-${item.kind}.txt"]
metrics: [out/extra.yaml]
"""
    )
    (folder / "sub/dvc.yaml").write_text(
        "stages:\n  s:\n    cmd: echo 1 > o.txt\n    wdir: ../out\n    deps: [prep.csv]\n    outs: [o.txt]\n"
        "    frozen: true\n"
    )
    dvc(folder, "repro", "-q")
    (folder / "out/extra.yaml").write_text("auc: 1e-3\nname: best\n")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "one")
    run(folder, "git", "tag", "v1")
    (folder / "params.yaml").write_text("models: {lr: {C: 3}, svm: {C: 2}}\nseeds: [2]\nwhen: off\n")
    (folder / "raw.csv").write_text("a,b\n1,2\n3,4\n")
    (folder / "out/extra.yaml").write_text("auc: 2e-3\nname: best\n")
    dvc(folder, "add", "-q", "raw.csv")
    dvc(folder, "repro", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "two")
    assert assert_stages_equal(folder) == 2
    assert assert_tables_equal(folder) == 14  # 3 metrics files and 4 params files, twice
    for command, table in (("metrics", metrics_table), ("params", params_table)):
        before, after = (next(iter(table([ours(folder)[name]]).values()))["data"] for name in ("v1", "main"))
        changes = value_changes(before, after)
        assert changes
        assert changes == json.loads(dvc(folder, command, "diff", "v1", "main", "--json"))


@pytest.mark.oracle
def test_dvc_2_reads_the_same_of_old_files(bundle: Callable[[str], Path], tmp_path: Path) -> None:
    venv.create(tmp_path / "dvc2", with_pip=True)
    python = str(tmp_path / "dvc2/bin/python")
    run(tmp_path, python, "-m", "pip", "install", "-q", *OLD_DVC)
    compared = {}
    for name in ("mlops-titanic", "lk-demo-experiment", "dataset-registry"):
        compared[name] = assert_stages_equal(work_tree(bundle(name), tmp_path / name), python)
    assert compared["mlops-titanic"] == 5  # all but wrong-baseline, which it refuses
    assert compared["dataset-registry"] >= 8  # the others are of DVC 3
