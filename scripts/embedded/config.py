"""portal.toml: written with comments at the first `up`, the operator's from then on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tomlkit
from tomlkit.exceptions import TOMLKitError

from embedded.errors import ConfigError
from embedded.ports import free_port
from embedded.secret_files import write_secret

TEMPLATE = Path(__file__).with_name("portal.toml")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class CkanConfig:
    """[ckan]. :ivar options: any further option of ckan.ini, stronger than the portal's own"""

    host: str = LOOPBACK
    port: int = 5000
    site_url: str = ""
    site_title: str = "Data catalog of machine learning"
    workers: int = 2
    threads: int = 4
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HarvestConfig:
    """[harvest]. :ivar every: seconds between two looks for harvests that are due"""

    every: int = 30
    fetch_consumers: int = 1


@dataclass(frozen=True)
class PostgresConfig:
    """[postgres]. :ivar url: CKAN's database on a server of the operator's; empty: the portal's own server"""

    port: int = 0
    url: str = ""
    mlflow_url: str = ""


@dataclass(frozen=True)
class RedisConfig:
    """[redis]."""

    port: int = 0
    url: str = ""


@dataclass(frozen=True)
class SolrConfig:
    """[solr]. :ivar memory: most heap of the portal's own Solr, MB"""

    port: int = 0
    url: str = ""
    memory: int = 512


@dataclass(frozen=True)
class MlflowConfig:
    """[mlflow]. :ivar public_url: what pages link to, if people reach MLflow by another address than CKAN"""

    port: int = 0
    workers: int = 1
    url: str = ""
    public_url: str = ""
    username: str = ""
    password: str = ""
    token: str = ""


@dataclass(frozen=True)
class Config:
    """The whole file."""

    ckan: CkanConfig = field(default_factory=CkanConfig)
    harvest: HarvestConfig = field(default_factory=HarvestConfig)
    postgres: PostgresConfig = field(default_factory=PostgresConfig)
    redis: RedisConfig = field(default_factory=RedisConfig)
    solr: SolrConfig = field(default_factory=SolrConfig)
    mlflow: MlflowConfig = field(default_factory=MlflowConfig)


SECTIONS: dict[str, type] = {
    "ckan": CkanConfig,
    "harvest": HarvestConfig,
    "postgres": PostgresConfig,
    "redis": RedisConfig,
    "solr": SolrConfig,
    "mlflow": MlflowConfig,
}
SCHEMES = {
    ("postgres", "url"): ("postgresql",),
    ("postgres", "mlflow_url"): ("postgresql", "mysql", "mssql", "sqlite"),
    ("redis", "url"): ("redis", "rediss", "unix"),
    ("solr", "url"): ("http", "https"),
    ("mlflow", "url"): ("http", "https"),
    ("mlflow", "public_url"): ("http", "https"),
    ("ckan", "site_url"): ("http", "https"),
}


def load(path: Path) -> Config:
    """Read and check the file.

    :raises ConfigError: with the place and what is allowed there
    """
    try:
        found = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    if unknown := sorted(set(found) - set(SECTIONS)):
        raise ConfigError(f"{path}: unknown section [{unknown[0]}]. There are {', '.join(SECTIONS)}.")
    config = Config(**{name: _section(path, name, found.get(name, {})) for name in SECTIONS})
    _check_combinations(path, config)
    return config


def prepare(path: Path, given: Mapping[tuple[str, str], Any]) -> Config:
    """Write the file if there is none, put given options and chosen ports into it, read it.

    :param given: (section, key) and value of options of the command line
    :raises ConfigError: the file, or an option, is wrong
    """
    if not path.exists():
        write_secret(path, TEMPLATE.read_text(encoding="utf-8"))
    load(path)  # says what is wrong in the file before it is changed
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    before = document.as_string()
    for (section, key), value in given.items():
        _table(document, section)[key] = value
    for name in ("postgres", "redis", "solr", "mlflow"):
        table = _table(document, name)
        if not table.get("url") and not table.get("port"):
            table["port"] = free_port()
    if document.as_string() != before:
        write_secret(path, document.as_string())
    path.chmod(0o600)  # it may hold passwords
    return load(path)


def _table(document: tomlkit.TOMLDocument, name: str) -> Any:
    if name not in document:
        document[name] = tomlkit.table()
    return document[name]


def _section(path: Path, name: str, values: Any) -> Any:
    kind = SECTIONS[name]
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: {name} must be a section: [{name}]")
    known = {item.name: item.type for item in fields(kind)}
    for key, value in values.items():
        place = f"{path}: [{name}] {key}"
        if key not in known:
            raise ConfigError(f"{place} is unknown. There are {', '.join(known)}.")
        if known[key] == "int":
            _check_number(place, key, value)
        elif known[key] == "str":
            _check_text(place, value, SCHEMES.get((name, key), ()))
        elif not isinstance(value, dict):
            raise ConfigError(f'{place} must be a section: [{name}.{key}] with lines like "option" = "value"')
        else:
            values = values | {key: {option: _option(f"{place}: {option}", item) for option, item in value.items()}}
    return kind(**values)


def _option(place: str, value: object) -> str:
    """A value as ckan.ini writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise ConfigError(
            f"{place} must be a text, a number, true or false; an option whose name has dots needs quotes: "
            '"a.b" = "value"'
        )
    return str(value)


def _check_number(place: str, key: str, value: object) -> None:
    least, most = (0, 65535) if key == "port" else (1, 100_000)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigError(f"{place} must be a whole number from {least} to {most}, not {value!r}")


def _check_text(place: str, value: object, schemes: tuple[str, ...]) -> None:
    if not isinstance(value, str) or not value.isprintable():
        raise ConfigError(f"{place} must be a text on one line, not {type(value).__name__}")
    if schemes and value:
        scheme = urlsplit(value).scheme.partition("+")[0]
        if scheme not in schemes:
            raise ConfigError(f"{place} must be an address that starts with {' or '.join(f'{s}://' for s in schemes)}")


def _check_combinations(path: Path, config: Config) -> None:
    if config.postgres.url and not config.postgres.mlflow_url and not config.mlflow.url:
        raise ConfigError(
            f"{path}: with your own [postgres] url, the portal's MLflow needs a database as well: "
            "set [postgres] mlflow_url, or use your own MLflow with [mlflow] url."
        )
