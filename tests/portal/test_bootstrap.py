"""The environment: made once, refused with a reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from embedded import bootstrap
from embedded.errors import BootstrapError

ROOT = Path(__file__).resolve().parents[2]


def test_another_python_gets_a_sentence() -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 9, 1); sys.argv = ['portal.py', 'up']; "
    code = f"{pretend}runpy.run_path({str(ROOT / 'scripts/portal.py')!r}, run_name='__main__')"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert "The portal needs Python 3.11" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_needs_no_environment(tmp_path: Path) -> None:
    environment = {**os.environ, "MLOPS_VENV": str(tmp_path / "nothing")}
    for command in ([], ["demo"], ["up"], ["status"], ["logs"], ["down"], ["reset"]):
        result = subprocess.run(
            [sys.executable, "-S", str(ROOT / "scripts/portal.py"), *command, "--help"],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert "usage: portal.py" in result.stdout


def test_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    # A stand-in, for a test must not fill the disk.
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(200 << 20))

    with pytest.raises(BootstrapError, match=r"No disk space for the Python environment: it needs 2\.0 GiB"):
        bootstrap.ensure(tmp_path / "not/yet/there", ROOT / "requirements.lock", print)

    assert not (tmp_path / "not").exists()


def test_an_unreachable_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "PIP_INDEX_URL": nowhere,
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_QUIET": "3",
    }.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "venv"

    with pytest.raises(BootstrapError, match="package registry is unreachable from here"):
        bootstrap.ensure(folder, ROOT / "requirements.lock", print)

    assert not (folder / ".lock-hash").exists(), "the next try begins anew"


def test_a_second_call_does_nothing_until_the_lock_changes(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "setup.py").write_text("")
    lock = tmp_path / "some.lock"
    lock.write_text("one==1\n")
    folder = tmp_path / "venv"
    folder.mkdir()
    (folder / ".lock-hash").write_text(bootstrap.lock_hash(lock, checkout))

    assert not bootstrap.ensure(folder, lock, print, checkout)
    before = bootstrap.lock_hash(lock, checkout)
    lock.write_text("one==2\n")
    assert bootstrap.lock_hash(lock, checkout) != before
