"""Addresses of a dataset's page in a portal, computed from where the data is in its repository."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, urlsplit

from ckanext.mlops.core import naming

#: The portal's address, for people and their browsers.
VARIABLE = "CKAN_URL"


def portal() -> str:
    """The portal that the environment names, without a slash at its end; ``""`` for none or for nonsense."""
    text = os.environ.get(VARIABLE, "").strip().rstrip("/")
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        return ""
    return text if sound and not re.search(r"[\s\x00-\x1f?#]", text) else ""


def dataset_id(repository: str, address: str) -> str:
    """The dataset's id, equal in every portal that harvested the repository; ``""`` for a repository without origin."""
    return naming.package_id(naming.dataset_guid(repository, address)) if repository else ""


def dataset_page(portal_url: str, dataset: str) -> str:
    """The page; ``""`` when the portal or the dataset is not known."""
    return f"{portal_url}/dataset/{quote(dataset, safe='')}" if portal_url and dataset else ""
