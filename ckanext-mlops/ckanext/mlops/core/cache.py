"""A warm start for the next reading: what was parsed for the newest tree, keyed by Git object ids and texts.

After one new commit nearly all files, blocks and stages are those of the commit before, so remembering one tree's is
enough. The cache only saves time: a missing, foreign, damaged or outdated file means a cold start, never an error. It
is tied to the exact source of the reader and belongs into a folder that only its owner can write.
"""

from __future__ import annotations

import contextlib
import copyreg
import hashlib
import io
import os
import pickle
import sys
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from .collecting import paused
from .places import Located, Place
from .records import Dependency, Metric, Output, Param, SourceHint, Stage

_MODULES = frozenset(
    (
        "records",
        "documents",
        "shapes",
        "places",
        "pipelines",
        "remotes",
        "errors",
        "stages",
        "lfs",
        "trees",
        "limits",
        "work",
    )
)
_RECORDS = (Stage, Output, Dependency, Param, Metric, SourceHint, Place, Located)
_BUILTINS = frozenset({("builtins", "set"), ("builtins", "frozenset")})
_MAX_BYTES = 256_000_000


@cache
def reader_version() -> bytes:
    """Digest of the reader's source and of Python's version: any change makes older caches unreadable."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


class Cache:
    """A file that only saves time, loaded once: for whoever needs it first, or before, while there is time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded: list[Any] = []

    def load_ahead(self) -> None:
        """Load it now for whoever takes it first."""
        if not self._loaded:
            self._loaded = [load(self.path)]

    def take(self) -> Any:
        """What it holds; None when there is nothing usable. Who takes it may change it."""
        return self._loaded.pop() if self._loaded else load(self.path)


def load(path: Path) -> Any:
    """What :func:`save` wrote, None when there is nothing usable."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        data = path.read_bytes()
        version, checksum, body = data[:32], data[32:36], data[36:]
        if version != reader_version() or zlib.crc32(body).to_bytes(4) != checksum:
            return None
        with paused():
            return unpack(body)
    except Exception:
        return None


def save(path: Path, value: Any) -> None:
    """Write the cache whole or not at all; a full disk is not an error."""
    body = pack(value)
    if len(body) <= _MAX_BYTES:
        write(path, reader_version() + zlib.crc32(body).to_bytes(4) + body)


def write(path: Path, data: bytes) -> None:
    """Write a file that only saves time, whole or not at all; a full disk is not an error."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def pack(value: Any) -> bytes:
    """The value as :func:`unpack` reads it; also a part of a cache, which is then unpacked when it is needed."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=5)
    pickler.dispatch_table = copyreg.dispatch_table | dict.fromkeys(_RECORDS, _parts)
    pickler.dump(value)
    return stream.getvalue()


def unpack(data: bytes) -> Any:
    """What :func:`pack` packed."""
    return _Unpickler(io.BytesIO(data)).load()


def _parts(record: Any) -> tuple[Any, tuple[Any, ...]]:
    """A record as its class and values."""
    kind = type(record)
    return kind, tuple([getattr(record, name) for name in kind.__slots__])


def _maker(kind: type) -> Callable[..., Any]:
    """Makes records of a kind from all their values, five times as fast as the kind itself.

    A frozen record's ``__init__`` calls ``object.__setattr__`` for each field. Here the fields are assigned to an
    object of a class that is the same but not frozen, and the object then is one of the kind's.
    """
    names = kind.__slots__  # type: ignore[attr-defined]
    lines = [f"def make({', '.join(names)}):", "    _made = _Twin()"]
    lines += [f"    _made.{name} = {name}" for name in names]
    lines += ["    _made.__class__ = _Kind", "    return _made"]
    made: dict[str, Any] = {"_Kind": kind, "_Twin": type(kind.__name__, (), {"__slots__": names})}
    exec("\n".join(lines), made)  # noqa: S102 - as dataclasses and named tuples are made: names of our own fields
    return made["make"]


class _Unpickler(pickle.Unpickler):
    """Makes records and parts of the reader, nothing else."""

    _known: ClassVar[dict[tuple[str, str], Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        found = self._known.get((module, name))
        if found is None:
            package, _, last = module.rpartition(".")
            allowed = (package == __package__ and last in _MODULES and "." not in name) or (module, name) in _BUILTINS
            if not allowed:
                raise pickle.UnpicklingError(f"{module}.{name} does not belong here")
            found = super().find_class(module, name)
            found = self._known[(module, name)] = _maker(found) if found in _RECORDS else found
        return found
