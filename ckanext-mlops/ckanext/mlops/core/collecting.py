"""Looking for garbage where there is some, and not in all that a process has loaded or makes to keep."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No garbage collection inside: where all that is made lives on, looking for garbage doubles the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@functools.cache
def keep_loaded() -> None:
    """Leave all that the process has loaded by now out of later searches for garbage; once, when work begins.

    A worker of CKAN holds half a million objects that live as long as it does.
    """
    gc.collect()
    gc.freeze()
