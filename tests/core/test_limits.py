"""Every bound of reading is named by the error that it ends in, and in the docs that say how to raise it."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core import Limits
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.records import to_dict

DOCS = Path(__file__).parents[2] / "docs" / "harvesting.md"
FILES = {
    "dvc.yaml": "stages:\n  each:\n    foreach: [1, 2]\n    do:\n      cmd: echo ${item}\n  more:\n    cmd: 'true'\n"
    "    deps: [{a: {b: [c]}}]\n    metrics:\n    - m.json:\n        cache: false\n# " + "x" * 300,
    "m.json": json.dumps({"accuracy": 0.81, "note": "x" * 500}),
    "one.dvc": "outs:\n- path: one\n",
    "a/b/two.dvc": "outs:\n- path: two\n",
}


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("dvc_files", 1),
        ("trees", 1),
        ("depth", 1),
        ("stages", 1),
        ("generated", 1),
        ("dvc_bytes", 200),
        ("value_bytes", 400),
        ("lines", 2),
        ("yaml_depth", 2),
        ("yaml_nodes", 3),
        ("refs", 1),
        ("seconds", 1e-9),
    ],
)
def test_the_error_names_the_bound(limit: str, value: float, repo: Any) -> None:
    repo.commit(FILES)
    repo.git("branch", "other")
    try:
        reading = repo.read(limits=Limits(**{limit: value}))
        said = json.dumps([to_dict(each) for each in [*reading, *reading.problems]], default=str)
    except MlopsError as error:
        said = str(error)
    assert f"(limit: {limit})" in said


def test_every_bound_is_documented() -> None:
    text = DOCS.read_text()
    assert [each.name for each in fields(Limits) if f"`{each.name}`" not in text] == []
