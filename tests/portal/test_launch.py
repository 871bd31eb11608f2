"""The launcher: leftovers of the same service end, other portals' processes do not, root is given up."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import launch

LAUNCHER = Path(launch.__file__)
SLEEP = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give root up")


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def _environment(home: Path, service: str) -> dict[str, str]:
    return {**os.environ, launch.HOME: str(home), launch.SERVICE: service}


def test_only_its_own_leftovers_end(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    for home, service in (("a", "web"), ("a", "worker"), ("b", "web")):
        process = subprocess.Popen(SLEEP, env=_environment(tmp_path / home, service), stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        started.append(process)
    web, worker, other = started

    result = subprocess.run(
        [sys.executable, str(LAUNCHER), "web", sys.executable, "-c", "print('became the command')"],
        env=_environment(tmp_path / "a", "web"),
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout == "became the command\n"
    assert "ended 1 processes of an earlier start" in result.stderr
    assert web.poll() is not None
    assert worker.poll() is None
    assert other.poll() is None


def _child(code: str) -> subprocess.CompletedProcess[str]:
    prefix = f"import os, sys; sys.path.insert(0, {str(LAUNCHER.parents[1])!r})\nfrom pathlib import Path\n"
    prefix += "from embedded import launch\n"
    return subprocess.run([sys.executable, "-c", prefix + code], capture_output=True, text=True, check=False)


@as_root
def test_root_becomes_another_user_that_owns_roots_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "data").write_text("kept")
    result = _child(
        f"folder = Path({str(tmp_path)!r})\n"
        f"print(launch.give_up_root(folder, Path({sys.executable!r})))\n"
        "print(os.geteuid(), (folder / 'data').read_text(), (folder / 'data').stat().st_uid)\n"
    )
    if "nobody" in result.stdout:
        pytest.skip("user namespaces are forbidden here")

    assert result.stdout.split() == ["namespace", str(launch.NOBODY), "kept", str(launch.NOBODY)], result.stderr
    assert (tmp_path / "data").stat().st_uid == 0


@as_root
def test_without_namespaces_root_becomes_nobody_and_says_what_it_cannot_reach() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        code = f"launch.become_nobody(Path({name!r}) / 'data', Path('/bin/sh'))\nprint(os.geteuid())\n"

        closed = _child(code)
        folder.chmod(0o711)
        reachable = _child(code)

    assert "PermissionError" in closed.stderr
    assert f"cannot reach {name}/data" in closed.stderr
    assert reachable.stdout.strip() == str(launch.NOBODY), reachable.stderr
