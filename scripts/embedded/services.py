"""PostgreSQL, Redis, Solr and MLflow on free ports in one folder, without CKAN: for tests, benchmarks and tools.

    from embedded.services import backing_services

    with backing_services(folder, mlflow=True) as backing:
        backing.database("ckan")  # creates role and database at the first call; address with credentials
        backing.redis_url, backing.solr_url, backing.mlflow_url

They are the portal's own services (same programs, same configuration), except that PostgreSQL does not wait for the
disk. All of them stop when the block ends; the folder stays, and may be used again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from embedded.mlflow_server import MlflowServer
from embedded.ports import free_port
from embedded.postgres import Postgres
from embedded.redis_server import Redis
from embedded.running import running
from embedded.secret_files import load_secrets
from embedded.solr import Solr


@dataclass(frozen=True)
class Backing:
    """Addresses of running services. :ivar mlflow_url: empty if MLflow was not asked for"""

    postgres: Postgres
    redis: Redis
    solr: Solr
    mlflow_url: str = ""
    _databases: dict[str, str] = field(default_factory=dict)

    def database(self, name: str = "ckan") -> str:
        """Address, with credentials, of the database of that name; created at the first call."""
        if name not in self._databases:
            self._databases[name] = self.postgres.create_database(name, self.postgres.password)
        return self._databases[name]

    @property
    def redis_url(self) -> str:
        """Address with the password."""
        return self.redis.url()

    @property
    def solr_url(self) -> str:
        """Address of the first core; `solr.url(name)` gives any."""
        return self.solr.url(self.solr.cores[0])


@contextmanager
def backing_services(
    folder: Path,
    *,
    mlflow: bool = False,
    cores: Sequence[str] = ("ckan",),
    report: Callable[[str], None] | None = None,
    python: Path = Path(sys.executable),
) -> Iterator[Backing]:
    """Run the services while the block runs.

    :param folder: data and logs; may be a temporary one
    :param cores: Solr cores, each with CKAN's schema
    :param report: told of the progress of Solr's download
    :param python: interpreter of an environment with the portal's packages
    :raises ServiceError: one does not start; with its last log lines
    """
    folder = folder.resolve()
    secret = load_secrets(folder / "secrets.json")
    postgres = Postgres(folder / "postgres", free_port(), secret.postgres, folder, durable=False)
    redis = Redis(folder / "redis", free_port(), secret.redis)
    solr = Solr(folder / "solr", free_port(), tuple(cores), report=report)
    backing = Backing(postgres, redis, solr)
    with ExitStack() as stack:
        stack.enter_context(running([postgres.service(), redis.service(), solr.service()], folder, python))
        if mlflow:
            server = MlflowServer(folder / "mlflow", free_port(), backing.database("mlflow"), python)
            stack.enter_context(running([server.service()], folder, python))
            backing = Backing(postgres, redis, solr, server.url, {"mlflow": server.database})
        yield backing
