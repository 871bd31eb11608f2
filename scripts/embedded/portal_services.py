"""The processes of a portal, and the outside services that it uses instead."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from embedded import checks
from embedded.secret_files import write_secret
from embedded.service import Check, Service
from embedded.settings import Settings
from embedded.site import ini

SITE = Path(__file__).parent / "site"
# The arguments behind `ckan`: docker-compose.yml runs the same.
WORKERS = {
    "worker": ("CKAN jobs", ("jobs", "worker")),
    "gather": ("Harvest gather", ("harvester", "gather-consumer")),
    "fetch": ("Harvest fetch", ("harvester", "fetch-consumer")),
}


@dataclass(frozen=True)
class Outside:
    """A service of the operator's. :ivar address: without credentials"""

    name: str
    title: str
    address: str
    check: Check


def outside_services(settings: Settings) -> Iterator[Outside]:
    """Services that portal.toml names instead of the portal's own."""
    config = settings.config
    if url := config.postgres.url:
        yield Outside("postgres", "PostgreSQL", checks.without_credentials(url), lambda: checks.postgres(url))
    if config.redis.url:
        redis = config.redis.url
        yield Outside("redis", "Redis", checks.without_credentials(redis), lambda: checks.redis_server(redis))
    if config.solr.url:
        query = f"{settings.solr_url}/select?q=*:*&rows=0"
        yield Outside("solr", "Solr", checks.without_credentials(config.solr.url), lambda: checks.http(query))
    if config.mlflow.url:
        mlflow = config.mlflow
        health, headers = f"{settings.mlflow_url}/health", {"Authorization": f"Bearer {mlflow.token}"}
        auth = (mlflow.username, mlflow.password) if mlflow.username else None
        yield Outside(
            "mlflow",
            "MLflow",
            checks.without_credentials(mlflow.url),
            lambda: checks.http(health, headers if mlflow.token else None, auth),
        )


def stores(settings: Settings) -> list[Service]:
    """PostgreSQL, Redis and Solr, as far as they are the portal's own."""
    own = (settings.postgres, settings.redis, settings.solr)
    return [store.service() for store in own if store is not None]


def applications(settings: Settings) -> list[Service]:
    """MLflow, CKAN and its workers."""
    mlflow = [settings.mlflow.service()] if settings.mlflow else []
    return [*mlflow, ckan(settings), *workers(settings), timer(settings)]


def services(settings: Settings) -> list[Service]:
    """All processes of the portal, in the order of their start."""
    return [*stores(settings), *applications(settings)]


def ckan_environment(settings: Settings) -> dict[str, str]:
    """Variables of every CKAN process."""
    return {"CKAN_INI": str(settings.ckan_ini), "PYTHONUNBUFFERED": "1", **magic_environment()}


def ckan(settings: Settings) -> Service:
    """CKAN behind gunicorn."""
    config = settings.config.ckan
    bind = f"[{config.host}]:{config.port}" if ":" in config.host else f"{config.host}:{config.port}"
    numbers = {"MLOPS_BIND": bind, "MLOPS_WORKERS": str(config.workers), "MLOPS_THREADS": str(config.threads)}
    return Service(
        name="ckan",
        title="CKAN",
        command=(str(settings.python), "-m", "gunicorn", "--config", str(SITE / "gunicorn_settings.py")),
        folder=settings.home / "ckan",
        environment={**ckan_environment(settings), **numbers},
        address=settings.ckan_url,
        listens=(config.host, config.port),
        check=lambda: checks.http(f"{settings.local_ckan_url}/api/3/action/status_show"),
    )


def workers(settings: Settings) -> Iterator[Service]:
    """Background jobs and harvest consumers."""
    for name, (title, arguments) in WORKERS.items():
        count = settings.config.harvest.fetch_consumers if name == "fetch" else 1
        for number in range(1, count + 1):
            yield Service(
                name=name if count == 1 else f"{name}-{number}",
                title=title if count == 1 else f"{title} {number}",
                command=(*ckan_command(settings), *arguments),
                folder=settings.home / "ckan",
                environment=ckan_environment(settings),
                # A consumer's work on one dataset is one transaction: ended in the middle, it is done again.
                stop_seconds=10,
            )


def timer(settings: Settings) -> Service:
    """Starts harvests that are due."""
    return Service(
        name="timer",
        title="Harvest timer",
        command=(str(settings.python), str(SITE / "harvest_timer.py"), str(settings.config.harvest.every)),
        folder=settings.home / "ckan",
        environment=ckan_environment(settings),
        stop_seconds=10,
    )


def ckan_command(settings: Settings) -> tuple[str, ...]:
    """CKAN's command line with this portal's configuration."""
    # Run by its interpreter: the first line of a script cannot hold a long path or one with blanks.
    return (str(settings.python), "-c", "from ckan.cli.cli import ckan; ckan()", "-c", str(settings.ckan_ini))


def write_ini(settings: Settings) -> None:
    """Write ckan.ini and make its folders."""
    mlflow, config = settings.config.mlflow, settings.config.ckan
    storage, mirrors = settings.home / "ckan" / "storage", settings.home / "ckan" / "mirrors"
    for folder in (storage, mirrors, settings.demo):
        folder.mkdir(parents=True, exist_ok=True)
    values = ini.IniValues(
        site_url=settings.ckan_url,
        site_title=config.site_title,
        secret_key=settings.secrets.ckan,
        database_url=settings.database_url,
        solr_url=settings.solr_url,
        redis_url=settings.redis_url,
        storage_path=str(storage),
        mlflow_url=settings.mlflow_url,
        mlflow_public_url=mlflow.public_url,
        mlflow_username=mlflow.username,
        mlflow_password=mlflow.password,
        mlflow_token=mlflow.token,
        repository_roots=str(settings.demo),
        demo_storage=str(settings.demo / "dvc-remote"),
        demo_repositories=f"file://{settings.demo}/*",
        repository_mirrors=str(mirrors),
        options=config.options,
    )
    write_secret(settings.ckan_ini, ini.render(values))


def magic_environment() -> dict[str, str]:
    """Where python-magic finds libmagic on a machine without it: in the package pylibmagic."""
    if find_library("magic"):
        return {}
    spec = find_spec("pylibmagic")
    if not spec or not spec.origin:
        return {}
    folder = Path(spec.origin).parent
    return {"LD_LIBRARY_PATH": str(folder), "MAGIC": str(folder / "magic.mgc")}
