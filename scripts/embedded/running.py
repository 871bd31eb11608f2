"""Services without a supervisor, for tests and tools: started together, waited for, stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from embedded.errors import ServiceError
from embedded.launch import HOME, SERVICE
from embedded.service import Service, healthy

START_SECONDS = 90


def environment(service: Service, home: Path) -> dict[str, str]:
    """The variables of a service's process."""
    # libpq's variables of the operator's shell would redirect connections.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "CKAN_", "MLFLOW_"))}
    return {**inherited, **service.environment, HOME: str(home), SERVICE: service.name}


def last_lines(log: Path, count: int = 20) -> str:
    """The end of a log, for an error message."""
    if not log.exists():
        return "(it wrote nothing)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_000))
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.strip().splitlines()[-count:]) or "(it wrote nothing)"


@contextmanager
def running(services: Sequence[Service], home: Path, python: Path = Path(sys.executable)) -> Iterator[None]:
    """Run the services while the block runs; logs go to `home/logs`.

    :raises ServiceError: one does not start; with its last log lines
    """
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    started: list[tuple[Service, subprocess.Popen[bytes]]] = []
    try:
        for service in services:
            service.folder.mkdir(parents=True, exist_ok=True)
            if service.prepare:
                service.prepare()
            with (logs / f"{service.name}.log").open("ab") as log:
                process = subprocess.Popen(
                    service.launched(python),
                    cwd=service.folder,
                    env=environment(service, home),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            started.append((service, process))
        for service, process in started:
            _wait(service, process, logs / f"{service.name}.log")
        yield
    finally:
        _stop(started)


def _wait(service: Service, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while problem := healthy(service.check):
        code = process.poll()
        if code is not None or time.monotonic() > end:
            what = (
                f"ended with code {code}" if code is not None else f"is not ready after {START_SECONDS} s ({problem})"
            )
            raise ServiceError(f"{service.title} {what}. Its log {log} ends with:\n{last_lines(log)}")
        time.sleep(0.2)


def _stop(started: list[tuple[Service, subprocess.Popen[bytes]]]) -> None:
    for stores in (False, True):
        batch = [(service, process) for service, process in started if service.store == stores]
        for service, process in batch:
            if process.poll() is None:
                process.send_signal(getattr(signal, f"SIG{service.stop_signal}"))
        for service, process in batch:
            try:
                process.wait(service.stop_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
