"""What is said in English without knowing its reader is told in the reader's language."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ckanext.mlops.catalog import problems, reasons, recipe
from ckanext.mlops.core.address import Policy, check_address
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.records import Problem
from ckanext.mlops.core.repository import Selection, read_repository
from ckanext.mlops.told import Teller, teller

tell = Teller(
    {
        reasons.FOUND: "gefunden in {revision}",
        reasons.GOES_ON_FROM: "{reason}; setzt {stage} fort: {evidence}",
        reasons.SAME_CONTENT: "beide schrieben {path} ({hash})",
        reasons.CHANGED_MORE: "geändert: {names}, noch {n}",
        reasons.CHANGED: "geändert: {names}",
        reasons.VERSIONS: "seine Versionen",
        reasons.REFS: "Branches",
        reasons.KEPT_MORE: "{names} und {n} sind nicht lesbar",
    }
)


@pytest.mark.parametrize(
    ("stored", "told"),
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
def test_a_stored_reason_is_told_in_another_language(stored: str, told: str) -> None:
    assert tell(stored) == told


def test_names_of_a_list_are_bounded() -> None:
    assert reasons.listed(reasons.CHANGED, reasons.CHANGED_MORE, ["a", "b"], 2) == "changed: a, b"
    assert reasons.listed(reasons.CHANGED, reasons.CHANGED_MORE, ["a", "b", "c"], 2) == "changed: a, b and 1 more"


@pytest.mark.parametrize(
    ("problem", "revisions", "told"),
    [
        (
            Problem("has no dvc.yaml beside it; it is not read", "runs/dvc.lock", remedy="commit dvc.yaml"),
            ["main"],
            "runs/dvc.lock, bei main: hat keine dvc.yaml neben sich und wird nicht gelesen; dvc.yaml committen",
        ),
        (
            Problem("metrics m: 1.json: not JSON: no value", "dvc.yaml", 59, stage="eval@ml"),
            ["a", "b", "c", "d"],
            "dvc.yaml, Zeile 59, Stage eval@ml, bei a, b, c und 1 weiteren: Metriken m: 1.json: kein JSON: no value",
        ),
        (Problem("commit 0a is missing or corrupt"), [], "repository: Commit 0a fehlt oder ist beschädigt"),
        (Problem("what nobody knows", "a, b"), ["main"], "a, b, bei main: what nobody knows"),
    ],
)
def test_a_problem_is_told_with_its_place_and_remedy(problem: Problem, revisions: list[str], told: str) -> None:
    assert teller("de")(problems.sentence(problem, revisions)) == told


def test_what_a_reader_finds_wrong_is_told_in_german(tmp_path: Path) -> None:
    files = {
        "broken/dvc.yaml": "stages: {a: [",
        "list/dvc.yaml": "- 1",
        "odd/dvc.yaml": "stages:\n  one: nothing\n  two: {cmd: x, outs: 3, what: 1}\nwhat: 1\n",
        "lonely/dvc.lock": "schema: '2.0'\n",
        "data.dvc": "outs:\n- md5: nonsense\n",
        "deep.dvc": "outs: " + "[" * 200,
        "latin.dvc": b"outs:\n- path: \xe9\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@lab.test"]
    for command in (["init", "-q", "-b", "main"], ["add", "-f", "."], [*identity, "commit", "-qm", "odd"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    opened = read_repository(tmp_path / ".git", url="https://example.org/a/b", selection=Selection())
    found = [problem for snapshot in opened for problem in snapshot.problems]
    assert len(found) >= 8
    german = teller("de")
    for problem in found:
        assert german(problem.message) != problem.message
        assert not problem.remedy or german(problem.remedy) != problem.remedy
        sentence = problems.sentence(problem, ["main"])
        assert german(sentence).split(": ", 1)[0] != sentence.split(": ", 1)[0]


def test_a_refused_address_is_told_in_german() -> None:
    with pytest.raises(MlopsError) as refused:
        check_address("ext::sh -c id", Policy())
    told = teller("de")(str(refused.value))
    assert told.startswith("Die Repository-Adresse ")
    assert "Remote-Helfer" in told


def test_notes_of_a_recipe_are_told_in_german() -> None:
    notes = recipe.recipe("r", "c", {"command": "x", "file": "Dvcfile", "address": "Dvcfile"})["notes"]
    assert len(notes) == 2
    assert all(teller("de")(note) != note for note in notes)


@pytest.mark.parametrize("language", ["en", "xx", "../de", ""])
def test_a_language_without_translations_has_the_english_text(language: str) -> None:
    assert teller(language)("found at main") == "found at main"


def test_a_text_of_a_repository_is_no_template() -> None:
    hostile = "dvc.yaml, at main: unknown key {x.__class__} " + "at a: b; " * 500
    assert "{x.__class__}" in teller("de")(hostile)


@pytest.mark.parametrize("repeated", ["a: b; ", "at a: ", "x (y): z; changed: ", "metrics a: "])
def test_a_text_that_fits_many_ways_comes_to_an_end(repeated: str) -> None:
    assert teller("de")(repeated * 250).count("a") >= 250
