"""What a web process loads when it starts, and what a portal with few plugins needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ckan.common import config

INI = Path(__file__).with_name("test.ini")
START = """
import sys
from ckan.cli import load_config
from ckan.config.middleware import make_app
app = make_app(load_config(sys.argv[1]))
if len(sys.argv) > 2:
    answer = app._wsgi_app.test_client().get(sys.argv[2], base_url="http://portal.test")
    assert answer.status_code == 200, answer.status
roots = {name.split(".")[0] for name in sys.modules}
heavy = roots & {"dvc", "dvc_data", "mlflow", "pandas", "numpy", "sklearn", "git"}
print("loaded:", " ".join(sorted(heavy)))
"""


def start(ini, *arguments):
    """Start CKAN in a process of its own."""
    environment = os.environ | {"CKAN_STORAGE_PATH": config["ckan.storage_path"]}
    return subprocess.run(
        [sys.executable, "-c", START, str(ini), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def ini_with(tmp_path, **options):
    """The tests' ini with some options changed."""
    lines = INI.read_text().splitlines()
    for name, value in options.items():
        key = name.replace("__", ".")
        lines = [f"{key} = {value}" if line.startswith(f"{key} ") else line for line in lines]
    path = tmp_path / "other.ini"
    path.write_text("\n".join(lines))
    return path


def test_a_web_process_loads_neither_dvc_nor_mlflow(clean):
    done = start(INI, "/dataset/")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]


@pytest.mark.parametrize("plugins", ["mlops", "mlops scheming_datasets", "activity scheming_datasets mlops"])
def test_it_starts_without_the_harvester(database, tmp_path, plugins):
    done = start(ini_with(tmp_path, ckan__plugins=plugins))
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_command_is_there(database):
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ckan")), "-c", str(INI), "mlops", "--help"],
        env=os.environ | {"CKAN_STORAGE_PATH": config["ckan.storage_path"]},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for command in ("harvest", "preview", "lineage", "mlflow"):
        assert command in done.stdout
