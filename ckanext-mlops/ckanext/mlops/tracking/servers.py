"""The MLflow servers that the configuration names, as :class:`ckanext.mlops.core.mlflow.Server`.

Requests name a server, never an address. An option ``ckanext.mlops.mlflow.<name>.password`` may also be the environment
variable ``CKANEXT__MLOPS__MLFLOW__<NAME>__PASSWORD`` (the spelling of ckanext-envvars, which is not needed for it); the
environment wins, so that secrets can stay out of ckan.ini.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ckan.plugins import toolkit as tk

from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow import MlflowClient, Reader, Server
from ckanext.mlops.core.mlflow_files import FileStore
from ckanext.mlops.core.mlflow_folder import LocalTree
from ckanext.mlops.tracking.committed import CommittedTree

PREFIX = "ckanext.mlops.mlflow"
#: Seconds that a person waits for MLflow in a page or an API call.
INTERACTIVE_TIMEOUT = 8.0
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
T = TypeVar("T")


class NotConfigured(MlflowError):
    """The configuration names no such server, or names it with options that cannot work."""


def names() -> list[str]:
    """Names of the configured servers, in the order of the configuration."""
    return list(dict.fromkeys(str(name) for name in _whole("servers")))


def server(name: str) -> Server:
    """The server of that name.

    :raises NotConfigured: it is not listed, has no uri, or an option of it has no sensible value
    """
    known = names()
    if name not in known:
        listed = ", ".join(known) or "none"
        raise NotConfigured(
            f"No MLflow server named '{name[:60]}' is configured (configured: {listed}); "
            f"an operator can add it to {PREFIX}.servers."
        )
    if not _NAME.fullmatch(name):
        raise NotConfigured(
            f"MLflow server '{name[:60]}': a name in {PREFIX}.servers is made of lower-case letters, digits, - and _."
        )
    uri, folder = _option(name, "uri"), _folder(name)
    if not uri and not folder and not _option(name, "repository"):
        raise NotConfigured(
            f"MLflow server {name}: the option {PREFIX}.{name}.uri is not set (nor {PREFIX}.{name}.folder)."
        )
    try:
        return Server(
            name,
            uri,
            public_url=_option(name, "public_url"),
            username=_option(name, "username"),
            password=_option(name, "password"),
            token=_option(name, "token"),
            verify=_parsed(name, "verify", tk.asbool, True),
            ca_bundle=_file(name, "ca_bundle"),
            client_cert=_file(name, "client_cert"),
            client_key=_file(name, "client_key"),
            timeout=_parsed(name, "timeout", _positive, 20.0),
            max_bytes=_parsed(name, "max_bytes", int, 64 * 1024**2),
            folder=folder,
            repository=_option(name, "repository"),
        )
    except NotConfigured:
        raise
    except MlflowError as error:
        raise NotConfigured(str(error)) from None


def webhook_secrets(name: str) -> list[str]:
    """What the server's webhooks may be signed with, several while one is replaced; nothing: none is accepted."""
    return _option(name, "webhook_secret").split() if name in names() else []


def find(name: str) -> Server | None:
    """Like :func:`server`, None for one that is not (well) configured."""
    try:
        return server(name)
    except NotConfigured:
        return None


def client(name: str, *, interactive: bool = False) -> Reader:
    """A reader of the server; ``interactive`` gives up early, because a person is waiting.

    :raises NotConfigured: as :func:`server`
    """
    found = server(name)
    if found.folder:
        return FileStore(LocalTree(found.folder), name)
    if found.repository:
        tree = CommittedTree(
            name,
            found.repository,
            _option(name, "revision"),
            _option(name, "path") or "mlruns",
            _option(name, "credential"),
            fetch=not interactive,
        )
        return FileStore(tree, name)
    if interactive:
        return MlflowClient(replace(found, timeout=min(found.timeout, INTERACTIVE_TIMEOUT)), retries=0)
    return MlflowClient(found)


def _option(name: str, option: str) -> str:
    key = f"{PREFIX}.{name}.{option}"
    return str(os.environ.get(_variable(key)) or tk.config.get(key, "") or "").strip()


def _whole(option: str) -> list[str]:
    """An option that is no server's own: a list."""
    text = os.environ.get(_variable(f"{PREFIX}.{option}"))
    return text.split() if text is not None else list(tk.aslist(tk.config.get(f"{PREFIX}.{option}")))


def _variable(key: str) -> str:
    return key.replace(".", "__").upper()


def _folder(name: str) -> Path | None:
    """The file store's folder: below one of the configured roots, wherever symbolic links lead."""
    text = _option(name, "folder")
    if not text:
        return None
    key, roots = f"{PREFIX}.{name}.folder", _whole("roots")
    try:
        folder = Path(text).resolve(strict=True)
    except OSError:
        raise NotConfigured(f"MLflow server {name}: the folder of the option {key} does not exist.") from None
    if not any(folder.is_relative_to(Path(root).resolve()) for root in roots):
        raise NotConfigured(f"MLflow server {name}: the folder of the option {key} is below none of {PREFIX}.roots.")
    return folder


def _file(name: str, option: str) -> Path | None:
    text = _option(name, option)
    if not text:
        return None
    if not Path(text).is_file():
        raise NotConfigured(f"MLflow server {name}: the file of the option {PREFIX}.{name}.{option} does not exist.")
    return Path(text)


def _parsed(name: str, option: str, parse: Callable[[str], T], default: T) -> T:
    text = _option(name, option)
    if not text:
        return default
    try:
        return parse(text)
    except ValueError:
        raise NotConfigured(f"MLflow server {name}: the option {PREFIX}.{name}.{option} has no valid value.") from None


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 3600:
        raise ValueError(text)
    return number
