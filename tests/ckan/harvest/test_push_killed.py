"""``ckan-mlops push`` that is killed at any point and run again leaves the catalog that one push makes."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckanext.harvest.model import HarvestJob
from click.testing import CliRunner

from ckanext.mlops.model.tables import Pushed
from ckanext.mlops.tool import main

SCRIPT = str(Path(__file__).parents[3] / "scripts/push_repository.py")
URL = "https://git.internal.example/lab/titanic.git"
# (where, the how manyeth call, whether before or after it); the second request is the one that sends.
POINTS = [
    ("ckanext.mlops.tool.portal:update_mirror", 1, "after"),
    ("ckanext.mlops.client.portal:Portal.action", 2, "before"),
    ("requests:Session.send", 2, "after"),
]


def test_a_killed_push_and_another_one(
    live: str,
    repo: Any,
    source: Any,
    people: Any,
    harvest: Any,
    catalog: Any,
    show: Any,
    forget: Any,
    killed_at: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CKAN_API_TOKEN", people.editor.token)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = [SCRIPT, str(repo.path), "-s", "titanic", "-r", live]
    monkeypatch.setattr(sys, "argv", arguments)
    source(URL, push=True)
    source_id = show("titanic")["id"]

    def push() -> None:
        done = CliRunner().invoke(main, ["push", *arguments[1:]])
        assert done.exit_code == 0, done.output

    push()
    harvest()
    undisturbed = catalog()
    assert len(undisturbed["packages"]) == 3
    for where, number, when in POINTS:
        forget(source_id)
        model.Session.execute(sa.delete(Pushed))
        model.Session.commit()
        killed = killed_at(lambda: runpy.run_path(SCRIPT, run_name="__main__"), where, number, when)
        assert killed, f"{when} call {number} of {where} is never reached"
        push()
        harvest()
        assert catalog() == undisturbed, f"{when} call {number} of {where}"
        statuses = set(model.Session.scalars(sa.select(HarvestJob.status)))
        assert statuses == {"Finished"}, f"{when} call {number} of {where}"
