"""Reading ahead: the next item is made in a thread of its own while the one before is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Iterator[T], size: int = 2) -> Iterator[T]:
    """The same items in the same order, at most ``size`` of them waiting.

    An exception of the source is raised after the items before it. Leaving the loop early ends the thread: it stops
    after the item that it is making.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(size)
    left = threading.Event()

    def put(item: Any, error: BaseException | None = None) -> bool:
        while not left.is_set():
            try:
                ready.put((item, error), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:
            put(_END, error)
        else:
            put(_END)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error:
                raise error
            if item is _END:
                return
            yield item
    finally:
        left.set()
        thread.join()
