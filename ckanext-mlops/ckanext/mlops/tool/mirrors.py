"""Where the command line keeps mirrors, and what it may read: what its user may."""

from __future__ import annotations

import os
from pathlib import Path

from ckanext.mlops.core.address import READING_BLOB_LIMIT, Policy


def mirrors_folder() -> Path:
    """The folder for mirrors of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ckan-mlops"


def default_mirrors(folder: Path | None = None, *, insecure_network: bool = False) -> tuple[Path, Policy]:
    """The folder of mirrors, and the policy of whoever runs a command on a machine of theirs."""
    policy = Policy(
        schemes=("https", "ssh", "http") if insecure_network else ("https", "ssh"),
        roots=(Path("/"),),
        allow_private_addresses=insecure_network,
        blob_limit=READING_BLOB_LIMIT,
        experiments=True,
    )
    return folder or mirrors_folder(), policy


def local_address(repository: str) -> str:
    """The address of REPOSITORY: of a folder its absolute path."""
    local = Path(repository)
    return str(local.resolve()) if "://" not in repository and local.exists() else repository
