"""Templates are resolved as DVC does, from the tree alone; without DVC the lock stands in."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from ckanext.mlops.core.records import Snapshot
from ckanext.mlops.core.tables import params_table

PIPELINE = """
vars:
  - out: model
  - conf/more.yaml:names
stages:
  train:
    foreach: ${names}
    do:
      cmd: python run.py ${key} ${item.lr}
      outs: ["${out}/${key}.pkl"]
      desc: fits ${key}
  grid:
    matrix: {a: [1, 2], b: [x]}
    cmd: echo ${item.a} ${item.b}
  plain:
    cmd: echo ${split}
"""
FILES: dict[str, str | bytes | None] = {
    "dvc.yaml": PIPELINE,
    "conf/more.yaml": "names:\n  one: {lr: 0.1}\n  two: {lr: 1e-5}\n",
    "params.yaml": "split: 0.2\n",
}


def addresses(snapshot: Snapshot) -> set[str]:
    return {stage.address for stage in snapshot.stages}


def test_vars_foreach_and_matrix(repo: Any) -> None:
    pytest.importorskip("dvc.parsing", reason="resolving needs the extra 'dvc'")
    repo.commit(FILES)
    snapshot = repo.snapshot()
    assert addresses(snapshot) == {"train@one", "train@two", "grid@1-x", "grid@2-x", "plain"}
    two = next(stage for stage in snapshot.stages if stage.address == "train@two")
    assert (two.command, two.outs[0].path, two.desc, two.line) == (
        "python run.py two 1e-05", "model/two.pkl", "fits two", 6,
    )  # fmt: skip
    assert not snapshot.problems


def test_params_that_only_templates_use_keep_their_dotted_keys(repo: Any) -> None:
    """As in ``dvc params show``; seen in PIReTship/bookdata-tools."""
    pytest.importorskip("dvc.parsing", reason="resolving needs the extra 'dvc'")
    pipeline = "vars: [conf.yaml]\nstages:\n  a:\n    cmd: run ${from.url}\n    params: [p.yaml: [x.y]]\n"
    repo.commit({"dvc.yaml": pipeline, "conf.yaml": "from: {url: u, more: 1}\n", "p.yaml": "x: {y: 1, z: 2}\n"})
    assert params_table([repo.snapshot()])["main"]["data"] == {
        "p.yaml": {"data": {"x": {"y": 1}}},
        "conf.yaml": {"data": {"from.url": "u"}},
    }


def test_a_change_of_a_file_that_was_read_resolves_anew(repo: Any) -> None:
    pytest.importorskip("dvc.parsing", reason="resolving needs the extra 'dvc'")
    repo.commit(FILES, tag="one")
    repo.commit({"conf/more.yaml": "names: {three: {lr: 3}}\n"}, tag="two")
    repo.commit({"README.md": "same templates\n"}, tag="three")
    found = {snapshot.revisions[-1].name: addresses(snapshot) for snapshot in repo.read()}
    assert "train@one" in found["one"]
    assert "train@three" in found["two"]
    assert found["two"] == found["three"]


def test_without_dvc_the_lock_gives_the_stages(repo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dvc.parsing", None)
    lock = (
        "schema: '2.0'\nstages:\n  train@one:\n    cmd: python run.py one 0.1\n    outs:\n"
        "    - {path: model/one.pkl, md5: " + "a" * 32 + "}\n"
    )
    repo.commit({**FILES, "dvc.lock": lock})
    snapshot = repo.snapshot()
    (one,) = snapshot.stages
    assert (one.address, one.command, one.outs[0].hash, one.line) == ("train@one", "python run.py one 0.1", "a" * 32, 6)
    assert "dvc is not installed" in snapshot.problems[0].message
    assert "extra 'dvc'" in snapshot.problems[0].remedy
    assert not snapshot.complete


HOSTILE = {
    "matrix that explodes": "stages:\n  a:\n    matrix:\n"
    + "".join(f"      k{i}: [{', '.join(map(str, range(10)))}]\n" for i in range(8))
    + "    cmd: x\n",
    "foreach over too much": "vars: [{n: ["
    + ", ".join(map(str, range(20_000)))
    + "]}]\nstages:\n  a:\n    foreach: ${n}\n    do: {cmd: x}\n",
    "vars outside": "vars: [../../etc/passwd, /etc/hostname]\nstages:\n  a: {cmd: '${x}'}\n",
    "vars that are stages": "vars: [dvc.yaml]\nstages:\n  a: {cmd: '${stages.a.cmd}'}\n",
    "wrong types": "vars: 3\nstages:\n  a: {foreach: 1, do: 2}\n  b: {matrix: 1, cmd: '${'}\n",
    "long text many times": "vars: [{x: '" + "y" * 100_000 + "'}]\nstages:\n  a:\n    cmd: '" + "${x}" * 5_000 + "'\n",
    "cycle": "vars: [{x: '${y}', y: '${x}'}]\nstages:\n  a: {cmd: '${x}'}\n  b: {foreach: '${b}', do: {cmd: x}}\n",
    "cycle through a file": "vars: [params.yaml:x]\nstages:\n  a: {cmd: '${x}', vars: [params.yaml:a]}\n",
    "unknown": "stages:\n  a: {cmd: '${nobody}'}\n  b: {cmd: ok}\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_problems_in_bounded_time(repo: Any, name: str) -> None:
    pytest.importorskip("dvc.parsing", reason="resolving needs the extra 'dvc'")
    repo.commit({"dvc.yaml": HOSTILE[name], "b.dvc": "outs:\n- path: b\n"})
    start = time.process_time()
    snapshot = repo.snapshot()
    assert time.process_time() - start < 10
    assert "b.dvc" in addresses(snapshot)
    assert snapshot.complete == (name == "vars that are stages")
    assert all(len(stage.command) <= 10_000 for stage in snapshot.stages)
    assert snapshot.complete or any(problem.path == "dvc.yaml" and problem.message for problem in snapshot.problems)
