"""Why a plan does something to a dataset: templates, see ``ckanext.mlops.core.said``."""

from __future__ import annotations

from collections.abc import Sequence

from ckanext.mlops.core.said import said

FOUND = said("found at {revision}")
BACK = said("back in the repository")
REFS = said("branches or tags moved")
RETIRED = said("retired before")
GONE = said("at none of the revisions any more")
FACTS = said("the facts of a version changed")
VERSIONS = said("its versions")
CHANGED = said("changed: {names}")
CHANGED_MORE = said("changed: {names} and {n} more")
KEPT = said("kept as it was: {names} could not be read completely")
KEPT_MORE = said("kept as it was: {names} and {n} more could not be read completely")
GOES_ON_AS = said("{reason}; it goes on as {stage}")
GOES_ON_FROM = said("{reason}; it goes on from {stage}: {evidence}")
SAME_CONTENT = said("both wrote {path} with the hash {hash}")
SAME_PATH = said("both write {path}, first as a stage file, then as a stage of dvc.yaml")


def listed(few: str, more: str, names: Sequence[str], most: int) -> str:
    """A template of the first names of a list, or the one that says as well how many there are beyond."""
    shown = ", ".join(names[:most])
    return few.format(names=shown) if len(names) <= most else more.format(names=shown, n=f"{len(names) - most:,}")
