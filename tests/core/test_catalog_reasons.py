"""Why a plan does something is stored in English, and said in the reader's language."""

from __future__ import annotations

import pytest

from ckanext.mlops.catalog import reasons

GERMAN = {
    reasons.FOUND: "gefunden in {revision}",
    reasons.GOES_ON_FROM: "{reason}; setzt {stage} fort: {evidence}",
    reasons.SAME_CONTENT: "beide schrieben {path} ({hash})",
    reasons.CHANGED_MORE: "geändert: {names}, noch {n}",
    reasons.CHANGED: "geändert: {names}",
    reasons.VERSIONS: "seine Versionen",
    reasons.REFS: "Branches",
    reasons.KEPT_MORE: "{names} und {n} sind nicht lesbar",
}


def german(text: str) -> str:
    return GERMAN.get(text, text)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("found at main", "gefunden in main"),
        ("found at a {b} ; c", "gefunden in a {b} ; c"),
        ("branches or tags moved", "Branches"),
        ("changed: title, m.pkl/hash, its versions", "geändert: title, m.pkl/hash, seine Versionen"),
        ("changed: a, b, c, d, e and 1,200 more", "geändert: a, b, c, d, e, noch 1,200"),
        ("kept as it was: a, b, c and 2 more could not be read completely", "a, b, c und 2 sind nicht lesbar"),
        (
            "found at main; it goes on from Dvcfile: both wrote m.pkl with the hash 0a: 1",
            "gefunden in main; setzt Dvcfile fort: beide schrieben m.pkl (0a: 1)",
        ),
        ("written by another release", "written by another release"),
        ("", ""),
    ],
)
def test_a_stored_reason_is_said_in_another_language(stored: str, said: str) -> None:
    assert reasons.told(stored, german) == said


def test_names_of_a_list_are_bounded() -> None:
    assert reasons.listed(reasons.CHANGED, reasons.CHANGED_MORE, ["a", "b"], 2) == "changed: a, b"
    assert reasons.listed(reasons.CHANGED, reasons.CHANGED_MORE, ["a", "b", "c"], 2) == "changed: a, b and 1 more"
