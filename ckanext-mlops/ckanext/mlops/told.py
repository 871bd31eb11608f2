"""Tell what was said in English in the reader's language: see ``ckanext.mlops.core.said``.

The translations are those of a language's .po with the context ``said``: templates, as in ``more than {lines} lines``.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from pathlib import Path

from babel.messages.mofile import read_mo

from ckanext.mlops.catalog import problems

_FOLDER = Path(__file__).with_name("i18n")
_NUMBERS = ("n", "line")
_DEPTH = 5
_LONGEST = 5000  # characters


class Teller:
    """Tells in one language.

    :param texts: English template → the same in the language
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        # What fits two templates is of the one that says more.
        made = sorted(map(_Template, texts), key=lambda each: sum(map(len, each.texts)), reverse=True)
        self._templates = [(each, texts[each.source]) for each in made]
        self._told = functools.lru_cache(4096)(self._tell)

    def __call__(self, text: str) -> str:
        """A text in this language; as it is when it is of no template."""
        return self._told(text, _DEPTH)

    def _tell(self, text: str, depth: int) -> str:
        if not text or not depth or len(text) > _LONGEST:
            return text
        for template, translated in self._templates:
            values = template.values_of(text)
            if values is not None:
                told = {name: self._value(name, value, depth) for name, value in values.items()}
                return translated.format(**told)
        return problems.told(text, lambda part: self._told(part, depth - 1))

    def _value(self, name: str, value: str, depth: int) -> str:
        if name in _NUMBERS:
            return value
        if name == "names":
            return ", ".join(self._told(each, depth - 1) for each in value.split(", "))
        return self._told(value, depth - 1) if " " in value else value


class _Template:
    """``more than {lines} lines``, to be found in a text again: in time that grows with the text's length only."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.texts, self.names = [""], list[str]()
        for text, name, _, _ in string.Formatter().parse(source):
            self.texts[-1] += text
            if name:
                self.names.append(name)
                self.texts.append("")

    def values_of(self, text: str) -> dict[str, str] | None:
        """What a text of this template has in place of the names."""
        if not self.names:
            return {} if text == self.texts[0] else None
        if not text.startswith(self.texts[0]) or not text.endswith(self.texts[-1]):
            return None
        start, end = len(self.texts[0]), len(text) - len(self.texts[-1])
        values = []
        for part in self.texts[1:-1]:
            at = text.find(part, start + 1, end)
            if at < 0:
                return None
            values.append(text[start:at])
            start = at + len(part)
        if start >= end:
            return None
        found = dict(zip(self.names, [*values, text[start:end]], strict=True))
        numbers = (value for name, value in found.items() if name in _NUMBERS)
        return found if all(number.replace(",", "").isdecimal() for number in numbers) else None


@functools.cache
def teller(language: str) -> Teller:
    """Tells in a language of CKAN's, as in ``de``; one without translations has the English texts."""
    path = _FOLDER / language / "LC_MESSAGES" / "said.mo"
    if not language.isidentifier() or not path.is_file():
        return Teller({})
    with path.open("rb") as file:
        return Teller({str(each.id): str(each.string) for each in read_mo(file) if each.id})
