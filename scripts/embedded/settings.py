"""One portal: its folder, its configuration, its secrets, and the addresses that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from embedded.bootstrap import CHECKOUT, environment, interpreter
from embedded.config import Config
from embedded.mlflow_server import MlflowServer
from embedded.postgres import Postgres
from embedded.redis_server import Redis
from embedded.secret_files import Credentials, Secrets, load_credentials, load_secrets
from embedded.solr import Solr
from embedded.solr.jars import Progress


@dataclass(frozen=True)
class Settings:
    """Everything that commands, services and the demo need to know.

    :ivar home: data folder
    :ivar python: interpreter of the portal's environment
    """

    home: Path
    config: Config
    secrets: Secrets = field(repr=False)
    python: Path = field(default_factory=lambda: interpreter(environment()[0]))
    checkout: Path = CHECKOUT
    report: Progress | None = None

    @classmethod
    def load(cls, home: Path, config: Config, report: Progress | None = None) -> Settings:
        """The portal of a folder; its secrets are generated at the first call."""
        return cls(home, config, load_secrets(home / "secrets.json"), report=report)

    @property
    def credentials_file(self) -> Path:
        """Name, password and API token of the sysadmin."""
        return self.home / "credentials.json"

    @property
    def credentials(self) -> Credentials:
        """As they are in the file now."""
        return load_credentials(self.credentials_file)

    @property
    def api_token(self) -> str:
        """The sysadmin's."""
        return self.credentials.api_token

    @property
    def ckan_ini(self) -> Path:
        """CKAN's configuration, written at every `up`."""
        return self.home / "ckan" / "ckan.ini"

    @property
    def demo(self) -> Path:
        """Folder of repositories that may be harvested from this machine."""
        return self.home / "demo"

    @property
    def logs(self) -> Path:
        """One log for each service."""
        return self.home / "logs"

    @property
    def local_ckan_url(self) -> str:
        """CKAN as this machine reaches it."""
        ckan = self.config.ckan
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(ckan.host, ckan.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{ckan.port}"

    @property
    def ckan_url(self) -> str:
        """CKAN as people reach it."""
        return self.config.ckan.site_url.rstrip("/") or self.local_ckan_url

    @cached_property
    def postgres(self) -> Postgres | None:
        """The portal's own PostgreSQL; None: it needs none."""
        config = self.config
        if config.postgres.url and (config.postgres.mlflow_url or config.mlflow.url):
            return None
        return Postgres(self.home / "postgres", config.postgres.port, self.secrets.postgres, self.home)

    @cached_property
    def redis(self) -> Redis | None:
        """The portal's own Redis; None: the operator's is used."""
        if self.config.redis.url:
            return None
        return Redis(self.home / "redis", self.config.redis.port, self.secrets.redis)

    @cached_property
    def solr(self) -> Solr | None:
        """The portal's own Solr; None: the operator's is used."""
        config = self.config.solr
        if config.url:
            return None
        return Solr(self.home / "solr", config.port, memory=config.memory, report=self.report)

    @cached_property
    def mlflow(self) -> MlflowServer | None:
        """The portal's own MLflow; None: the operator's is used."""
        config = self.config.mlflow
        if config.url:
            return None
        return MlflowServer(
            self.home / "mlflow", config.port, self.mlflow_database_url, self.python, workers=config.workers
        )

    @property
    def database_url(self) -> str:
        """CKAN's database, with credentials."""
        if self.config.postgres.url:
            return self.config.postgres.url
        assert self.postgres  # noqa: S101 - it is the portal's own if no other is given
        return self.postgres.url("ckan", "ckan", self.secrets.postgres_ckan)

    @property
    def mlflow_database_url(self) -> str:
        """MLflow's database, with credentials."""
        if self.config.postgres.mlflow_url:
            return self.config.postgres.mlflow_url
        assert self.postgres  # noqa: S101
        return self.postgres.url("mlflow", "mlflow", self.secrets.postgres_mlflow)

    @property
    def redis_url(self) -> str:
        """With credentials."""
        return self.redis.url() if self.redis else self.config.redis.url

    @property
    def solr_url(self) -> str:
        """CKAN's core."""
        return self.solr.url() if self.solr else self.config.solr.url.rstrip("/")

    @property
    def mlflow_url(self) -> str:
        """The tracking server, for programs on this machine."""
        return self.mlflow.url if self.mlflow else self.config.mlflow.url.rstrip("/")
