"""The scripts of the lineage graph and of plots: their own tests, by Node where there is one, and what is committed of
their build."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "ckanext-mlops"
FRONTEND = ROOT / "frontend"
ASSETS = ROOT / "ckanext" / "mlops" / "assets"
#: They import what `npm ci` installs.
NEED_PACKAGES = {"graph.test.js", "md5.test.js"}


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node on this machine; a portal needs none")
def test_the_scripts_tests_pass():
    installed = (FRONTEND / "node_modules").is_dir()
    files = [
        str(each) for each in sorted(FRONTEND.glob("src/*.test.js")) if installed or each.name not in NEED_PACKAGES
    ]
    done = subprocess.run(["node", "--test", *files], cwd=FRONTEND, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_lock_names_no_registry():
    packages = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    assert not [name for name, each in packages.items() if "resolved" in each]
    assert all("integrity" in each for name, each in packages.items() if name)


@pytest.mark.parametrize(
    ("name", "prefix", "most"), [("lineage", ("@dagrejs", "d3"), 50_000), ("plots_frame", ("vega",), 260_000)]
)
def test_the_built_script_is_small_and_its_licences_are_beside_it(name, prefix, most):
    """No page has more than 300 KB of our script, as it is sent: compressed."""
    assert len(gzip.compress((ASSETS / f"{name}.js").read_bytes(), 9)) < most
    licences = (ASSETS / f"{name}.licenses.txt").read_text()
    for each in json.loads((FRONTEND / "package.json").read_text())["dependencies"]:
        assert f"{each} " in licences or not each.startswith(prefix)
