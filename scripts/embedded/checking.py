"""The command line of `scripts/check.py`: runs suites side by side, each in a process of its own.

Standard library only up to :func:`main`'s re-execution. Every suite runs, also after one failed; the last lines are a
table of them and `N passed, N failed, N skipped` over all tests.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from embedded import bootstrap
from embedded.errors import PortalError
from embedded.suites import ROOT, SUITES, Outcome, Suite

JOBS = 2  # at once; more would make services miss their time on small machines


def parser() -> argparse.ArgumentParser:
    """The command line."""
    names = ", ".join(suite.name for suite in SUITES)
    top = argparse.ArgumentParser(prog="check.py", description="Run all checks, or the named ones.")
    top.add_argument("suites", nargs="*", metavar="SUITE", help=f"any of: {names} (default: all)")
    top.add_argument("--fast", action="store_true", help="only what needs no service")
    top.add_argument("-k", metavar="EXPRESSION", help="only tests that match, as pytest's -k")
    top.add_argument("-x", action="store_true", help="each suite stops at its first failure")
    top.add_argument(
        "--jobs", type=int, default=min(JOBS, os.cpu_count() or 1), help="suites at once (default: %(default)s)"
    )
    top.add_argument("--outcome", type=Path, help=argparse.SUPPRESS)  # of one suite, for the process that started it
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the suites; the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops what was started, too
    top = parser()
    options = top.parse_args(given)
    unknown = set(options.suites) - {suite.name for suite in SUITES}
    if unknown:
        top.error(f"no suite {', '.join(sorted(unknown))}")
    try:
        folder = ROOT / ".venv-dev"
        bootstrap.ensure(folder, ROOT / "requirements-dev.lock", lambda text: print(text, flush=True))
        bootstrap.reexecute(folder, [str(ROOT / "scripts/check.py"), *given])
    except PortalError as error:
        print(f"\ncheck.py: {error}", file=sys.stderr)
        return 1
    chosen = [
        suite
        for suite in SUITES
        if (suite.name in options.suites if options.suites else suite.fast or not options.fast)
    ]
    extra = [*(["-k", options.k] if options.k else []), *(["-x"] if options.x else [])]
    if options.fast:
        extra += ["-m", "not slow and not oracle"]
    with tempfile.TemporaryDirectory(prefix="mlops-check-") as work:
        if options.jobs > 1 and len(chosen) > 1:
            flags = [flag for flag, is_set in (("--fast", options.fast), ("-x", options.x)) if is_set]
            flags += [f"-k={options.k}"] if options.k else []
            return _report(_side_by_side(chosen, flags, Path(work), options.jobs))
        outcomes = [_timed(suite, Path(work), extra) for suite in chosen]
    if options.outcome:
        options.outcome.write_text(json.dumps(asdict(outcomes[0])))
        return 0 if outcomes[0].passed else 1
    return _report(outcomes)


def _side_by_side(chosen: Sequence[Suite], flags: list[str], work: Path, jobs: int) -> list[Outcome]:
    """Each suite as a process of its own; what it printed is shown whole when it ends."""
    waiting, running, outcomes = list(chosen), dict[str, subprocess.Popen[bytes]](), dict[str, Outcome]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                suite = waiting.pop(0)
                print(f"... {suite.name} begins: {suite.about}", flush=True)
                command = [sys.executable, str(ROOT / "scripts/check.py"), suite.name, *flags]
                with (work / f"{suite.name}.log").open("wb") as log:
                    running[suite.name] = subprocess.Popen(
                        [*command, "--outcome", str(work / f"{suite.name}.json")],
                        cwd=ROOT,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
            time.sleep(0.2)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                sys.stdout.write((work / f"{name}.log").read_text(encoding="utf-8", errors="replace"))
                sys.stdout.flush()
                outcomes[name] = _outcome(work / f"{name}.json", name, code)
    finally:
        for process in running.values():
            process.terminate()  # it stops its services
        for process in running.values():
            process.wait()
    return [outcomes[suite.name] for suite in chosen]


def _outcome(file: Path, name: str, code: int) -> Outcome:
    try:
        return Outcome(**json.loads(file.read_text()))
    except (OSError, ValueError):
        return Outcome(name, passed=False, note=f"ended with code {code} before its result")


def _timed(suite: Suite, work: Path, options: list[str]) -> Outcome:
    print(f"\n=== {suite.name}: {suite.about}", flush=True)
    begin = time.monotonic()
    try:
        outcome = suite.run(work, options)
    except PortalError as error:
        outcome = Outcome(suite.name, passed=False, note=str(error))
        print(error, flush=True)
    outcome.seconds = time.monotonic() - begin
    return outcome


def _report(outcomes: list[Outcome]) -> int:
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    print(f"\n{'suite':10} {'result':8} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for outcome in outcomes:
        for key in totals:
            totals[key] += outcome.tests.get(key, 0)
        counts = "".join(
            f" {outcome.tests.get(key, '')!s:>{width}}" for key, width in zip(totals, (7, 7, 8), strict=True)
        )
        result = "ok" if outcome.passed else "FAILED"
        note = f"  {outcome.note.splitlines()[0]}" if outcome.note else ""
        print(f"{outcome.name:10} {result:8}{counts} {outcome.seconds:8.1f}{note}")
    broken = [outcome.name for outcome in outcomes if not outcome.passed]
    # A suite that failed without a failed test (lint, a service that did not start) counts as one failure.
    failed = totals["failed"] + sum(1 for outcome in outcomes if not outcome.passed and not outcome.tests.get("failed"))
    print(f"\n{totals['passed']} passed, {failed} failed, {totals['skipped']} skipped")
    return 1 if broken else 0
