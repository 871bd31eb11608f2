"""Why a plan does something to a dataset: in English where it is stored, in the reader's language where it is shown.

A reason is a template with its values filled in, and is taken apart again to be said in another language.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Callable, Sequence


def N_(text: str) -> str:  # noqa: N802 gettext's own name: scripts/translations.py finds the text by it
    """The text; it is translated where it is shown."""
    return text


FOUND = N_("found at {revision}")
BACK = N_("back in the repository")
REFS = N_("branches or tags moved")
RETIRED = N_("retired before")
GONE = N_("at none of the revisions any more")
FACTS = N_("the facts of a version changed")
VERSIONS = N_("its versions")
CHANGED = N_("changed: {names}")
CHANGED_MORE = N_("changed: {names} and {n} more")
KEPT = N_("kept as it was: {names} could not be read completely")
KEPT_MORE = N_("kept as it was: {names} and {n} more could not be read completely")
GOES_ON_AS = N_("{reason}; it goes on as {stage}")
GOES_ON_FROM = N_("{reason}; it goes on from {stage}: {evidence}")
SAME_CONTENT = N_("both wrote {path} with the hash {hash}")
SAME_PATH = N_("both write {path}, first as a stage file, then as a stage of dvc.yaml")
#: The special ones before those that fit as well.
_ALL = (
    *(GOES_ON_FROM, GOES_ON_AS, FOUND, BACK, REFS, RETIRED, GONE, FACTS),
    *(CHANGED_MORE, CHANGED, KEPT_MORE, KEPT, SAME_CONTENT, SAME_PATH),
)
#: Values that are reasons themselves.
_INNER = ("reason", "evidence")


def listed(few: str, more: str, names: Sequence[str], most: int) -> str:
    """A template of the first names of a list, or the one that says as well how many there are beyond."""
    shown = ", ".join(names[:most])
    return few.format(names=shown) if len(names) <= most else more.format(names=shown, n=f"{len(names) - most:,}")


def told(reason: str, translate: Callable[[str], str]) -> str:
    """A stored reason by :func:`translate`; as it is when it is of no template."""
    for template in _ALL:
        found = _pattern(template).fullmatch(reason)
        if found:
            values = {name: _value(name, value, translate) for name, value in found.groupdict().items()}
            return translate(template).format(**values)
    return reason


def _value(name: str, value: str, translate: Callable[[str], str]) -> str:
    if name in _INNER:
        return told(value, translate)
    if name == "names":
        return ", ".join(translate(VERSIONS) if each == VERSIONS else each for each in value.split(", "))
    return value


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = []
    for text, name, _, _ in string.Formatter().parse(template):
        value = r"[\d,]+" if name == "n" else ".+?"
        parts.append(re.escape(text) + (f"(?P<{name}>{value})" if name else ""))
    return re.compile("".join(parts), re.DOTALL)
