"""What the wheel holds: every module, and every file that CKAN reads at run time."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
def built(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
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
    return built


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    """Names in the wheel."""
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


def needed(requirements: list[str], extra: str) -> set[str]:
    """Names of all distributions that these requirements bring, with that extra, as far as they are installed here."""
    waiting = [(Requirement(each), extra) for each in requirements]
    found: set[str] = set()
    while waiting:
        requirement, asked = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": asked})):
            continue
        found.add(name)
        try:
            more = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        waiting += [(Requirement(each), each_extra) for each in more for each_extra in (requirement.extras or {""})]
    return found


def test_the_client_brings_no_ckan(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        described = email.message_from_bytes(archive.read("ckanext_mlops-0.1.0.dist-info/METADATA"))
    brought = needed(described.get_all("Requires-Dist") or [], "client")
    assert {"pyyaml", "requests", "ckanapi"} <= brought
    assert not {name for name in brought if name == "ckan" or name.startswith("ckanext")} - {"ckanext-mlops"}
    assert not brought & {"flask", "sqlalchemy", "dvc", "mlflow"}
    # The same question answers yes where CKAN is wanted.
    assert "ckan" in needed(described.get_all("Requires-Dist") or [], "ckan")


CLEAN = """
import sys
class NoCkan:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ckan" or (name.startswith("ckanext.") and not name.startswith("ckanext.mlops")):
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, NoCkan())
sys.path.insert(0, sys.argv[1])
from importlib.metadata import distribution
import ckanext.mlops.training
assert ckanext.mlops.training.__file__.startswith(sys.argv[1]), ckanext.mlops.training.__file__
try:
    ckanext.mlops.training.tracked(sys.argv[1] + "/nothing")
except ValueError as error:
    assert "not in a Git work tree" in str(error)
found = distribution("ckanext-mlops").entry_points
print(*(item.load().__name__ for item in found if item.group.startswith("mlflow.")))
import mlflow
from ckanext.mlops.training.source import CkanDvcSource
assert CkanDvcSource in mlflow.data.dataset_source_registry._dataset_source_registry.sources
from mlflow.tracking.context.registry import _run_context_provider_registry as providers
assert "DvcContext" in [type(item).__name__ for item in providers]
"""


@pytest.mark.slow
def test_mlflow_finds_the_plug_ins_of_the_wheel_where_ckan_is_not(built: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error:Failure attempting", "-c", CLEAN, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["CkanDvcSource", "DvcContext"]
