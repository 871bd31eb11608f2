"""Text from a repository, made fit for a catalog: bounded, of visible characters, valid for CKAN and PostgreSQL.

Nothing here escapes HTML: that is done where text is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

MAX_TITLE = 200
MAX_LINE = 500
MAX_NAME = 300
MAX_PATH = 1000
MAX_TEXT = 5000
MAX_COMMAND = 8000
MAX_TAGS = 50
MAX_REPOSITORY_TITLE = 80
_BLANK = re.compile(r"[^\S\n]+")
# Unicode categories Cc (without line feed), Cf, Cs and Co, and the separators of lines and paragraphs.
_INVISIBLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_NOT_TAG = re.compile(r"[^\w .-]+")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^\s{0,3}=+\s*$")
_MARKUP = re.compile(r"!\[[^\]]*\]\([^)]*\)|<[^>]{0,500}>")
#: What begins an image in Markdown or HTML.
_IMAGE = re.compile(r"!+(?=\[)|<(?=im(?:g|age)\b)", re.IGNORECASE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def clean(text: str) -> str:
    """``text`` without control, invisible and direction-changing characters and unpaired surrogates; newlines stay."""
    text = text.replace("\r\n", "\n").replace("\t", " ")
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub("", text)


def line(text: str, limit: int = MAX_LINE) -> str:
    """``text`` as one line of at most ``limit`` characters."""
    return _cut(" ".join(clean(text[: limit * 3]).split()), limit)


def paragraph(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` with its line breaks, at most ``limit`` characters."""
    return _cut(_BLANK.sub(" ", clean(text[: limit * 3])).strip(), limit)


def prose(text: str, limit: int = MAX_TEXT) -> str:
    """A paragraph for CKAN's Markdown, whose images are links or text: a page would load them for who looks at it."""
    return _cut(_IMAGE.sub(lambda found: "&lt;" if found[0] == "<" else "", paragraph(text, limit)), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def tags(labels: Iterable[str], limit: int = MAX_TAGS) -> list[str]:
    """CKAN tag names of ``labels``: letters, digits, space, ``-_.``; 2 to 100 characters; sorted; at most ``limit``."""
    found = set()
    for label in labels:
        name = " ".join(_NOT_TAG.sub("-", line(label, 100)).split()).strip(" -_.")[:100]
        if len(name) >= 2:
            found.add(name)
        if len(found) >= limit * 4:
            break
    return sorted(found)[:limit]


def readme_title(readme: str) -> str:
    """The first heading of a README; ``""`` when there is none, or it is too long for a title."""
    before = ""
    for each in readme[:5000].splitlines()[:50]:
        heading = _HEADING.match(each)
        text = heading[1] if heading else before if _UNDERLINE.match(each) else ""
        title = line(re.sub(r"[*`]", "", _LINK.sub(r"\1", _MARKUP.sub("", text))).strip("_ "))
        if title:
            return title if len(title) <= MAX_REPOSITORY_TITLE else ""
        before = each
    return ""


def readme_summary(readme: str, limit: int = 600) -> str:
    """The first paragraph of prose in a README, as plain text."""
    for block in re.split(r"\n\s*\n", clean(readme[:20000])):
        lines = [each for each in block.splitlines() if not _HEADING.match(each)]
        if any(_UNDERLINE.match(each) for each in lines[1:2]):
            lines = lines[2:]
        text = line(_LINK.sub(r"\1", _MARKUP.sub("", " ".join(lines))), limit)
        if len(text) >= 20 and text[0] not in "`|>=-*+~" and not text.startswith(("    ", "[")):
            return text
    return ""


def title_of_name(name: str) -> str:
    """A repository's name as words: ``mlops-titanic`` is ``Mlops titanic``."""
    words = line(re.sub(r"[-_]+", " ", name), MAX_REPOSITORY_TITLE)
    return words[:1].upper() + words[1:]


def plain(value: Any, depth: int = 0) -> Any:
    """A JSON value that PostgreSQL's ``jsonb`` takes: no NUL, no unpaired surrogates, NaN and infinities as text."""
    kind = value.__class__  # by how often each is met
    if kind is str and value.isascii() and "\x00" not in value:
        return value
    if value is None or kind is int or kind is bool:
        return value
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {plain(str(key)): plain(item, depth + 1) for key, item in value.items()} if depth < 100 else "…"
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value] if depth < 100 else "…"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return plain(str(value))
