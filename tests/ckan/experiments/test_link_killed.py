"""``ckan-mlops link`` that is killed in the middle and run again leaves the links that one run makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ckan import model

from ckanext.mlops.model import Link

COUNT = 60
SCRIPT = Path(__file__).parents[3] / "scripts/link_runs.py"


def links() -> list[tuple[str, ...]]:
    model.Session.remove()
    found = [
        (each.package_id, each.server, each.kind, each.target, each.relation) for each in model.Session.query(Link)
    ]
    model.Session.remove()
    return sorted(found)


def test_a_killed_link_and_another_one(
    live: str, people: Any, tracking: Any, dataset: Any, killed: Any, tmp_path: Path
) -> None:
    experiment = tracking.experiment()
    runs = [tracking.run(experiment, f"run-{number}") for number in range(COUNT)]
    table = tmp_path / "links.csv"
    table.write_text("dataset,server,run,relation\n" + "".join(f"titanic,lab,{run},trained_on\n" for run in runs))
    command = [sys.executable, str(SCRIPT), str(table), "-r", live, "-p", "2"]
    environment = {**os.environ, "CKAN_API_TOKEN": people.editor.token}
    killed(command, lambda: bool(links()), environment)
    assert len(links()) < COUNT
    wanted = sorted((dataset["id"], "lab", "run", run, "trained_on") for run in runs)
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        assert links() == wanted
