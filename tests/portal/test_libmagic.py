"""A machine without libmagic: python-magic, which CKAN needs, loads the one of the package pylibmagic."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import portal_services


def test_the_packaged_library_and_its_database_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # This machine may have a libmagic of its own, which a test cannot take away.
    monkeypatch.setattr(portal_services, "find_library", lambda _name: None)
    given = portal_services.magic_environment()
    sheet = tmp_path / "unnamed"
    sheet.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00")
    code = "import magic, sys; print(magic.from_file(sys.argv[1], mime=True)); print(open('/proc/self/maps').read())"

    result = subprocess.run(
        [sys.executable, "-c", code, str(sheet)],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=True,
    )

    kind, _, maps = result.stdout.partition("\n")
    assert kind == "image/png"
    loaded = {line.split()[-1] for line in maps.splitlines() if "libmagic" in line}
    assert loaded
    assert all("pylibmagic" in path for path in loaded)


def test_the_systems_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_services, "find_library", lambda _name: "libmagic.so.1")

    assert portal_services.magic_environment() == {}
