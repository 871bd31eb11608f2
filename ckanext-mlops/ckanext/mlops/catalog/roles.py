"""What a dataset is to data people: a word that they search by."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

Role = Literal["raw", "prepared", "features", "model", "metrics"]
ROLES: tuple[Role, ...] = ("raw", "prepared", "features", "model", "metrics")
_FEATURES = re.compile(r"featur|(^|[^a-z])embedd", re.IGNORECASE)


def role(stage: str, command: str, kinds: Collection[str]) -> Role:
    """The role of what a stage makes.

    :param stage: its address
    :param command: empty for a tracked file that no command makes
    :param kinds: of its outputs: data, model, metrics, plots

    A model makes a dataset a model; only metrics and plots make it metrics; what nothing makes is raw; what is named
    after features is features, and the rest is prepared data.
    """
    real = {kind for kind in kinds if kind}
    if "model" in real:
        return "model"
    if real and real <= {"metrics", "plots"}:
        return "metrics"
    if not command:
        return "raw"
    return "features" if _FEATURES.search(stage) else "prepared"
