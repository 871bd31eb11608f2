"""The operator's rules for reading repositories, from CKAN's configuration.

An option ``ckanext.mlops.credential.<name>.token`` may also be the environment variable
``CKANEXT__MLOPS__CREDENTIAL__<NAME>__TOKEN``; the environment wins, so that secrets can stay out of ckan.ini.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ckan.plugins import toolkit as tk

from ckanext.mlops.catalog.text import line
from ckanext.mlops.core.address import READING_BLOB_LIMIT, Credential, Policy, check_address
from ckanext.mlops.core.errors import AddressRefused, RepositoryError
from ckanext.mlops.core.limits import Limits
from ckanext.mlops.core.naming import repository_key

PREFIX = "ckanext.mlops.repository"
CREDENTIALS = "ckanext.mlops.credential"
WEBHOOKS = "ckanext.mlops.webhook"
T = TypeVar("T")


class Misconfigured(RepositoryError):
    """An option of the operator has no sensible value."""


def policy(*, experiments: bool = False) -> Policy:
    """What may be read, and how much.

    :raises Misconfigured: naming the option
    """
    default, bounds = Policy(), limits()
    most = max(bounds.dvc_bytes, bounds.value_bytes)
    return Policy(
        schemes=tuple(_words("schemes")) or default.schemes,
        roots=tuple(Path(root) for root in _words("roots")),
        hosts=tuple(_words("hosts")),
        allow_private_addresses=_parsed("allow_private_addresses", tk.asbool, default.allow_private_addresses),
        max_bytes=_parsed("max_bytes", int, default.max_bytes),
        timeout=_parsed("timeout", float, default.timeout),
        max_refs=_parsed("max_refs", int, default.max_refs),
        blob_limit=READING_BLOB_LIMIT if most <= 16 * 1024**2 else str(most),
        experiments=experiments,
    )


def refused(url: str, *, fetched: bool) -> str:
    """Why a repository cannot be a source, as far as its address alone tells; ``""`` when it can.

    :param fetched: this portal is to fetch it, so that the operator's rules hold
    """
    anywhere = Policy(schemes=("https", "http", "ssh"), roots=(Path("/"),), allow_private_addresses=True)
    try:
        check_address(url, policy() if fetched else anywhere, None)
    except RepositoryError as error:
        return str(error)
    return ""


def limits() -> Limits:
    """Bounds of reading: ``ckanext.mlops.repository.limit.<name>``, where errors give the name.

    :raises Misconfigured: naming the option
    """
    values: dict[str, Any] = {}
    for each in fields(Limits):
        default: Any = each.default
        values[each.name] = _parsed(f"limit.{each.name}", type(default), default)
    return Limits(**values)


def mirrors() -> Path:
    """The folder of the mirrors.

    :raises Misconfigured: there is none
    """
    folder = _option("mirrors")
    if folder:
        return Path(folder)
    storage = str(tk.config.get("ckan.storage_path") or "")
    if not storage:
        raise Misconfigured(f"No folder for mirrors: set {PREFIX}.mirrors, or ckan.storage_path.")
    return Path(storage) / "mlops" / "mirrors"


def credential_names() -> set[str]:
    """Names of the configured credentials."""
    return set(configured_names(CREDENTIALS))


def webhook_names() -> set[str]:
    """Names of the configured webhooks."""
    return set(configured_names(WEBHOOKS))


def configured_names(prefix: str) -> list[str]:
    """The names in ``<prefix>.<name>.<option>``, of the file and of the environment."""
    dotted = f"{prefix}."
    variables = _variable(dotted)
    found = {str(key)[len(dotted) :].split(".")[0] for key in tk.config if str(key).startswith(dotted)}
    found |= {key[len(variables) :].split("__")[0].lower() for key in os.environ if key.startswith(variables)}
    return sorted(found)


def option_text(key: str) -> str:
    """An option as text; the environment wins."""
    value = _value(key)
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or "").strip()


def credential(name: str, url: str, organizations: Collection[str] | None = None) -> Credential | None:
    """The credential called ``name`` for the repository at ``url``; None for no name.

    A credential is sent to the hosts that it names and to no other: whoever may write a harvest source could send it
    to a server of theirs otherwise. It is used for the organizations that it names, where it names any: editors of
    another one could read the same repositories otherwise.

    :param organizations: ids and names of those on whose behalf it is wanted; None = the operator's own
    :raises AddressRefused: it is not for that host, or for none of these organizations
    :raises Misconfigured: there is none of that name, or it is not complete
    """
    if not name:
        return None
    values = {option: _credential_option(name, option) for option in ("username", "password", "token", "hosts")}
    files = {option: _credential_option(name, option) for option in ("ssh_key", "known_hosts")}
    if not any((values["password"], values["token"], files["ssh_key"])):
        raise Misconfigured(
            f'Credential "{line(name, 100)}": the operator has to set {CREDENTIALS}.{line(name, 100)}.token, '
            ".password or .ssh_key."
        )
    host = repository_key(url).split("/", 1)[0].split(":", 1)[0] or urlsplit(url).hostname or ""
    if not any(fnmatchcase(host, glob.lower()) for glob in values["hosts"].split()):
        raise AddressRefused(
            f'Credential "{line(name, 100)}" is not for {line(host, 200)}: the operator has to list the host in '
            f"{CREDENTIALS}.{line(name, 100)}.hosts."
        )
    own = _credential_option(name, "organizations").split()
    if own and organizations is not None and not set(own) & set(organizations):
        raise AddressRefused(
            f'Credential "{line(name, 100)}" is for other organizations: the operator has to list this one in '
            f"{CREDENTIALS}.{line(name, 100)}.organizations."
        )
    for option, path in files.items():
        if path and not Path(path).is_file():
            raise Misconfigured(f"{CREDENTIALS}.{line(name, 100)}.{option}: there is no such file.")
    return Credential(
        username=values["username"],
        password=values["password"],
        token=values["token"],
        ssh_key=Path(files["ssh_key"]) if files["ssh_key"] else None,
        known_hosts=Path(files["known_hosts"]) if files["known_hosts"] else None,
    )


def webhook_secrets(name: str) -> list[str]:
    """The secrets of a webhook: several while one is replaced by another."""
    return str(_value(f"{WEBHOOKS}.{name}.secret") or "").split()


def _option(option: str) -> str:
    value = _value(f"{PREFIX}.{option}")
    return " ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value or "").strip()


def _words(option: str) -> list[str]:
    value = _value(f"{PREFIX}.{option}")
    return [str(item) for item in (value if isinstance(value, (list, tuple)) else str(value or "").split())]


def _credential_option(name: str, option: str) -> str:
    return str(_value(f"{CREDENTIALS}.{name}.{option}") or "").strip()


def _value(key: str) -> Any:
    return os.environ.get(_variable(key)) or tk.config.get(key)


def _variable(key: str) -> str:
    return key.replace(".", "__").upper()


def _parsed(option: str, parse: Callable[[Any], T], default: T) -> T:
    value = _value(f"{PREFIX}.{option}")
    if value is None or value == "":
        return default
    try:
        return parse(value)
    except ValueError:
        raise Misconfigured(f"The option {PREFIX}.{option} has no valid value.") from None
