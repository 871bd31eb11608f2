"""Odd but legal projects, written as no tool writes them, read as real DVC reads them: YAML of every style, names of
every kind, templates at their limits, histories that do not start or end where one would think."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow

A, B, C, D = ("0123456789abcdef" * 2, "fedcba9876543210" * 2, "00112233445566778899aabbccddeeff", "d" * 32)
LOCK = """\
schema: '2.0'
stages:
  {name}:
    cmd: {cmd}
    deps:
    - {{path: "a b/größe.csv", hash: md5, md5: {a}, size: 7}}
    outs:
    - path: out.bin
      hash: md5
      md5: {b}
      size: 3
"""
STYLES = {
    "json": {
        "dvc.yaml": json.dumps(
            {"stages": {"json": {"cmd": "run", "deps": ["a b/größe.csv"], "outs": [{"out.bin": {"persist": True}}]}}},
            indent=1,
        ),
        "dvc.lock": json.dumps(
            {
                "schema": "2.0",
                "stages": {
                    "json": {
                        "cmd": "run",
                        "deps": [{"path": "a b/größe.csv", "md5": A, "size": 7}],
                        "outs": [{"path": "out.bin", "md5": B, "size": 3}],
                    }
                },
            }
        ),
    },
    "anchors": {
        "dvc.yaml": "stages:\n  first: &one\n    cmd: >-\n      run\n      folded\n    deps: &deps\n"
        "    - 'a b/größe.csv'\n"
        "    outs: [out.bin]\n  second:\n    <<: *one\n    cmd: |\n      two\n      lines\n    deps: *deps\n"
        '    outs:\n    - "out\\u0032.bin"\n',
        "dvc.lock": LOCK.format(name="first", cmd="run folded", a=A, b=B)
        + f"  second:\n    cmd: 'two\n\n      lines\n\n      '\n    deps:\n    - path: a b/größe.csv\n      md5: {A}\n"
        f"    outs:\n    - path: out2.bin\n      md5: {C}.dir\n      nfiles: 4\n      size: 40\n",
    },
    "returns": {
        "dvc.yaml": "---\r\n# a comment\r\nstages:\r\n    '001':\r\n        cmd: run   # and another\r\n"
        "        deps:\r\n"
        "        -   a b/größe.csv\r\n        outs:\r\n        -   out.bin:\r\n                cache: false\r\n",
        "dvc.lock": LOCK.format(name="'001'", cmd="run", a=A, b=B).replace("\n", "\r\n"),
    },
    "flow": {
        "dvc.yaml": "{stages: {flow: {cmd: [run, 'and: run'], deps: ['a b/größe.csv'],\n"
        " outs: [out.bin: {push: false}],"
        "\n metrics: [m.json: {cache: false}]}}}\n",
        "dvc.lock": "stages: {flow: {cmd: [run, 'and: run'], deps: [{path: 'a b/größe.csv', md5: "
        f"{A}"
        "}],\n outs: [{path: out.bin, md5: "
        f"{B}, size: 0x10"
        "}, {path: m.json, md5: "
        f"{D}"
        "}]}}\nschema: '2.0'\n",
        "m.json": '{"acc": 1E-3, "n": {"größe": 2}, "big": 123456789012345678901}',
    },
    "templates": {
        "conf/vars.yaml": "flag: false\nnested: {list: [{name: x, lr: 1e-3}, {name: 'y z', lr: .5}]}\nextra: 1\n",
        "params.yaml": "models:\n  small: {depth: 1, wide: true}\n  large: {depth: 9, wide: false}\n"
        "only: &a [1, 2]\ncopy: *a\n",
        "dvc.yaml": """
vars:
- conf/vars.yaml:nested
- base: data
  deep: {er: ["a b", größe.csv]}
stages:
  each:
    foreach: ${nested.list}
    do:
      wdir: conf
      cmd: run --lr ${item.lr} '${item.name}' \\${HOME}
      deps: ["../${deep.er[0]}/${deep.er[1]}"]
      outs:
      - ${base}-${item.name}.bin:
          cache: false
  grid:
    matrix:
      model: [{kind: a, n: 1}, {kind: b, n: 2}]
      flag: [true, false]
    cmd: run ${item.model.kind}${item.model.n} ${item.flag}
    outs: ["g/${item.model.kind}/${item.flag}"]
  all:
    vars: [{own: mine}]
    cmd: run ${models.small} ${own}
    params:
    - params.yaml:
    - conf/vars.yaml: [nested.list, extra]
    outs: ["${own}.bin"]
""",
    },
}
FILES = {
    "many.dvc": f"wdir: a b\nmd5: {D}\nouts:\n- path: ./x.bin\n  md5: {A}\n  size: 1\n"
    f"- {{path: y/, md5: {B}.dir, size: 2,"
    " nfiles: 2, hash: md5, desc: 'ümlaut'}\nmeta: {owner: [me, 1]}\n",
    "größe ä.csv.dvc": f"outs:\n- md5: {C}\n  size: 5\n  path: größe ä.csv\n",
    ".dvcignore": "hidden/\n/top*.dvc\n!topmost.dvc\n",
    "hidden/x.dvc": f"outs:\n- path: x\n  md5: {A}\n",
    "top1.dvc": f"outs:\n- path: top1\n  md5: {A}\n",
    "topmost.dvc": f"outs:\n- path: topmost\n  md5: {A}\n",
}


@pytest.fixture(scope="module")
def dvc_oracle() -> ModuleType:
    """The comparison with real DVC of the file beside this one."""
    pytest.importorskip("dvc", reason="real DVC is the oracle")
    spec = importlib.util.spec_from_file_location("against_dvc", Path(__file__).with_name("test_against_dvc.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commit(oracle: ModuleType, folder: Path, files: dict[str, str], tag: str) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    oracle.run(folder, "git", "add", "-A")
    oracle.run(folder, "git", "commit", "-qm", tag)
    oracle.run(folder, "git", "tag", tag)


def test_odd_projects_equal_dvc(tmp_path: Path, dvc_oracle: ModuleType) -> None:
    folder = tmp_path / "odd"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text(
        "[core]\n\tremote = ünusual\n['remote \"ünusual\"']\n    url = s3://bucket/a b\n"
    )
    run = dvc_oracle.run
    run(folder, "git", "init", "-q", "-b", "odd/branch")
    for number, (name, files) in enumerate(STYLES.items()):
        if number == 2:  # a second beginning, merged with the first one later
            run(folder, "git", "checkout", "-q", "--orphan", "other")
        commit(dvc_oracle, folder, files | (FILES if number else {}), f"v/{name}")
    run(folder, "git", "merge", "-q", "--allow-unrelated-histories", "-s", "ours", "odd/branch", "-m", "both")
    run(folder, "git", "tag", "-a", "noted", "-m", "a tag", "v/json")
    run(folder, "git", "tag", "-a", "twice", "-m", "a tag of a tag", "noted")
    compared = dvc_oracle.assert_stages_equal(folder, sys.executable)
    # Five styles by tag, two tags more on one of them, two branches.
    assert compared == len(STYLES) + 4
    assert dvc_oracle.assert_tables_equal(folder) > 0
