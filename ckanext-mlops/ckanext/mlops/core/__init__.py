"""Read and relate: Git, DVC, git-lfs and MLflow facts as frozen records. Imports no CKAN.

>>> from ckanext.mlops.core import Selection, read_repository
"""

from __future__ import annotations

from .limits import Limits
from .repository import Reading, Selection, read_repository

__all__ = ["Limits", "Reading", "Selection", "read_repository"]
