"""Identity: what a thing is called, the same on every machine and at every harvest.

A dataset is (repository, stage address), never a title; see ``docs/design.md``. Ids are version-5 UUIDs (RFC 9562) of
a readable key, so harvesting twice, or on another machine, gives the same catalog.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from functools import lru_cache
from urllib.parse import unquote, urlsplit

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/ckan/ckanext-mlops")
_NOT_NAME = re.compile(r"[^a-z0-9_]+")
_STAGE_OF_PIPELINE = re.compile(r"(^|/)dvc\.yaml:")
_SCP = re.compile(r"^(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?!//)(?P<path>.+)$")


@lru_cache(maxsize=1024)
def repository_key(url: str) -> str:
    """The part of a repository's URL that says which repository it is.

    Scheme, user, port 443/22, ``.git`` and the case of the host do not matter:
    ``git@GitHub.com:o/r.git`` and ``https://github.com/o/r/`` are both ``github.com/o/r``. A local folder is its
    path with ``file://``.
    """
    text = url.strip()
    if "://" not in text:
        match = _SCP.match(text)
        if match is None or text.startswith(("/", ".")):
            return "file://" + text.rstrip("/").removesuffix(".git")
        return f"{match['host'].lower()}/{match['path'].strip('/').removesuffix('.git')}"
    parts = urlsplit(text)
    path = unquote(parts.path).rstrip("/").removesuffix(".git")
    if parts.scheme == "file":
        return "file://" + path
    host = (parts.hostname or "").lower()
    port = f":{parts.port}" if parts.port not in (None, 22, 80, 443) else ""
    return f"{host}{port}/{path.lstrip('/')}"


@lru_cache(maxsize=1024)
def repository_name(url: str) -> str:
    """Last part of the URL without ``.git`` and ``.bundle``, for people."""
    return repository_key(url).rsplit("/", 1)[-1].removesuffix(".bundle") or "repository"


@lru_cache(maxsize=10_000)
def repository_slug(url: str) -> str:
    """A repository in addresses of pages and in queries: its name and eight digits that tell it from others of it."""
    return f"{slug(repository_name(url), 80)}-{uuid.uuid5(NAMESPACE, f'repository:{repository_key(url)}').hex[:8]}"


def dataset_guid(repository_url: str, address: str) -> str:
    """The harvest guid of the dataset that a stage is: ``github.com/o/r#sub/dvc.yaml:train``."""
    return f"{repository_key(repository_url)}#{address}"


def package_id(guid: str) -> str:
    """CKAN package id of a dataset guid."""
    return str(uuid.uuid5(NAMESPACE, f"dataset:{guid}"))


def resource_id(guid: str, path: str) -> str:
    """CKAN resource id of an output path of a dataset."""
    return str(uuid.uuid5(NAMESPACE, f"resource:{guid}#{path}"))


def version_id(guid: str, digest: str) -> str:
    """Id of the version (one distinct state, named by its digest) of a dataset."""
    return str(uuid.uuid5(NAMESPACE, f"version:{guid}@{digest}"))


def registered_guid(package_id: str, repository_url: str) -> str:
    """What a dataset that a person registered, and read from a repository, has in the place of a harvest guid."""
    return f"registered:{package_id}:{repository_key(repository_url)}"


def slug(text: str, limit: int = 100) -> str:
    """``text`` as a CKAN name: lower-case ASCII letters, digits, ``-``, ``_``; 2 to ``limit`` characters."""
    plain = text if text.isascii() else unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    cleaned = _NOT_NAME.sub("-", plain.lower()).strip("-_")[:limit].strip("-_")
    return cleaned if len(cleaned) >= 2 else f"{cleaned}x{uuid.uuid5(NAMESPACE, text).hex[:6]}"


def package_name(repository_url: str, address: str) -> str:
    """The dataset's URL name: repository and stage, ``titanic-prepare``.

    Two addresses can give one name (``a/b`` and ``a-b``); :func:`package_name_unique` tells them apart.
    """
    stage = _STAGE_OF_PIPELINE.sub(r"\1", address).removesuffix(".dvc")
    return slug(f"{repository_name(repository_url)}-{stage}", 92)


def package_name_unique(repository_url: str, address: str) -> str:
    """Like :func:`package_name`, ending in seven characters of the dataset's id."""
    return f"{package_name(repository_url, address)}-{package_id(dataset_guid(repository_url, address))[:7]}"
