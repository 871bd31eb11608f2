"""supervisord for one portal: its configuration, a client, and the end of whatever a killed one left."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from embedded.errors import ServiceError
from embedded.launch import HOME, SERVICE, marked, wait_ended
from embedded.running import environment, last_lines
from embedded.secret_files import write_secret
from embedded.service import Service

NAME = "supervisor"
SOCKET_LENGTH = 90  # bytes: the system allows 107, supervisord first makes a longer name
STORES, APPLICATIONS = "stores", "portal"
LOG_SIZE, LOG_COUNT = "10MB", 3


class Supervisor:
    """The supervisord of the portal at one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "run"
        self.log = home / "logs" / f"{NAME}.log"
        self._config = self.folder / "supervisord.conf"
        self._pid = self.folder / "supervisord.pid"

    @property
    def socket(self) -> Path:
        """Where it is spoken to; in a short folder if the home's path is too long for a socket."""
        path = self.folder / "supervisor.sock"
        if len(os.fsencode(path)) <= SOCKET_LENGTH:
            return path
        name = f"mlops-portal-{os.getuid()}-{sha256(os.fsencode(self.home)).hexdigest()[:12]}"
        return Path(tempfile.gettempdir()) / name / "s.sock"

    def write(self, services: Iterable[Service], python: Path) -> None:
        """Write its configuration."""
        write_secret(self._config, configuration(self, list(services), python))
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.socket.parent.stat().st_uid != os.getuid():
            raise ServiceError(f"{self.socket.parent} belongs to another user. Choose a --home with a shorter path.")

    def start(self) -> None:
        """Start it, with no service started yet.

        :raises ServiceError: it does not start
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(self._config)],
            cwd=self.home,
            env={**environment(_SELF, self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the portal's own process
        )
        for _ in range(150):
            if self.process():
                return
            if process.poll() is not None:
                break
            time.sleep(0.1)
        raise ServiceError(f"The supervisor does not start. Its log {self.log} ends with:\n{last_lines(self.log)}")

    def process(self) -> psutil.Process | None:
        """The living supervisord that answers on the socket."""
        try:
            return psutil.Process(int(self.call("getPID")))
        except (OSError, HTTPException, xmlrpc.client.Error, psutil.Error):
            return None

    def call(self, method: str, *arguments: Any) -> Any:
        """Ask it something.

        :raises OSError: it is not there
        :raises xmlrpc.client.Fault: it refuses
        """
        # Created anew: a transport keeps its connection, and a restarted supervisord would not know it.
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def states(self) -> dict[str, dict[str, Any]]:
        """What it says of each service: `statename`, `pid`, `start` (seconds since 1970), `spawnerr`, `description`."""
        return {info["name"]: info for info in self.call("getAllProcessInfo")}

    def start_service(self, service: Service) -> None:
        """Begin to start one service."""
        self.call("startProcess", f"{group(service)}:{service.name}", False)

    def stop(self, seconds: float = 150) -> bool:
        """Let it stop all services in order, and itself; False: it was not there, or did not end in time."""
        process = self.process()
        if process is None:
            return False
        with suppress(OSError, HTTPException, xmlrpc.client.Error):
            self.call("shutdown")
        return not wait_ended([process], seconds)


_SELF = Service(NAME, "Supervisor", (), Path())


def group(service: Service) -> str:
    """Services of one group stop together."""
    return STORES if service.store else APPLICATIONS


def configuration(supervisor: Supervisor, services: list[Service], python: Path) -> str:
    """The text of supervisord.conf."""
    sections: dict[str, Mapping[str, object]] = {
        "unix_http_server": {"file": _escape(supervisor.socket), "chmod": "0700"},
        "supervisord": {
            "logfile": _escape(supervisor.log),
            "logfile_maxbytes": LOG_SIZE,
            "logfile_backups": LOG_COUNT,
            "pidfile": _escape(supervisor.folder / "supervisord.pid"),
            "childlogdir": _escape(supervisor.log.parent),
            "minfds": 1024,
            "umask": "077",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    for service in services:
        sections[f"program:{service.name}"] = _program(supervisor, service, python)
    for priority, name in ((1, STORES), (2, APPLICATIONS)):
        if members := [service.name for service in services if group(service) == name]:
            sections[f"group:{name}"] = {"programs": ",".join(members), "priority": priority}
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())
        for name, values in sections.items()
    )


def _program(supervisor: Supervisor, service: Service, python: Path) -> dict[str, object]:
    marks = {**service.environment, HOME: str(supervisor.home), SERVICE: service.name}
    return {
        "command": _escape(shlex.join(service.launched(python))),
        "directory": _escape(service.folder),
        "environment": ",".join(f"{name}={_quote(value)}" for name, value in marks.items()),
        "autostart": "false",  # the portal starts them in order, each when what it needs is healthy
        "autorestart": "true",
        "startsecs": 3,
        "startretries": 1000,  # each try waits a second longer than the last: a database may come back
        "stopsignal": service.stop_signal,
        "stopwaitsecs": service.stop_seconds,
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _escape(supervisor.log.parent / f"{service.name}.log"),
        "stdout_logfile_maxbytes": LOG_SIZE,
        "stdout_logfile_backups": LOG_COUNT,
    }


def _escape(value: object) -> str:
    return str(value).replace("%", "%%")


def _quote(value: str) -> str:
    # supervisord reads it with shlex: inside double quotes a backslash escapes itself and the quote.
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _escape(escaped) + '"'


def sweep(home: Path, services: Iterable[Service]) -> int:
    """End what a killed supervisor left running, applications before stores; how many processes there were.

    :raises ServiceError: one cannot be ended
    """
    known = {service.name: service for service in services}
    count = 0
    while left := [(process, _service(process)) for process in marked(str(home))]:
        first = min(_rank(name, known) for _, name in left)
        batch = [process for process, name in left if _rank(name, known) == first]
        _end(batch, known)
        count += len(batch)
    return count


def _end(batch: list[psutil.Process], known: Mapping[str, Service]) -> None:
    for process in batch:
        if any(parent in batch for parent in _parents(process)):
            continue  # its parent ends it
        service = known.get(_service(process))
        _send(process, getattr(signal, f"SIG{service.stop_signal}") if service else signal.SIGTERM)
    longest = max((service.stop_seconds for service in known.values()), default=30)
    alive = wait_ended(batch, longest)
    for process in alive:
        _send(process, signal.SIGKILL)
    if alive := wait_ended(alive, 10):
        raise ServiceError(f"Process {alive[0].pid} cannot be ended. End it, then try again.")


def _rank(name: str, known: Mapping[str, Service]) -> int:
    if name == NAME:
        return 0  # first, or it would start the others again
    return 2 if name in known and known[name].store else 1


def _service(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(SERVICE, ""))
    except (psutil.Error, OSError):
        return ""


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.parents()
    except psutil.Error:
        return []


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.Error):
        process.send_signal(number)
