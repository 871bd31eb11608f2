"""What the wheel holds: every module, and every file that CKAN reads at run time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ckanext-mlops" / "ckanext"
#: Endings of the files in the package's folder that are not for run time.
NOT_SHIPPED = (".pyc", ".po", ".map")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel is built from a copy, so that nothing is left in the work tree."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    shutil.copytree(PACKAGE, copy / "ckanext-mlops" / "ckanext", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return copy


@pytest.fixture(scope="module")
def wheel(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(folder), str(copy)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "No module named pip" in done.stderr:
        command = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", command, str(folder)], cwd=copy, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_everything_in_the_package_is_in_the_wheel(copy: Path, wheel: set[str]) -> None:
    source = copy / "ckanext-mlops"
    wanted = {
        path.relative_to(source).as_posix()
        for path in (source / "ckanext").rglob("*")
        if path.is_file() and not path.name.endswith(NOT_SHIPPED)
    }
    assert wanted - wheel == set()


@pytest.mark.parametrize(
    "name",
    [
        "plugin.py",
        "config_declaration.yaml",
        "schemas/presets.yaml",
        "schemas/dataset.yaml",
        "assets/webassets.yml",
        "assets/mlops.css",
        "migration/mlops/alembic.ini",
        "migration/mlops/versions/0001_first_tables.py",
        "templates/package/read_base.html",
        "templates/scheming/package/snippets/package_form.html",
    ],
)
def test_what_ckan_reads_at_run_time(wheel: set[str], name: str) -> None:
    assert f"ckanext/mlops/{name}" in wheel


def test_the_namespace_stays_native(wheel: set[str]) -> None:
    assert "ckanext/__init__.py" not in wheel


def test_nothing_else_is_in_it(wheel: set[str]) -> None:
    assert {name.split("/")[0] for name in wheel} == {"ckanext", "ckanext_mlops-0.1.0.dist-info"}
