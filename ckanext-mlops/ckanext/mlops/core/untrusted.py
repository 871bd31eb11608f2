"""Text and values of strangers, made fit to be kept: bounded, without control characters, without credentials."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .limits import DEFAULTS, Limits

# C0 and C1 controls, bidirectional overrides and isolates, lone surrogates; tab and line feed are left alone.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRETS = re.compile(r"(://)[^/@\s]*@")


def clean(value: Any, limit: int = 1000) -> str:
    """``value`` as text of at most ``limit`` characters; control characters become U+FFFD."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isascii() and text.isprintable() else _CONTROLS.sub("\ufffd", text)


def plain(value: Any, limits: Limits = DEFAULTS, depth: int = 0) -> Any:
    """``value`` as JSON values: text keys, ISO dates, ``NaN`` and infinities as text, sets and tuples as lists."""
    kind = value.__class__
    if kind is str:
        return clean(value, 10 * limits.text)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if value.bit_length() <= 256 else clean(value)
    if kind is float:
        return value if math.isfinite(value) else "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if depth > limits.yaml_depth:
        return "…"
    if isinstance(value, dict):
        return {
            key
            if key.__class__ is str and key.isascii() and key.isprintable() and len(key) <= limits.text
            else clean(_key(key), limits.text): plain(item, limits, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [plain(item, limits, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return [plain(item, limits, depth + 1) for item in sorted(value, key=repr)]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return clean(value, 10 * limits.text)


def _key(key: Any) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(key)


def has_scheme(text: str) -> bool:
    """Whether ``text`` starts like a URL (``s3://``)."""
    return _SCHEME.match(text) is not None


def clean_url(text: str, limit: int = 1000) -> str:
    """A URL without user info, query and fragment: signatures and tokens live in these. ``""`` when it is not one.

    >>> clean_url("https://u:p@h.org/a?sig=1")
    'https://h.org/a'
    """
    text = clean(text, limit)
    if not has_scheme(text):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def clean_command(value: Any, limits: Limits) -> str:
    """A stage's command: text, or a list of them joined by line feeds; credentials in its URLs removed."""
    lines = value if isinstance(value, list) else [value]
    return _SECRETS.sub(r"\1", clean("\n".join(str(line) for line in lines if line is not None), 10 * limits.text))
