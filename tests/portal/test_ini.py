"""ckan.ini: values survive, options win, nothing can be smuggled in, containers get the same file."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from configparser import ConfigParser
from dataclasses import fields, replace
from pathlib import Path

import pytest

from embedded.site import ini
from embedded.site.ini import IniValues

VALUES = IniValues(
    site_url="https://catalog.example.org",
    secret_key="50% of \"everything\" & 'more' ; # =",
    database_url="postgresql://ckan:p%40ss@db.example.org/ckan",
    solr_url="http://solr.example.org/solr/ckan",
    redis_url="redis://:secret@redis.example.org:6379/0",
    storage_path="/data with blanks/storage",
    mlflow_url="https://mlflow.example.org",
    repository_mirrors="/data/mirrors",
)


def _read(text: str) -> dict[str, str]:
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return dict(parser["app:main"])


def test_values_are_read_back_unchanged() -> None:
    found = _read(ini.render(VALUES))

    assert found["SECRET_KEY"] == VALUES.secret_key
    assert found["sqlalchemy.url"] == VALUES.database_url
    assert found["ckan.storage_path"] == VALUES.storage_path
    assert found["ckanext.mlops.mlflow.local.public_url"] == VALUES.mlflow_url
    assert found["SESSION_COOKIE_SECURE"] == "true"


def test_options_are_stronger_than_the_template() -> None:
    found = _read(ini.render(replace(VALUES, options={"ckan.locale_default": "de", "ckan.favicon": "100%.ico"})))

    assert found["ckan.locale_default"] == "de"
    assert found["ckan.favicon"] == "100%.ico"


@pytest.mark.parametrize(
    "values",
    [
        replace(VALUES, site_title="Catalog\nckan.plugins = evil"),
        replace(VALUES, options={"ckan.site_title": "a\rb"}),
        replace(VALUES, options={"x = y\nckan.plugins": "evil"}),
    ],
)
def test_no_value_starts_another_line(values: IniValues) -> None:
    with pytest.raises(ValueError, match=r"one line|not the name"):
        ini.render(values)


def test_idle_harvest_consumers_are_not_cut_off() -> None:
    assert "socket_timeout=2000000" in _read(ini.render(VALUES))["ckan.redis.url"]
    own = "redis://r/0?socket_timeout=60"
    assert _read(ini.render(replace(VALUES, redis_url=own)))["ckan.redis.url"] == own


def test_a_container_renders_the_same_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text(VALUES.secret_key + "\n")
    environment = {
        f"MLOPS_{item.name.upper()}": getattr(VALUES, item.name)
        for item in fields(VALUES)
        if item.name not in ("options", "secret_key")
    }
    environment |= {"MLOPS_SECRET_KEY_FILE": str(secret), "CKAN_OPTION__ckan.locale_default": "de"}

    found = ini.from_environment(environment)

    assert ini.render(found) == ini.render(replace(VALUES, options={"ckan.locale_default": "de"}))


def test_the_entry_point_of_containers_writes_the_file_and_becomes_the_command(tmp_path: Path) -> None:
    target = tmp_path / "ckan.ini"
    given = {
        f"MLOPS_{name.upper()}": getattr(VALUES, name)
        for name in ini.IniValues.__dataclass_fields__
        if name != "options"
    }
    command = [sys.executable, ini.__file__, str(target), "sh", "-c", "echo started"]

    result = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, check=True)

    assert result.stdout == "started\n"
    assert _read(target.read_text())["solr_url"] == VALUES.solr_url
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ValueError, match="database_url"):
        ini.from_environment({"MLOPS_SITE_URL": "https://catalog.example.org"})
