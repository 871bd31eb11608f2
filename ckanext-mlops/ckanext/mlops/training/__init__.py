"""The training side: MLflow runs that say which exact data they used. Needs no CKAN and no portal to be reachable.

    pip install 'ckanext-mlops[client]'        # beside mlflow, where models are trained

MLflow finds two plug-ins then. Every run that starts in a DVC work tree is tagged with its repository, the stage, and
the DVC hashes of the stage's inputs (:mod:`.context`). And a dataset input can name its data (:mod:`.source`):

    source = tracked("data/train.csv")
    data = mlflow.data.from_pandas(frame, source=source, name="train", digest=source.digest)
    mlflow.log_input(data, context="training")

``CKAN_URL`` is the portal's address: with it, the run's page in MLflow leads to the pages of its datasets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ckanext.mlops.training.source import CkanDvcSource


def tracked(path: str | Path) -> CkanDvcSource:
    """The dataset source of a file or folder that DVC tracks, with the hash of what is there now.

    :raises ValueError: it is not in a DVC work tree, is tracked by nobody there, or is not what its hash says
    """
    from ckanext.mlops.training.source import tracked as find

    return find(path)
