"""At every tag, the graphs of files and steps equal DVC's own, which it builds itself in a process of its own.

A repository without tags is looked at at its branches.

Where DVC 3 cannot read a tag (files of DVC 0.x), the graphs were checked by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ckan import model

from ckanext.mlops.logic import focus, lineage

#: Bundles, with how many tags of each DVC 3 reads at least.
BUNDLES = {
    "example-get-started": 8,
    "dataset-registry": 3,
    "mlops-titanic": 0,
    "vscode-dvc-demo": 1,
    "lk-demo-experiment": 0,
}
# What ``dvc dag`` and ``dvc dag --outs`` draw, for all tags at once.
PROBE = """
import json, logging, os, posixpath, sys
logging.disable(logging.ERROR)
from dvc.repo import Repo
found = {}
with Repo(".") as repo:
    for names in repo.brancher(revs=repo.scm.list_tags() or repo.scm.list_branches()):
        if names in ("", "workspace"):
            continue
        try:
            stages, outs = repo.index.graph, repo.index.outs_graph
        except Exception:
            continue
        def path(out):
            return posixpath.normpath(os.path.relpath(out.fs_path, repo.root_dir))
        def address(stage):
            name = stage.path_in_repo + (":" + stage.name if getattr(stage, "name", None) else "")
            return name.removeprefix("dvc.yaml:")
        steps = sorted([address(stage), address(before)] for stage, before in stages.edges())
        files = sorted([path(out), path(before)] for out, before in outs.edges())
        for name in names.split(","):
            found[name] = {
                "steps": steps, "files": files,
                "all_files": sorted(path(out) for out in repo.index.outs),
            }
json.dump(found, sys.stdout)
"""


def theirs(shell: Any, folder: Path) -> dict[str, Any]:
    return dict(json.loads(shell(folder, sys.executable, "-c", PROBE)))


def ours(ids: dict[str, str], tag: str) -> dict[str, Any]:
    """The whole repository at a tag, as lists of [downstream, upstream]."""
    addresses = {dataset: address for address, dataset in ids.items()}
    whole = focus.Focus(tuple(addresses), tuple(addresses), single=False)
    moment = focus.moment_of(model.Session(), whole, tag)

    def show(level: str) -> dict[str, Any]:
        question = lineage.Question(level=level, depth=1, max_nodes=20_000)
        found = lineage.answer({"session": model.Session, "ignore_auth": True}, whole, question, moment)
        assert not found["truncated"]
        assert not found["edges_cut"]
        return found

    files = show("files")
    paths = {node["id"]: node.get("path") for node in files["nodes"] if node["kind"] == "file"}
    steps = show("steps")
    writer: dict[str, str] = {key: addresses[key.split(":")[1]] for key in paths}
    pairs = set()
    for edge in steps["edges"]:
        if edge["upstream"] in writer and edge["evidence"]["kind"] != "content":
            down = addresses[edge["downstream"].split(":")[1]]
            pairs.add((down, writer[edge["upstream"]]))
    return {
        "steps": sorted(map(list, pairs)),
        "files": sorted(
            {
                (paths[edge["downstream"]], paths[edge["upstream"]])
                for edge in files["edges"]
                if edge["upstream"] in paths and edge["downstream"] in paths and edge["origin"] == "harvested"
            }
        ),
        "all_files": sorted(path for path in paths.values() if path),
    }


def assert_equal(shell: Any, folder: Path, url: str, load: Any) -> int:
    ids = load(folder, url)
    compared = 0
    for tag, expected in theirs(shell, folder).items():
        found = ours(ids, tag)
        assert found["all_files"] == expected["all_files"], tag
        assert [list(each) for each in found["files"]] == expected["files"], tag
        assert found["steps"] == expected["steps"], tag
        compared += 1
    return compared


@pytest.mark.parametrize("name", BUNDLES)
def test_every_tag_of_the_bundles(work_tree: Callable[[str], Path], shell: Any, load: Any, name: str) -> None:
    assert assert_equal(shell, work_tree(name), f"https://example.org/{name}.git", load) >= BUNDLES[name]


def test_titanic_by_hand(work_tree: Callable[[str], Path], load: Any) -> None:
    """Stage files of DVC 0.x; `git show TAG:FILE` for each."""
    url = "https://example.org/mlops-titanic.git"
    ids = load(work_tree("mlops-titanic"), url)
    fetch, prepare = "dvc/01-fetch-data.dvc", "dvc/02-prepare-data.dvc"
    assert ours(ids, "baseline")["steps"] == [["Dvcfile", prepare], [prepare, fetch]]
    prepared = ["data/test_prepared.pkl", "data/train_prepared.pkl"]
    raw = ["data/test.csv", "data/train.csv"]
    assert ours(ids, "baseline")["files"] == sorted(
        [("data/metrics.json", each) for each in prepared] + [(one, two) for one in prepared for two in raw]
    )


MODERN = {
    "params.yaml": "sizes: [1, 2]\nkinds: {a: 1, b: 2}\n",
    "data/raw.txt": "raw data of some length\n",
    "data/folder/one.txt": "the first file of a folder\n",
    "data/folder/two.txt": "the second file of a folder\n",
    "dvc.yaml": """\
stages:
  split:
    foreach: ${kinds}
    do:
      cmd: mkdir -p parts/${key} && cp data/raw.txt parts/${key}/x.txt
      deps: [data/raw.txt]
      outs: ["parts/${key}"]
  train:
    matrix:
      size: ${sizes}
      kind: [a, b]
    cmd: cat parts/${item.kind}/x.txt data/folder/one.txt > model-${item.size}-${item.kind}.txt
    deps: ["parts/${item.kind}/x.txt", data/folder/one.txt]
    outs: ["model-${item.size}-${item.kind}.txt"]
  join:
    cmd: cat data/folder/*.txt parts/a/x.txt > joined.txt && echo '{"a":1}' > m.json
    deps: [data/folder, parts]
    outs: [joined.txt]
    metrics: [{m.json: {cache: false}}]
""",
    "sub/dvc.yaml": """\
stages:
  copy:
    cmd: cp ../joined.txt copied.txt
    deps: [../joined.txt]
    outs: [copied.txt]
""",
}


def test_foreach_matrix_folders_subfolders_and_moves(make_repo: Any, shell: Any, load: Any) -> None:
    dvc_repo = make_repo("modern")
    dvc_repo.write(MODERN)
    dvc_repo.dvc("add", "-q", "data/raw.txt", "data/folder")
    dvc_repo.dvc("repro", "-q", "--all-pipelines")
    dvc_repo.commit("v1")
    # The same content comes to be made by a stage: what reads it is in the same state, fed by another one.
    (dvc_repo.path / "data/raw.txt.dvc").unlink()
    pipeline = "stages:\n  fetch:\n    cmd: echo raw data of some length > raw.txt\n    outs: [raw.txt]\n"
    dvc_repo.write({"data/dvc.yaml": pipeline})
    dvc_repo.dvc("repro", "-q", "--all-pipelines")
    dvc_repo.commit("v2")
    assert assert_equal(shell, dvc_repo.path, "https://example.org/modern.git", load) == 2


def test_imports_lead_to_the_other_repository(make_repo: Any, load: Any, ask: Any) -> None:
    registry, user = make_repo("registry"), make_repo("user")
    registry.write({"use/data.csv": "a,b\n1,2\n3,4\n5,6\n"})
    registry.dvc("add", "-q", "use/data.csv")
    registry.commit("v1")
    user.dvc("import", "-q", str(registry.path), "use/data.csv", "-o", "mine.csv")
    content = (user.path / "mine.csv.dvc").read_text().replace(str(registry.path), "https://example.org/registry.git")
    user.write(
        {
            "mine.csv.dvc": content,
            "dvc.yaml": "stages:\n  use:\n    cmd: cp mine.csv out.csv\n    deps: [mine.csv]\n    outs: [out.csv]\n",
        }
    )
    user.dvc("repro", "-q", "use", "--single-item")
    user.commit("v1")
    mine = load(user.path, "https://example.org/user.git")
    theirs_ids = load(registry.path, "https://example.org/registry.git")
    found = ask("mlops_lineage_show", id=mine["use"], direction="upstream")
    shown = {node["id"] for node in found["nodes"]}
    assert shown >= {mine["use"], mine["mine.csv.dvc"], theirs_ids["use/data.csv.dvc"]}
