"""What runs, where, since when, and how healthy."""

from __future__ import annotations

import json
import time
import xmlrpc.client
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

from rich.console import Group
from rich.table import Table

from embedded.launch import marked
from embedded.portal_services import outside_services, services
from embedded.service import Service, healthy
from embedded.settings import Settings
from embedded.supervision import Supervisor


@dataclass(frozen=True)
class ServiceStatus:
    """One line. :ivar problem: empty if it is healthy :ivar since: start, ISO 8601, UTC; empty if it does not run"""

    name: str
    title: str
    state: str
    address: str
    pid: int
    since: str
    problem: str


@dataclass(frozen=True)
class Status:
    """The whole portal. :ivar note: what a person should know or do"""

    home: str
    running: bool
    note: str
    services: tuple[ServiceStatus, ...]

    @property
    def healthy(self) -> bool:
        """It runs, and so does all of it."""
        return self.running and not any(service.problem for service in self.services)


def status(settings: Settings) -> Status:
    """Ask the supervisor and every service."""
    supervisor = Supervisor(settings.home)
    try:
        states, running = supervisor.states(), True
    except (OSError, HTTPException, xmlrpc.client.Error):
        states, running = {}, False
    note = ""
    if not running:
        left = marked(str(settings.home))
        if left:
            note = f"The supervisor is dead, {len(left)} of its processes live. `up` or `down` puts that right."
    with ThreadPoolExecutor(8) as pool:
        own = list(pool.map(lambda service: _own(service, states), services(settings)))
        outside = list(pool.map(lambda item: (item, healthy(item.check)), outside_services(settings)))
    lines = [
        ServiceStatus(item.name, f"{item.title} (yours)", "outside", item.address, 0, "", problem)
        for item, problem in outside
    ]
    return Status(str(settings.home), running, note, (*lines, *own))


def _own(service: Service, states: Mapping[str, Mapping[str, Any]]) -> ServiceStatus:
    info = states.get(service.name, {})
    state = str(info.get("statename", "STOPPED")).lower()
    alive = state in ("running", "starting")
    problem = healthy(service.check) if alive else state
    started = datetime.fromtimestamp(info["start"], UTC).isoformat() if alive else ""
    return ServiceStatus(
        service.name, service.title, state, service.address, int(info.get("pid", 0)) if alive else 0, started, problem
    )


def as_json(found: Status) -> str:
    """For programs."""
    return json.dumps({**asdict(found), "healthy": found.healthy}, indent=2)


def as_table(found: Status) -> Group:
    """For people."""
    table = Table(title=f"Portal in {found.home}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("Service", "Health", "Address", "Since", "Process"):
        table.add_column(column, overflow="fold")
    for line in found.services:
        health = f"[red]{_plain(line.problem)}[/red]" if line.problem else "[green]healthy[/green]"
        table.add_row(line.title, health, line.address, _since(line.since), str(line.pid or ""))
    notes = [found.note] if found.note else []
    if not found.running and not found.note:
        notes.append("The portal is not running. Start it: python3 scripts/portal.py up")
    return Group(table, *notes)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _since(text: str) -> str:
    if not text:
        return ""
    started = datetime.fromisoformat(text)
    seconds = int(time.time() - started.timestamp())
    days, rest = divmod(max(seconds, 0), 86400)
    span = f"{days} d " if days else ""
    return f"{started.astimezone():%Y-%m-%d %H:%M:%S} ({span}{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02})"
