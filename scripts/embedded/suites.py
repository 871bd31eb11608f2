"""The suites of `scripts/check.py`: lint, types, and the tests with the services that they need.

Importing this needs the standard library only; running a suite needs the environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from embedded import bootstrap

ROOT = bootstrap.CHECKOUT


@dataclass
class Outcome:
    """What one suite did; ``tests`` counts by result, empty for a suite that is no test run."""

    name: str
    seconds: float = 0.0
    tests: dict[str, int] = field(default_factory=dict)
    passed: bool = True
    note: str = ""


@dataclass(frozen=True)
class Suite:
    """One named check.

    :param run: does it in the folder that it is given
    :param fast: needs no service and ends in seconds
    """

    name: str
    about: str
    run: Callable[[Path, list[str]], Outcome]
    fast: bool = False


def _command(name: str, *commands: list[str]) -> Outcome:
    codes = [subprocess.run(command, cwd=ROOT, check=False).returncode for command in commands]
    return Outcome(name, passed=not any(codes))


def _module(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def lint(_work: Path, _options: list[str]) -> Outcome:
    """Style and formatting."""
    return _command("lint", _module("ruff", "check", "."), _module("ruff", "format", "--check", "."))


def types(_work: Path, _options: list[str]) -> Outcome:
    """Static types."""
    return _command("types", _module("mypy", "ckanext-mlops/ckanext/mlops", "scripts/embedded"))


def pytest(name: str, work: Path, options: list[str], environment: Mapping[str, str] | None = None) -> Outcome:
    """Run `tests/NAME` and count its results; no test run at all is a failure."""
    report = work / f"{name}.xml"
    # The profile repeats the same generated examples every time; pytest called by hand tries others.
    command = _module("pytest", f"tests/{name}", f"--junitxml={report}", "--hypothesis-profile=ci", *options)
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, **(environment or {})}, check=False).returncode
    if not report.exists():
        return Outcome(name, passed=False, note=f"pytest ended with code {code} before any test")
    totals = ET.parse(report).getroot().find("testsuite")  # noqa: S314  pytest wrote it a moment ago
    counts = (
        {key: int(totals.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        if totals is not None
        else {}
    )
    failed = counts.get("failures", 0) + counts.get("errors", 0)
    skipped = counts.get("skipped", 0)
    tests = {"passed": counts.get("tests", 0) - failed - skipped, "failed": failed, "skipped": skipped}
    return Outcome(name, tests=tests, passed=code == 0)


def core(work: Path, options: list[str]) -> Outcome:
    """Reading and planning: needs no service."""
    return pytest("core", work, options)


def demo(work: Path, options: list[str]) -> Outcome:
    """The demo project, built with real Git, DVC and MLflow."""
    return pytest("demo", work, options)


def ckan(work: Path, options: list[str]) -> Outcome:
    """The extension in a real CKAN."""
    from embedded.services import backing_services

    with backing_services(work / "ckan", report=print) as backing:
        environment = {
            "CKAN_SQLALCHEMY_URL": backing.database("ckan"),
            "CKAN_REDIS_URL": backing.redis_url,
            "CKAN_SOLR_URL": backing.solr_url,
        }
        return pytest("ckan", work, options, environment)


def portal(work: Path, options: list[str]) -> Outcome:
    """The embedded portal: up, down, kill, restart."""
    return pytest("portal", work, options, {"MLOPS_VENV": sys.prefix})


def browser(work: Path, options: list[str]) -> Outcome:
    """The demo's pages in Chromium, as a person reads them."""
    from embedded.ports import free_port  # of the environment

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        missing = "no Chromium on this machine (Debian: apt install chromium)"
        return Outcome("browser", passed="CI" not in os.environ, note=f"skipped: {missing}")
    home = work / "portal"
    environment = {**os.environ, "MLOPS_VENV": sys.prefix}
    command = [sys.executable, "scripts/portal.py"]
    ports = ["--port", str(free_port())]
    shown = Path(os.environ.get("MLOPS_SCREENSHOTS", ROOT / ".check" / "screenshots"))
    with ExitStack() as stack:
        stack.callback(
            subprocess.run, [*command, "reset", "--yes", "--home", str(home)], cwd=ROOT, env=environment, check=False
        )
        up = [*command, "demo", "--detach", "--home", str(home), *ports]
        if subprocess.run(up, cwd=ROOT, env=environment, check=False).returncode:
            return Outcome("browser", passed=False, note="the demo did not come up")
        shown.mkdir(parents=True, exist_ok=True)
        variables = {"MLOPS_PORTAL": str(home), "MLOPS_CHROMIUM": chromium, "MLOPS_SCREENSHOTS": str(shown)}
        return pytest("browser", work, options, variables)


# Short ones first, to fail early; then the longest first, so that none is left alone at the end.
SUITES = (
    Suite("lint", "ruff: style and formatting", lint, fast=True),
    Suite("types", "mypy: static types", types, fast=True),
    Suite("ckan", "the extension in CKAN, with PostgreSQL, Redis and Solr", ckan),
    Suite("browser", "the demo's pages in Chromium", browser),
    Suite("portal", "the embedded portal: up, down, kill, restart", portal),
    Suite("core", "reading and planning, without services", core, fast=True),
    Suite("demo", "the demo project, with real Git, DVC and MLflow", demo),
)
