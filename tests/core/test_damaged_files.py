"""Files of real projects, damaged at random in bytes or values: whatever is left of them is read, and all that is made
of it, and only errors of ours get out.

``MLOPS_DAMAGES=2000 pytest tests/core/test_damaged_files.py`` tries that many projects in place of a few.
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ckanext.mlops.catalog.datasets import Options
from ckanext.mlops.catalog.drafts import describe
from ckanext.mlops.catalog.plan import plan
from ckanext.mlops.core import Limits, compare, metrics_table, params_table, relate
from ckanext.mlops.core.mlflow_committed import committed_stores
from ckanext.mlops.core.plot_data import plot_files
from ckanext.mlops.core.records import Snapshot, from_dict, to_dict
from ckanext.mlops.tool.render import dag_text, summary_text

BUNDLES = ("dataset-registry", "example-get-started", "lk-demo-experiment", "mlops-titanic", "vscode-dvc-demo")
PROJECTS = int(os.environ.get("MLOPS_DAMAGES", "24"))
TOGETHER = 6  # damaged projects in one repository, each in a folder
LIMITS = Limits(generated=200)
MOST = 40  # files of a project, its DVC files first
DVC = ("dvc.yaml", "dvc.lock", ".dvc", "Dvcfile", ".dvc/config", ".dvcignore", ".gitattributes", "artifacts.yaml")
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 10**30, "", "x", "1e5", "017", ".inf", "é" * 50),
    *("x" * 5000, "a\nb", "a\0b", "\u202e", "..", "../..", "/etc/passwd", "C:\\x", "~", "/", "a/../.."),
    *(
        "${a}",
        "${item}",
        "${",
        "}",
        "ds://",
        "s3://",
        "s3://u:p@h/x?y",
        "http://[",
        "remote://",
        "git@h:o/r",
        "ext::sh",
    ),
    *([], {}, [[]], [{}], [None], {"": {}}, {"a": None}, [1, "a", None, {"b": []}], {1: 2}, {True: 1}),
    *({"path": None}, {"path": 1}, [{"path": []}], {"md5": True}, {"files": [{"relpath": 1}]}, {"cloud": {"r": 1}}),
    *({"repo": {"url": 1}}, {"repo": "x"}, {"db": 1}, {"dataset": []}, "d41d8cd98f00b204e9800998ecf8427e"),
]
KEYS = [
    1,
    None,
    True,
    *("stages", "vars", "cmd", "deps", "outs", "params", "metrics", "plots", "foreach", "do", "matrix"),
]
KEYS += ["wdir", "cloud", "files", "artifacts", "datasets", "x", "y", "meta", "labels"]
BYTES = [b"\0", b"\t", b"\r", b"\n", b": ", b"- ", b"[", b"]", b"{", b"}", b"&a ", b"*a", b"|", b">", b"'", b'"', b"#"]
BYTES += [
    b"---\n",
    b"<<: *a\n",
    b"!!int ",
    b"? ",
    b"<<<<<<< HEAD\n",
    b"${",
    b"\\",
    b"\xff",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
]
BYTES += [b"\xef\xbb\xbf", b"  ", b"=", b",", b"1e999", b"\x1b[31m", b"../", b"s3://"]


@pytest.fixture(scope="module")
def projects(bundle: Callable[[str], Path]) -> list[dict[str, bytes]]:
    """Files of every branch and tag of the bundles."""
    found = []
    for name in BUNDLES:
        command = ["git", f"--git-dir={bundle(name)}"]
        listed = subprocess.run([*command, "for-each-ref", "--format=%(objectname)"], check=True, capture_output=True)
        for oid in sorted(set(listed.stdout.decode().split())):
            data = subprocess.run([*command, "archive", oid], check=True, capture_output=True).stdout
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                files = {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}  # type: ignore[union-attr]
            small = {path: content for path, content in files.items() if len(content) < 60_000}
            found.append(dict(sorted(small.items(), key=lambda item: not item[0].endswith(DVC))[:MOST]))
    return found


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*at, key))


def damaged_value(chance: random.Random, value: Any) -> Any:
    """A copy in which some value is another, gone, wrapped, a copy of one from elsewhere, or under another key."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 2, 4])):
        known = list(places(value))
        at = chance.choice(known)
        if not at:
            continue
        parent = value
        for key in at[:-1]:
            parent = parent[key]
        old = parent.pop(at[-1])
        new: Any = chance.choice(
            [copy.deepcopy(chance.choice(VALUES)), None, [old], {chance.choice(KEYS): old}, copy.deepcopy(old)]
        )
        key = at[-1] if chance.random() < 0.8 or isinstance(parent, list) else chance.choice(KEYS)
        if isinstance(parent, list):
            parent[key:key] = [new] * chance.choice([0, 1, 1, 2])
        elif chance.random() < 0.9:
            parent[key] = new
    return value


def damaged_bytes(chance: random.Random, data: bytes) -> bytes:
    """The bytes with some of them gone, doubled, or others in between; or lines in another order or column."""
    for _ in range(chance.choice([1, 1, 2, 8])):
        start = chance.randrange(len(data) + 1)
        end = start + chance.choice([1, 1, 3, 10, 60])
        kind = chance.randrange(6)
        if kind == 0:
            data = data[:start] + data[end:]
        elif kind == 1:
            data = data[:end] + data[start:]
        elif kind == 2:
            data = data[:start] + chance.choice(BYTES) + data[start:]
        elif kind == 3:
            data = data[:start] + chance.choice(BYTES) + data[end:]
        else:
            lines = data.split(b"\n")
            one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
            if kind == 4:
                lines[one], lines[other] = lines[other], lines[one]
            else:
                lines[one] = b" " * chance.randrange(5) + lines[one].lstrip()
            data = b"\n".join(lines)
    return data


def damaged(chance: random.Random, path: str, data: bytes) -> bytes:
    """Another content of the file."""
    if path.endswith((".json", ".yaml", ".lock", ".dvc", "Dvcfile")) and chance.random() < 0.5:
        try:
            value = damaged_value(chance, yaml.load(data, yaml.CSafeLoader))
        except yaml.YAMLError:
            return damaged_bytes(chance, data)
        if path.endswith(".json"):
            return json.dumps(value, skipkeys=True, default=str).encode()
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()
    return damaged_bytes(chance, data)


@pytest.mark.parametrize("number", range(PROJECTS // TOGETHER))
def test_what_is_left_of_damaged_projects_is_read(
    make_repo: Any, projects: list[dict[str, bytes]], tmp_path: Path, number: int
) -> None:
    chance = random.Random(number)  # noqa: S311 - the same damages at every run
    repo = make_repo(fresh=True)
    files: dict[str, str | bytes | None] = {}
    for folder in range(TOGETHER):
        rate = chance.choice([0.1, 0.5, 1])
        for path, data in chance.choice(projects).items():
            there = f"d{folder}/{path}" if folder else path
            files[there] = damaged(chance, path, data) if chance.random() < rate else data
    repo.commit(files, tag="before")
    repo.commit({path: damaged(chance, path, data) for path, data in files.items() if chance.random() < 0.2})  # type: ignore[arg-type]
    reading = repo.read(limits=LIMITS)
    snapshots = list(reading)
    assert len(snapshots) == 2
    for snapshot in snapshots:
        relate(snapshot)
        for form in ("text", "dot", "mermaid"):
            dag_text(snapshot, outs=True, form=form)
        json.dumps([metrics_table([snapshot]), params_table([snapshot])], allow_nan=False)
        assert from_dict(Snapshot, json.loads(json.dumps(to_dict(snapshot), allow_nan=False))) == snapshot
        with reading.files(snapshot.revisions[0]) as held:
            for plot in snapshot.plots:
                json.dumps([to_dict(file) for file in plot_files(plot, held, LIMITS)], allow_nan=False)
            for _, store in committed_stores(held, "project"):
                runs = store.runs([item.experiment_id for item in store.experiments()])
                json.dumps([to_dict(run) for run in runs], allow_nan=False)
    compare(*snapshots)
    assert list(summary_text(reading))
    made = plan(
        describe(reading.repository, snapshots, Options()), {}, dict[Any, Any]().__getitem__, today="2024-01-01"
    )
    json.dumps([change.after.package for change in made.work if change.after], allow_nan=False)
