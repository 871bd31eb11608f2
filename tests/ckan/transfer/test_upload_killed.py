"""``ckan-mlops upload`` that is killed in the middle and run again leaves the catalog that one run makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.tests import helpers

from ckanext.mlops.client import read_table
from ckanext.mlops.client.hashing import file_md5

COUNT = 130
FILE_BYTES = 80_000  # too large to travel with the metadata
SCRIPT = Path(__file__).parents[3] / "scripts/upload_datasets.py"


def catalog() -> dict[str, Any]:
    model.Session.remove()
    found = helpers.call_action("package_search", {"ignore_auth": True}, rows=1000, include_private=True)["results"]
    return {
        each["name"]: (
            each["title"],
            sorted(tag["name"] for tag in each["tags"]),
            [(file["name"], file.get("hash"), file.get("size"), file["url_type"]) for file in each["resources"]],
        )
        for each in found
    }


def a_file_is_there() -> bool:
    """Asked again and again, beside the portal in this process: it must cost little."""
    with model.meta.engine.connect() as connection:
        return bool(connection.scalar(sa.select(sa.exists().where(model.Resource.hash != ""))))


def test_a_killed_upload_and_another_one(live: str, people: Any, killed: Any, tmp_path: Path) -> None:
    lines = ["name,title,tags,files"]
    for number in range(COUNT):
        path = tmp_path / f"values-{number}.bin"
        path.write_bytes(f"{number:06}".encode() * (FILE_BYTES // 6 if number % 10 == 0 else 2))
        lines.append(f"wind-{number},Wind {number},wind;measured,{path.name}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    command = [sys.executable, str(SCRIPT), str(tmp_path / "table.csv"), "-r", live, "-o", "lab", "-p", "1"]
    environment = {**os.environ, "CKAN_API_TOKEN": people.editor.token}

    def run() -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    killed(command, a_file_is_there, environment)
    assert len(catalog()) < COUNT
    run()
    wanted = {
        record.name: (
            record.title,
            sorted(record.tags),
            [
                (each.name, file_md5(each.path), each.path.stat().st_size, "upload")
                for each in record.files
                if each.path
            ],
        )
        for record in read_table(tmp_path / "table.csv")
        if not isinstance(record, Exception)
    }
    assert catalog() == wanted
    before = helpers.call_action("package_show", {"ignore_auth": True}, id="wind-0")
    assert run() == f"{COUNT} unchanged"
    assert helpers.call_action("package_show", {"ignore_auth": True}, id="wind-0") == before
