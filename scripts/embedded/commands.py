"""The subcommands, once the environment exists."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.prompt import Confirm
from rich.table import Table

from embedded import config, state, status
from embedded.errors import PortalError, RunningError
from embedded.launch import wait_ended
from embedded.logs import show_logs
from embedded.settings import Settings
from embedded.starting import Starter, last_words
from embedded.supervision import Supervisor, sweep

# Lines are folded for people only: a file or a pipe gets whole ones.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)

STOP_SECONDS = 180


def run(options: argparse.Namespace) -> int:
    """Run the chosen command; the exit code."""
    home = options.home.expanduser().absolute()
    home = home.parent.resolve() / home.name  # one name for one portal, whichever way it is reached
    commands: Mapping[str, Callable[[Path, argparse.Namespace], int]] = {
        "up": up,
        "demo": up,
        "status": show_status,
        "logs": show,
        "down": down,
        "reset": reset,
    }
    return commands[options.command](home, options)


def up(home: Path, options: argparse.Namespace) -> int:
    """Start the portal, for `demo` put the main job in, and keep it running."""
    if options.command == "demo" and _is_ready(home):
        console.print(f"Using the portal that runs in {home}")
        _demo(_settings(home))
        return 0
    began = time.monotonic()
    new = not home.exists()
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    # Where PostgreSQL must run as nobody, it passes through here; all that is inside is for its owner only.
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    with state.held(home):
        _refuse_second(home)
        settings = _settings(home, options)
        if os.geteuid() == 0:
            console.print("Running as root: it works; an ordinary user is safer, for the portal needs no rights.")
        console.print(f"Starting the portal in {home}{' (new)' if new else ''}")
        state.note_owner(home, detached=options.detach)
        starter = Starter(settings, console.print)
        with _progress(starter):
            starter.start()
        console.print(f"The portal is up after {time.monotonic() - began:.0f} s.")
        try:
            _addresses(settings)
            if options.command == "demo":
                _demo(settings)
            if options.detach:
                console.print("It runs on in the background; stop it with: python3 scripts/portal.py down")
                return 0
            console.print("[bold]Ctrl-C stops it.[/bold]")
            return _follow(starter)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                console.print("\nStopping the portal; data is kept")
            if not options.detach or not isinstance(error, Exception):
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it
                starter.stop()
            if isinstance(error, KeyboardInterrupt):
                console.print("Stopped.")
                return 0
            raise


def _demo(settings: Settings) -> None:
    from embedded.demo import DemoError, run_demo  # slow to import

    try:
        run_demo(settings, console)
    except DemoError as error:
        raise PortalError(str(error)) from error


def down(home: Path, _options: argparse.Namespace) -> int:
    """Stop everything that runs at this home."""
    if not home.exists():
        console.print(f"Nothing to stop: there is no portal in {home}")
        return 0
    owner = state.owner(home)
    process = owner.process() if owner else None
    if owner and process and not owner.detached and process.pid != os.getpid():
        console.print(f"Stopping the portal in {home}; data is kept")
        process.terminate()  # it stops everything itself, also when it is still starting
        if wait_ended([process], STOP_SECONDS):
            raise PortalError(f"Process {process.pid}, which started the portal, does not end. End it, then try again.")
    try:
        starter = Starter(_settings(home), console.print)
    except PortalError as error:  # settings that were broken meanwhile must not keep it running
        console.print(f"{error}\nEnding its processes without them", markup=False)
        Supervisor(home).stop()
        sweep(home, [])
        console.print("Stopped.")
        return 0
    running = starter.supervisor.process() is not None
    if running:
        console.print(f"Stopping the portal in {home}; data is kept")
    count = starter.stop()
    if count:
        console.print(f"Ended {count} processes that a killed portal had left")
    console.print("Stopped." if running or count or process else f"The portal in {home} was not running.")
    return 0


def reset(home: Path, options: argparse.Namespace) -> int:
    """Stop everything and delete the folder."""
    if not home.exists():
        console.print(f"Nothing to delete: there is no portal in {home}")
        return 0
    if not (home / "portal.toml").exists() and any(home.iterdir()):
        raise PortalError(f"{home} has no portal.toml, so it is not a portal's folder. It is not deleted.")
    if not options.yes and not Confirm.ask(f"Delete {home} with all datasets, experiments and settings in it?"):
        return 1
    down(home, options)
    shutil.rmtree(home)
    console.print(f"Deleted {home}")
    return 0


def show_status(home: Path, options: argparse.Namespace) -> int:
    """What runs, where, since when, how healthy."""
    if not (home / "portal.toml").exists():
        found = status.Status(str(home), False, "", ())
    else:
        found = status.status(_settings(home))
    if options.json:
        print(status.as_json(found))
    else:
        console.print(status.as_table(found))
    return 0 if found.healthy else 1


def show(home: Path, options: argparse.Namespace) -> int:
    """The last lines of logs."""
    show_logs(home / "logs", options.service, options.lines, follow=options.follow)
    return 0


def _settings(home: Path, options: argparse.Namespace | None = None) -> Settings:
    given = {}
    for section, key, name in [
        ("ckan", "host", "host"),
        ("ckan", "port", "port"),
        *((part, "port", f"{part}_port") for part in ("postgres", "redis", "solr", "mlflow")),
    ]:
        value = getattr(options, name, None)
        if value is not None:
            given[section, key] = value
    path = home / "portal.toml"
    if options is None:
        return Settings.load(home, config.load(path) if path.exists() else config.Config())
    return Settings.load(home, config.prepare(path, given), lambda text: console.print(f"  Solr: {text}"))


def _is_ready(home: Path) -> bool:
    """It runs, its starter is not gone, and it has its sysadmin's token."""
    owner = state.owner(home)
    if not owner or not (owner.detached or owner.process()) or not Supervisor(home).process():
        return False
    return status.status(_settings(home)).healthy


def _refuse_second(home: Path) -> None:
    """The lock is ours, so no foreground portal is alive; a detached one may be."""
    found = state.owner(home)
    if found and found.detached and Supervisor(home).process():
        raise RunningError(
            f"The portal in {home} is running already, in the background. "
            "See it with `status`, stop it with `down`, or use another --home and --port."
        )


def _follow(starter: Starter) -> int:
    """Stay until the supervisor ends; tell what happens to services."""
    _, position = last_words(starter.supervisor, 0)
    while process := starter.supervisor.process():
        wait_ended([process], 2)
        lines, position = last_words(starter.supervisor, position)
        for line in lines:
            console.print(line, markup=False)
    left = starter.stop()
    if left:
        raise PortalError(
            f"The supervisor was killed. The {left} processes that it left were stopped properly; no data is lost. "
            "Run `up` again."
        )
    console.print("The portal was stopped from elsewhere.")
    return 0


@contextmanager
def _progress(starter: Starter) -> Iterator[None]:
    """Show what is being done: on a terminal in one line that changes, else line by line."""
    last = ""
    with console.status("Starting") as line:

        def report(text: str) -> None:
            nonlocal last
            if text == last:
                return
            last = text
            line.update(text)
            if not text.startswith("Waiting"):
                console.print(f"  {text}")

        starter.report = report
        yield
    starter.report = console.print


def _addresses(settings: Settings) -> None:
    credentials = settings.credentials
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in (
        ("CKAN", settings.ckan_url),
        ("MLflow", settings.config.mlflow.public_url or settings.mlflow_url),
        ("Sign in", f"{credentials.user} / {credentials.password}"),
        ("API token", f"in {settings.credentials_file}"),
        ("Settings", str(settings.home / "portal.toml")),
    ):
        table.add_row(name, value)
    console.print(table)
