"""Reading and planning need no CKAN, and start without the heavy packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ckanext.mlops.core

PACKAGE = Path(ckanext.mlops.core.__file__).parent.parent
MODULES = sorted(path for folder in ("core", "catalog") for path in (PACKAGE / folder).rglob("*.py"))
#: Imported by MLflow, and so free to import it.
TRAINING = sorted((PACKAGE / "training").rglob("*.py"))
SERVING = {"ckanext.mlops.logic", "ckanext.mlops.model", "ckanext.mlops.plugin", "ckanext.mlops.views"}


def imported(path):
    """Every name that the module imports, wherever in it, relative ones made absolute."""
    package = ["ckanext", "mlops", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", [*MODULES, *TRAINING], ids=lambda path: str(path.relative_to(PACKAGE)))
def test_core_catalog_and_training_import_nothing_of_ckan(path):
    for name in imported(path):
        assert name.split(".")[0] not in ("ckan", "ckanapi", "flask", "sqlalchemy"), name
        assert not name.startswith("ckanext.") or name.startswith("ckanext.mlops"), name
        assert not any(name == item or name.startswith(item + ".") for item in SERVING), name
        if path.parent.name == "core":
            assert not name.startswith("ckanext.mlops.catalog"), name


def test_the_check_sees_relative_and_nested_imports(tmp_path):
    file = PACKAGE / "core" / "sample.py"
    tree = "def f():\n    from ..logic import auth\n    import ckan.model\n"
    sample = type("Sample", (), {"relative_to": file.relative_to, "read_text": lambda self: tree})()
    assert set(imported(sample)) == {"ckanext.mlops.logic", "ckanext.mlops.logic.auth", "ckan.model"}


def test_importing_every_module_loads_neither_ckan_nor_dvc_nor_mlflow():
    names = [".".join(("ckanext", "mlops", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in MODULES]
    names = [name.removesuffix(".__init__") for name in names]
    script = (
        "import sys, importlib\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ckanext" in loaded
    assert not loaded & {"ckan", "dvc", "dvc_data", "dvc_objects", "mlflow", "flask", "sqlalchemy", "gto", "scmrepo"}


def test_the_package_itself_starts_without_pandas_and_requests():
    script = "import sys, ckanext.mlops.core; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"pandas", "numpy", "requests", "ckan", "dvc", "mlflow"}
