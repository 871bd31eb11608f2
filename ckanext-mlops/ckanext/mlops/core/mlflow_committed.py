"""MLflow file stores (``mlruns/``) that were committed to a repository, read from Git objects."""

from __future__ import annotations

from collections.abc import Iterator

from .mlflow_files import FileStore
from .revision_files import RevisionFiles

FOLDER = "mlruns"


def committed_stores(files: RevisionFiles, name: str) -> Iterator[tuple[str, FileStore]]:
    """``(folder, store)`` of every ``mlruns`` folder of a revision that has experiments.

    The stores read while ``files`` are open; they answer as an MLflow server does (:class:`.mlflow_files.FileStore`).

    :param name: what the stores are called, with their folder where it is not at the top
    """
    for folder in files.named(FOLDER):
        tree = files.at(folder)
        if any("meta.yaml" in tree.files(experiment) for experiment in tree.folders()):
            yield folder, FileStore(tree, name if folder == FOLDER else f"{name}/{folder}")
