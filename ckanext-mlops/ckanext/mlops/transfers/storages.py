"""The operator's storages, from CKAN's configuration: where the data of which repositories lies, and how to read it.

``ckanext.mlops.storage.<name>.url`` with ``.repositories`` (globs of repository keys such as ``github.com/lab/*``). A
repository only ever reaches the storages that name it: its own ``.dvc/config`` could point to anybody's bucket.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ckan.plugins import toolkit as tk

from ckanext.mlops.core.lfs_store import lfs_key
from ckanext.mlops.core.naming import repository_key
from ckanext.mlops.core.storage import Settings, StorageError, Store, open_store
from ckanext.mlops.harvesting import repositories

PREFIX = "ckanext.mlops.storage"
#: Value of ``layout`` for what git-lfs pointers stand for; of its ``url``, what stands for the repository.
LFS, REPOSITORY = "lfs", "{repository}"
_PLAIN = re.compile(r"[\w.:/~+-]+")
_TEXTS = (
    "url",
    "layout",
    "endpoint",
    "region",
    "access_key",
    "secret_key",
    "session_token",
    "username",
    "password",
    "token",
)


@dataclass(frozen=True)
class Place:
    """Where an output is: ``key`` in ``store``."""

    store: Store
    key: str
    version: str = ""
    signed: bool = False


@dataclass(frozen=True)
class Choice:
    """A configured storage, by name, that has an output of the ``repository`` (its key) under ``key``.

    Or ``public``, an address that everybody can read instead.
    """

    name: str = ""
    repository: str = ""
    key: str = ""
    version: str = ""
    public: str = ""


def names() -> list[str]:
    """Names of the configured storages."""
    return repositories.configured_names(PREFIX)


def choose(repository: str, out: dict[str, Any], *, sent: bool = False) -> Choice | None:
    """Which storage has the output of a version; None when this portal was not told. No storage is opened or asked.

    :param repository: URL of the repository; ``""`` reaches what everybody can read only
    :param sent: its records were sent: storages are reached whose operator trusts who sends
    :param out: of a version's facts: ``storage``, ``remote``, ``version_id``
    """
    own_key = repository_key(repository) if repository else ""
    if in_lfs(out):
        return _choose_lfs(own_key, out, sent=sent)
    storage = str(out.get("storage") or "")
    if not storage:
        return None
    local = "://" not in storage
    for name in names():
        url = _option(name, "url").rstrip("/")
        if _option(name, "layout") == LFS or ("://" not in url) != local:
            continue
        if not _serves(name, own_key, str(out.get("remote") or ""), sent=sent):
            continue
        key = storage if local else storage.removeprefix(url + "/")
        if local or key != storage:
            # A local remote's own folder is private to its repository: only the part below it is known.
            return Choice(name, own_key, key, str(out.get("version_id") or ""))
    if urlsplit(storage).scheme == "https" and tk.asbool(tk.config.get("ckanext.mlops.download.public_http", True)):
        return Choice(public=storage)
    return None


def place(choice: Choice) -> Place:
    """The configured storage that was chosen, opened.

    :raises StorageError: it is not configured well
    """
    signed = tk.asbool(_option(choice.name, "signed") or False)
    return Place(_store(_settings(choice.name, choice.repository)), choice.key, choice.version, signed)


def in_lfs(out: dict[str, Any]) -> bool:
    """Whether git-lfs keeps the content."""
    return str(out.get("algorithm") or "") == "sha256" and not out.get("storage")


def _choose_lfs(own_key: str, out: dict[str, Any], *, sent: bool) -> Choice | None:
    """Who has a pointer's content. What programs of the repository transformed is not what a reader wants."""
    size = out.get("size")
    if not isinstance(size, int) or (out.get("extra") or {}).get("lfs_extensions"):
        return None
    for name in names():
        if _option(name, "layout") == LFS and _serves(name, own_key, "", sent=sent):
            return Choice(name, own_key, lfs_key(str(out.get("hash") or ""), size))
    return None


def _serves(name: str, key: str, remote: str, *, sent: bool) -> bool:
    if not key or (sent and not tk.asbool(_option(name, "pushed") or False)):
        return False
    globs = _option(name, "repositories").split()
    return any(fnmatchcase(key, glob) for glob in globs) and fnmatchcase(remote, _option(name, "remote") or "*")


def _settings(name: str, own_key: str) -> Settings:
    values = {option: _option(name, option) for option in _TEXTS}
    if values["layout"] not in ("", "dvc", LFS):
        raise StorageError(f"{PREFIX}.{name}.layout must be dvc or {LFS}.")
    values["layout"] = values["layout"] or "dvc"
    if values["layout"] == LFS and REPOSITORY in values["url"]:
        values["url"] = values["url"].replace(REPOSITORY, _plain_key(own_key))
    options = _option(name, "options")
    try:
        parsed = json.loads(options) if options else {}
        if not isinstance(parsed, dict):
            raise ValueError
    except ValueError:
        raise StorageError(f"{PREFIX}.{name}.options is no JSON object.") from None
    if "://" not in values["url"] and not Path(values["url"]).is_absolute():
        raise StorageError(f"{PREFIX}.{name}.url must be a URL or an absolute folder.")
    return Settings(name, options=_Options(parsed), **values)


def _plain_key(key: str) -> str:
    """The repository's host and path (a folder's path) as a part of an address, which it cannot turn elsewhere."""
    text = key.removeprefix("file://")
    if not _PLAIN.fullmatch(text) or ".." in text.split("/"):
        raise StorageError(f"The repository's address does not fit into {REPOSITORY} of the storage's url.")
    return text


class _Options(dict[str, Any]):
    """Options that can be part of a cache's key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True, default=str))


@lru_cache(maxsize=64)
def _store(settings: Settings) -> Store:
    """One client for each storage of a process: making one takes time, and they keep their connections."""
    return open_store(settings)


def _option(name: str, option: str) -> str:
    return repositories.option_text(f"{PREFIX}.{name}.{option}")
