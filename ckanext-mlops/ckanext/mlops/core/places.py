"""Where a path of a DVC file points to."""

from __future__ import annotations

import hashlib
import posixpath
import re
from dataclasses import dataclass
from typing import Any

from .untrusted import clean, has_scheme

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that paths of a stage are relative to, below the repository's root."""

    base: str

    def locate(self, raw: Any) -> Located:
        """A path or URL as a DVC file writes it.

        Paths outside of the repository (absolute, or above its root) are private to a machine: only their last part
        is kept. Back-slashes of Windows separate as well.
        """
        text = raw if isinstance(raw, str) else clean(raw)
        if has_scheme(text):
            return Located(clean(text), url=True)
        if "\\" in text:
            text = text.replace("\\", "/")
        if text.startswith(("/", "~")) or _DRIVE.match(text):
            return _outside(text)
        path = posixpath.normpath(posixpath.join(self.base, text))
        if path == ".." or path.startswith("../"):
            return _outside(path)
        return Located(clean(path))


@dataclass(frozen=True, slots=True)
class Located:
    """A path relative to the repository, a URL, or the last part of a path outside.

    :param outside: digest of the whole path when it is outside of the repository: equal paths can be told, not read
    """

    path: str
    url: bool = False
    outside: str = ""

    @property
    def key(self) -> str:
        """Tells apart paths outside that have the same last part."""
        return f"{self.outside}:{self.path}" if self.outside else self.path


def _outside(path: str) -> Located:
    whole = posixpath.normpath(path)
    digest = hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:16]
    return Located(_last(whole), outside=digest)


def _last(path: str) -> str:
    return clean(path.rstrip("/").rpartition("/")[2]) or "outside"
