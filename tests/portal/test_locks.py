"""The locks: exact, hashed, the same versions everywhere, and no word of where packages come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [
    "requirements.lock",
    "requirements-dev.lock",
    "docker/ckan/requirements.lock",
    "scripts/embedded/bootstrap.lock",
]


def _versions(name: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^([a-z0-9_.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes_and_no_host_is_named(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert packages
    for package in packages:
        assert "--hash=sha256:" in package, package[:80]
    assert "://" not in text
    assert "--index" not in text
    assert "find-links" not in text


@pytest.mark.parametrize("name", ["requirements.lock", "docker/ckan/requirements.lock"])
def test_the_development_environment_has_all_of_it_in_the_same_versions(name: str) -> None:
    assert _versions(name) <= _versions("requirements-dev.lock")


def test_psycopg2_never_has_to_be_compiled() -> None:
    for name in LOCKS[:3]:
        packages = {package for package, _ in _versions(name)}
        assert "psycopg2" not in packages
        assert "psycopg2-binary" in packages
