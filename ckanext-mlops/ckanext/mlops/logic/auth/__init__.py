"""Who may do what. Reading follows the dataset's own visibility, writing its editors."""

from __future__ import annotations

from ckan.authz import get_local_functions
from ckan.types import AuthFunction

from ckanext.mlops.logic.auth import datasets, files, harvest, lineage, mlflow, registration, search

_MODULES = (datasets, files, harvest, lineage, mlflow, registration, search)


def functions() -> dict[str, AuthFunction]:
    """The auth function of every action, by name."""
    return dict(each for module in _MODULES for each in get_local_functions(module))
