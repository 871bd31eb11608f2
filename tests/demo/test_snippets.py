"""The commands that the portal shows are run as a reader pastes them, and give exactly the version's data."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ckanext.mlops.catalog.recipe import recipe
from ckanext.mlops.catalog.snippets import Subject, python, shell, snippets
from ckanext.mlops.client.hashing import file_md5
from ckanext.mlops.core.records import to_dict
from ckanext.mlops.core.repository import read_repository

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="module")
def stages(built):
    """Address → (commit of the tip of main, facts) of the project."""
    commit = built.space.git("rev-parse", "main").strip()
    reading = read_repository(built.space.work / ".git", url=built.project.url)
    snapshot = next(each for each in reading if any(one.commit == commit for one in each.revisions))
    return {stage.address: (commit, to_dict(stage)) for stage in snapshot.stages}


def run(code, folder, language="sh"):
    command = ["bash", "-ec", code] if language == "sh" else [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PATH": PATH}
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def subject(built, stages):
    commit, facts = stages["prepare"]
    out = next(each for each in facts["outs"] if each["path"].endswith(".csv"))
    found = Subject("titanic-prepare", out["path"], "http://portal.test", "http://portal.test/x?a=1&b=2",
                    repository=built.project.url, commit=commit, dvc=True)  # fmt: skip
    return found, out["hash"]


@pytest.mark.parametrize("key", ["dvc get", "dvc import"])
def test_dvc_gives_the_version(subject, tmp_path, key):
    wanted, digest = subject
    run("git init -q . && dvc init -q", tmp_path)
    (found,) = (each for each in snippets(wanted) if each.key == key)
    run(found.code, tmp_path)
    assert file_md5(tmp_path / Path(wanted.path).name) == digest


def test_python_reads_the_version(subject, tmp_path):
    wanted, digest = subject
    codes = {each.key: each.code for each in snippets(wanted)}
    script = f"{codes['dvc.api']}\nimport hashlib\nprint(hashlib.md5(data).hexdigest())\n{codes['pandas, dvc.api']}\n"
    digest_line, rows = run(script + "print(len(frame))", tmp_path, "python").split()
    assert digest_line == digest
    assert int(rows) > 100


def test_the_recipe_makes_the_same_output_in_a_clean_clone(built, stages, tmp_path):
    commit, facts = stages["prepare"]
    made = recipe(built.project.url, commit, facts)
    run("\n".join(made["commands"]), tmp_path)
    for out in made["outputs"]:
        assert file_md5(tmp_path / "reproduced" / out["path"]) == out["hash"]
    lock = yaml.safe_load((tmp_path / "reproduced/dvc.lock").read_text())
    assert {each["path"]: each["md5"] for each in lock["stages"]["prepare"]["outs"]} == {
        each["path"]: each["hash"] for each in made["outputs"]
    }


HOSTILE = ["a b.csv", "$(touch pwned).csv", "`touch pwned`.csv", "'; touch pwned; '.csv", '"; touch pwned; ".csv',
           "-rf.csv", "a\\'b.csv", "x\n touch pwned.csv", "\x1b[31m.csv", "{x}.csv", "ünïcode.csv",
           "\u202ecsv.exe.csv"]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_a_name(name, tmp_path):
    assert run(f"printf %s {shell(name)}", tmp_path) == name
    assert run(f"print({python(name)}, end='')", tmp_path, "python") == name
    assert all(char.isprintable() for char in shell(name) + python(name))
    wanted = Subject(name, f"data/{name}", f"http://portal.test/{name}", f"http://portal.test/?{name}", name, name,
                     name, dvc=True, lfs=True)  # fmt: skip
    for each in snippets(wanted):
        if each.language == "python":
            compile(each.code, "snippet", "exec")
            continue
        stubs = "\n".join(f"{program}() {{ :; }}" for program in ("dvc", "git", "curl", "ckan-mlops"))
        run(f"{stubs}\n{each.code}", tmp_path)
        if "\\x" not in each.code:
            assert any(name in word for word in shlex.split(each.code)) or each.key == "git-lfs"
    for command in recipe(name, name, {"address": name, "outs": [{"path": name}]})["commands"]:
        run("git() { :; }\ndvc() { :; }\ncd() { :; }\n" + command, tmp_path)
    assert list(tmp_path.iterdir()) == []
