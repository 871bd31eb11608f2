"""What a run says about the data that it read or wrote, in a form that can be looked up: hashes and addresses.

These are clues, not evidence: whoever finds a run by one still says where in the run it stood, and what that proves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .mlflow_records import Run

# Of one run; a hostile one could hold thousands.
_MAX_CLUES = 500
_HASH = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-f]{32}(?:\.dir)?|[0-9a-f]{64})(?![0-9A-Za-z])")
#: ``…/files/md5/ab/cdef…``, ``…/ab/cdef…`` (DVC 2) and ``…/lfs/objects/ab/cd/abcd…``, which holds the whole hash.
_STORED = re.compile(r"/([0-9a-f]{2})/([0-9a-f]{30}(?:\.dir)?)(?![0-9A-Za-z])")
_SCANNED = 100_000


def hashes(run: Run) -> tuple[str, ...]:
    """Every md5 (with ``.dir``) and sha256 in the run's inputs, params and own tags, as DVC and git-lfs write them.

    >>> hashes(Run("r", "1", tags={"dvc_data_md5": "d41d8cd98f00b204e9800998ecf8427e"}))
    ('d41d8cd98f00b204e9800998ecf8427e',)
    """
    found: dict[str, None] = {}
    for text in _texts(run):
        found |= dict.fromkeys(in_text(text))
        if len(found) > _MAX_CLUES:
            break
    return tuple(found)[:_MAX_CLUES]


def in_text(text: str) -> list[str]:
    """The hashes that a text holds, storage paths of DVC among them."""
    if len(text) < 32:
        return []
    text = text[:_SCANNED].lower()
    return [*_HASH.findall(text), *(start + rest for start, rest in _STORED.findall(text))][:_MAX_CLUES]


def sources(run: Run) -> tuple[str, ...]:
    """Addresses and paths that the run's inputs name, as they name them."""
    return tuple(dict.fromkeys(item.uri for item in run.inputs if item.uri))[:_MAX_CLUES]


def _texts(run: Run) -> Iterator[str]:
    budget = _SCANNED
    for value in _values(run):
        text = value[:budget].lower()
        budget -= len(text)
        yield text
        if budget <= 0:
            return


def _values(run: Run) -> Iterator[str]:
    for item in run.inputs:
        yield item.digest
        yield from strings(item.source)
        yield from item.tags.values()
    # MLflow's own tags hold ids of runs and commits, which look alike.
    yield from (value for key, value in run.tags.items() if not key.startswith("mlflow."))
    yield from run.params.values()


def strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
