"""DVC remotes of ``.dvc/config`` and the storage URL of an output.

The file is a stranger's: only the settings named in :func:`parse_config` are read, everything else (tokens, keys,
commands) is dropped unseen. ``.dvc/config.local`` and the user's and the system's configuration are never read.

Layouts of a remote: DVC 3 ``<url>/files/md5/ab/cdef…`` (outputs with ``hash: md5``), DVC 2 and older
``<url>/ab/cdef…``, version-aware and worktree remotes ``<url>/<path in the repository>``.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from .limits import DEFAULTS, Limits
from .records import Remote
from .untrusted import clean, clean_url, has_scheme

_SECTION = re.compile(r"\[\s*(?P<quote>['\"]?)(?P<name>.*?)(?P=quote)\s*\]\s*(?:#.*)?$")
_REMOTE = re.compile(r"remote\s+(?P<quote>[\"']?)(?P<name>.+?)(?P=quote)$")
_TRUE = ("true", "1", "yes", "on")
_MAX_REMOTES = 200


@dataclass(eq=False, slots=True)
class Remotes:
    """Remotes of one DVC root, by name; equal configuration files give the same object."""

    by_name: dict[str, Remote]
    default: str = ""

    def storage(self, name: str, path: str, hash_: str | None, *, dvc3: bool) -> tuple[str, str]:
        """``(remote's name, URL of the stored object)`` of an output; both ``""`` when no remote is known.

        :param name: the output's own remote, ``""`` for the default
        :param path: of the output, relative to the DVC root
        :param dvc3: whether the hash is DVC 3's (``hash: md5``)
        """
        name = name or self.default
        remote = self.by_name.get(name)
        if remote is None:
            return name, ""
        if remote.version_aware or remote.worktree:
            return name, _join(remote.url, path)
        if not hash_ or len(hash_) < 3:
            return name, ""
        below = f"{hash_[:2]}/{hash_[2:]}"
        return name, _join(remote.url, f"files/md5/{below}" if dvc3 else below)

    def url(self, text: str) -> str:
        """A URL of an output or dependency fit to be shown; ``remote://name/path`` is looked up."""
        if text.startswith("remote://"):
            name, _, path = text.removeprefix("remote://").partition("/")
            remote = self.by_name.get(name)
            if remote is not None and remote.url:
                return _join(remote.url, clean(path))
        return clean_url(text)


def _join(url: str, path: str) -> str:
    return f"{url.rstrip('/')}/{path.lstrip('/')}" if url else path


def parse_config(text: str, limits: Limits = DEFAULTS) -> Remotes:
    """The remotes in a ``.dvc/config``: ``url``, ``version_aware``, ``worktree`` of each, and ``core.remote``."""
    raw: dict[str, dict[str, str]] = {}
    default = ""
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        match = _SECTION.match(line)
        if match:
            section = match["name"]
            remote = _REMOTE.match(section)
            if remote and len(raw) < _MAX_REMOTES:
                raw.setdefault(clean(remote["name"], limits.text), {})
            continue
        key, equals, value = line.partition("=")
        if not equals:
            continue
        key, value = key.strip().lower(), _unquote(value.strip())
        remote = _REMOTE.match(section)
        if remote and key in ("url", "version_aware", "worktree"):
            raw.setdefault(clean(remote["name"], limits.text), {})[key] = value
        elif section == "core" and key == "remote":
            default = clean(value, limits.text)
    remotes = {name: _remote(name, values, raw, name == default) for name, values in raw.items()}
    return Remotes(remotes, default)


def _remote(name: str, values: dict[str, str], raw: dict[str, dict[str, str]], default: bool) -> Remote:
    url = values.get("url", "")
    for _ in range(5):
        if not url.startswith("remote://"):
            break
        base, _, path = url.removeprefix("remote://").partition("/")
        url = _join(raw.get(base, {}).get("url", ""), path)
    kind = url.partition("://")[0].lower() if has_scheme(url) else "local"
    return Remote(
        name=name,
        kind=clean(kind, 40),
        url="" if kind in ("local", "file", "remote") else clean_url(url),
        default=default,
        version_aware=values.get("version_aware", "").lower() in _TRUE,
        worktree=values.get("worktree", "").lower() in _TRUE,
    )


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()


def relative_to(path: str, root: str) -> str:
    """``path`` below the folder ``root``, both relative to the repository."""
    return posixpath.relpath(path, root) if root else path
