"""Tags that MLflow puts on every run which starts in a DVC work tree (``mlflow.run_context_provider``).

| tag | value |
|---|---|
| ``mlops.repository`` | address of the work tree's ``origin``, without credentials |
| ``mlops.dvc.stage`` | the stage that runs, as ``dvc.yaml:train`` |
| ``mlops.dvc.inputs`` | JSON, path → DVC hash: the stage's inputs that DVC tracks |
| ``mlops.datasets`` | pages of these inputs in the portal that ``CKAN_URL`` names, separated by spaces |
| ``mlflow.note.content`` | the same as links, for people: MLflow shows it as the run's description |

The stage is the one that DVC runs, or else the only one whose command runs the script. Where that is not sure, nothing
is said about inputs: a wrong hash would be worse than none. ``MLOPS_CONTEXT=off`` switches it off.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from mlflow.tracking.context.abstract_context import RunContextProvider

from ckanext.mlops.training import addresses
from ckanext.mlops.training.worktree import Tracked, WorkTree

log = logging.getLogger(__name__)

REPOSITORY, STAGE, INPUTS = "mlops.repository", "mlops.dvc.stage", "mlops.dvc.inputs"
DATASETS, NOTE = "mlops.datasets", "mlflow.note.content"
# MLflow takes 5,000 characters (2.x) or more for a tag.
_MAX_TAG = 4_500


class DvcContext(RunContextProvider):
    """MLflow makes one when it is imported, and asks it at the start of every run. Never fails a run."""

    def in_context(self) -> bool:
        """Whether it is switched on. All reading is done by :meth:`tags`."""
        return os.environ.get("MLOPS_CONTEXT", "").lower() not in ("off", "0", "false")

    def tags(self) -> dict[str, str]:
        """The tags; none outside of a DVC work tree, or when it cannot be read."""
        try:
            return tags(Path.cwd(), os.environ.get("DVC_ROOT", ""), os.environ.get("DVC_STAGE", ""), sys.argv[0])
        except Exception:
            log.debug("no DVC context for this run", exc_info=True)
            return {}


def tags(folder: Path, dvc_root: str, dvc_stage: str, script: str) -> dict[str, str]:
    """Tags of a run that starts in ``folder``.

    :param dvc_root, dvc_stage: what DVC tells the commands that it runs, or empty
    :param script: path of the program
    """
    tree = WorkTree.find(Path(dvc_root) if dvc_root else folder)
    if tree is None:
        return {}
    found = {REPOSITORY: tree.repository} if tree.repository else {}
    address, path = dvc_stage, ""
    if dvc_stage and dvc_root and Path(dvc_root) != tree.root:
        # DVC names stages from its own root, which can be a folder of the repository.
        address = f"{_relative(Path(dvc_root), tree)}/{dvc_stage if ':' in dvc_stage else f'dvc.yaml:{dvc_stage}'}"
    elif not dvc_stage and script:
        path = _relative((folder / script).resolve(), tree)
    stage = tree.stage(address, path)
    if stage is None:
        return found
    found[STAGE] = stage.address
    inputs = list(tree.inputs(stage, trusted=bool(dvc_stage)))
    # What does not fit is left out whole: half a hash is none.
    while inputs and len(text := json.dumps({item.path: item.hash for item in inputs})) > _MAX_TAG:
        inputs.pop()
    if inputs:
        found[INPUTS] = text
        found |= _links(inputs, tree.repository)
    return found


def _links(inputs: list[Tracked], repository: str) -> dict[str, str]:
    portal = addresses.portal()
    pages = {
        item.path: addresses.dataset_page(portal, addresses.dataset_id(repository, item.address)) for item in inputs
    }
    pages = {path: page for path, page in pages.items() if page}
    if not pages:
        return {}
    lines = [f"- [{path}]({page})" for path, page in pages.items()]
    links = {DATASETS: " ".join(dict.fromkeys(pages.values())), NOTE: "Data in the catalog:\n\n" + "\n".join(lines)}
    return {name: text for name, text in links.items() if len(text) <= _MAX_TAG}


def _relative(path: Path, tree: WorkTree) -> str:
    try:
        return path.resolve().relative_to(tree.root.resolve()).as_posix()
    except ValueError:
        return ""
