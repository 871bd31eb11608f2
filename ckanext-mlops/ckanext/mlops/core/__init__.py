"""Read and relate: Git, DVC, git-lfs and MLflow facts as frozen records. Imports no CKAN.

>>> from ckanext.mlops.core import Selection, read_repository
"""

from __future__ import annotations

from .differences import Difference, compare
from .errors import MlopsError
from .limits import Limits
from .lineage import Edge, relate
from .mirror import update_mirror
from .repository import Reading, Selection, read_repository
from .tables import metrics_frame, metrics_table, outputs_frame, params_frame, params_table

__all__ = [
    "Difference",
    "Edge",
    "Limits",
    "MlopsError",
    "Reading",
    "Selection",
    "compare",
    "metrics_frame",
    "metrics_table",
    "outputs_frame",
    "params_frame",
    "params_table",
    "read_repository",
    "relate",
    "update_mirror",
]
