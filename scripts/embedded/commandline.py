"""The portal's command line. Standard library only: it must work before the environment exists."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from embedded import bootstrap
from embedded.errors import PortalError

EPILOG = """All data is in one folder (--home, default .portal in this checkout); its portal.toml holds every setting.
docs/operator.md tells the rest."""


def parser() -> argparse.ArgumentParser:
    """Subcommands and their options."""
    top = argparse.ArgumentParser(
        prog="portal.py", description="A CKAN portal with MLflow, on this machine, from this checkout.", epilog=EPILOG
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument(
        "--home", type=Path, default=bootstrap.CHECKOUT / ".portal", help="data folder (default: %(default)s)"
    )
    starting = argparse.ArgumentParser(add_help=False)
    addresses = starting.add_argument_group("addresses", "given once, they are kept in portal.toml")
    addresses.add_argument("--host", help="address that CKAN listens on (default 127.0.0.1: this machine only)")
    addresses.add_argument("--port", type=int, help="port of CKAN (default 5000)")
    for name in ("postgres", "redis", "solr", "mlflow"):
        addresses.add_argument(f"--{name}-port", type=int, help=f"port of {name} (default: a free one, chosen once)")
    starting.add_argument("--detach", action="store_true", help="return when the portal is up and leave it running")

    def add(name: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[home, *parents])

    add("demo", "start the portal and put the Titanic project into it", starting)
    add("up", "start the portal; Ctrl-C stops it", starting)
    status = add("status", "what runs, where, since when, and how healthy (exit code 0: all of it is)")
    status.add_argument("--json", action="store_true", help="print JSON")
    logs = add("logs", "the last log lines of one service or of all")
    logs.add_argument("service", nargs="?", help="name as in `status`, or supervisor (default: all)")
    logs.add_argument("-n", "--lines", type=int, default=40, help="lines of each log (default: %(default)s)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with new lines until Ctrl-C")
    add("down", "stop everything; no data is lost")
    reset = add("reset", "stop everything and delete the data folder")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        folder, ours = bootstrap.environment()
        if ours and options.command in ("demo", "up"):
            bootstrap.ensure(folder, bootstrap.CHECKOUT / "requirements.lock", lambda text: print(text, flush=True))
        elif not bootstrap.interpreter(folder).exists():
            print(f"No portal was ever started here ({folder} does not exist). Start one: python3 scripts/portal.py up")
            return 1
        bootstrap.reexecute(folder, [str(bootstrap.CHECKOUT / "scripts/portal.py"), *given])
        from embedded.commands import run  # needs the environment

        return run(options)
    except PortalError as error:
        print(f"\nportal.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nportal.py: interrupted", file=sys.stderr)
        return 130
