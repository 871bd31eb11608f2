"""The portal speaks German throughout, and a text without a translation fails here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckanext.mlops import helpers

ROOT = Path(__file__).parents[2]
LANGUAGES = ROOT / "ckanext-mlops/ckanext/mlops/i18n"


def check(folder: Path) -> tuple[int, str]:
    """Exit code and report of ``scripts/translations.py --check``."""
    command = [sys.executable, str(ROOT / "scripts/translations.py"), "--check", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_every_language_is_complete():
    code, report = check(LANGUAGES)
    assert code == 0, f"run scripts/translations.py, then translate:\n{report}"


def test_what_is_behind_is_named(tmp_path):
    folder = shutil.copytree(LANGUAGES, tmp_path / "i18n")
    po = folder / "de/LC_MESSAGES/ckanext-mlops.po"
    text = po.read_text(encoding="utf-8")
    assert 'msgid "Get this data"' in text
    assert 'msgstr "Stillgelegt"' in text
    at = text.index('msgstr "', text.index('msgid "Get this data"'))
    text = text[:at] + 'msgstr ""' + text[text.index("\n", at) :]
    po.write_text(text.replace('msgstr "Stillgelegt"', 'msgstr "Stillgelegt {what}"'), encoding="utf-8")
    code, report = check(folder)
    assert code == 1
    assert "de: 'Get this data' is not translated" in report
    assert "de: 'Retired' has other names between braces: Stillgelegt {what}" in report
    assert "ckanext-mlops.mo is behind" in report
    assert po.read_text(encoding="utf-8").count("{what}") == text.count("{what}") + 1


@pytest.fixture
def german(people, make_dataset, page):
    """Opens German pages of a dataset."""
    name = make_dataset(
        name="titanic-prepare",
        title="Prepared",
        dvc_repository="https://example.org/team/project.git",
        dvc_stage="prepare",
        resources=[{"url": "train.csv", "url_type": "upload", "name": "train.csv"}],
    )["name"]
    return lambda url, person=None: page(f"/de{url.format(name)}", person).body


def test_a_dataset_and_its_form_are_german(german, people):
    read = german("/dataset/{}")
    assert 'lang="de"' in read
    assert ("Diese Daten holen" in read, "Get this data" in read) == (True, False)
    form = german("/dataset/edit/{}", people.editor)
    assert "Hergestellt aus" in form
    assert "DVC-Repository" in form


def test_a_dataset_of_a_person_is_no_dvc_source(page, make_dataset):
    made = make_dataset(name="by-hand", title="By hand", derived_from=[{"url": "https://pier.test"}])
    read = page(f"/de/dataset/{made['name']}").body
    assert ("Woher es kommt" in read, "DVC-Quelle" in read) == (True, False)


def test_a_moment_is_in_the_order_of_the_language(app):
    def shown(language):
        with app.flask_app.test_request_context(
            "/", environ_overrides={"CKAN_LANG": language, "CKAN_CURRENT_URL": "/"}
        ):
            return helpers.mlops_moment("2026-12-30T05:41:00")

    assert shown("de") == "30. Dezember 2026, 05:41 (UTC)"
    assert shown("en") == "December 30, 2026, 05:41 (UTC)"
    assert helpers.mlops_moment("") == ""


def test_commands_are_the_same_in_every_language(german, page):
    def commands(body):
        return re.findall(r"<pre[^>]*><code>(.*?)</code>", body, re.DOTALL)

    found = commands(german("/dataset/{}"))
    assert any("ckan-mlops get titanic-prepare" in each for each in found)
    assert found == commands(page("/dataset/titanic-prepare").body)
