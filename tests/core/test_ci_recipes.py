"""The recipes for CI in the documentation are sound by the schemas of GitHub Actions and GitLab CI."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("number", "schema", "file"),
    [(0, "vendor.github-workflows", "catalog.yml"), (1, "vendor.gitlab-ci", ".gitlab-ci.yml")],
)
def test_a_recipe_is_sound(tmp_path: Path, number: int, schema: str, file: str) -> None:
    section = (DOCS / "provider.md").read_text().split("## In CI")[1].split("\n## ")[0]
    recipes = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert len(recipes) == 2
    (tmp_path / file).write_text(recipes[number])
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, "--default-filetype", "yaml"]
    done = subprocess.run([*command, str(tmp_path / file)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
