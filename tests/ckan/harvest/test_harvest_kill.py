"""kill -9 anywhere, harvest again: the catalog is the one of an undisturbed harvest."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.common import config as ckan_settings
from ckanext.harvest.model import HarvestJob, HarvestObject

# (where, the how manyeth call, whether before or after it)
POINTS = [
    ("ckanext.mlops.harvesting.reading:update_mirror", 1, "before"),
    ("ckanext.mlops.harvesting.reading:read_repository", 1, "after"),
    ("ckanext.mlops.harvesting.planning:plan", 1, "after"),
    ("ckanext.mlops.harvesting.gather:_note", 1, "after"),
    ("ckanext.mlops.harvesting.gather:_store", 1, "after"),
    ("ckanext.mlops.harvesting.foreground:_gather", 1, "after"),
    ("ckanext.mlops.harvesting.batches:_choose", 1, "after"),
    ("ckanext.mlops.harvesting.owning:last", 1, "after"),
    ("ckanext.mlops.harvesting.apply:_write_rows", 1, "before"),
    ("ckanext.mlops.harvesting.apply:_relink", 1, "after"),
    ("ckanext.mlops.harvesting.apply:_mark", 1, "after"),
    ("ckanext.mlops.harvesting.apply:_free_name", 2, "after"),
    ("ckanext.mlops.logic.creating:_rows", 1, "after"),
    ("ckanext.mlops.logic.creating:create", 1, "after"),
    ("ckanext.mlops.harvesting.batches:apply", 1, "after"),
    ("ckanext.mlops.search.together:_documents", 2, "after"),
    ("pysolr:Solr.add", 1, "before"),
    ("pysolr:Solr.add", 1, "after"),
    ("ckanext.mlops.harvesting.batches:_finish", 3, "after"),
    ("ckanext.mlops.harvesting.batches:_together", 1, "after"),
    ("ckanext.mlops.harvesting.batches:run", 1, "after"),
    ("ckanext.mlops.harvesting.foreground:_finish", 1, "before"),
    ("ckanext.mlops.harvesting.foreground:_finish", 1, "after"),
]


def test_killed_at_any_point(
    repo: Any, source: Any, harvest: Any, catalog: Any, show: Any, killed_at: Any, forget: Any
) -> None:
    source(repo.path)
    source_id = show("titanic")["id"]
    harvest()
    undisturbed = catalog()
    assert len(undisturbed["packages"]) == len(undisturbed["indexed"]) == 3
    for where, number, when in POINTS:
        forget(source_id)
        assert killed_at(harvest, where, number, when), f"{when} call {number} of {where} is never reached"
        report = harvest()
        assert report.counts()["failed"] == 0, f"{when} {where}"
        assert catalog() == undisturbed, f"{when} call {number} of {where}"
        session = model.Session()
        assert session.scalar(sa.select(sa.func.count()).where(HarvestObject.current)) == 3
        assert session.scalars(sa.select(HarvestJob.status).distinct()).all() == ["Finished"]


@pytest.mark.parametrize("moment", ["fetching", "written"])
def test_the_command_killed_and_run_again(
    moment: str, repo: Any, source: Any, harvest: Any, catalog: Any, show: Any, forget: Any, tmp_path: Path
) -> None:
    source(repo.path)
    harvest()
    undisturbed = catalog()
    forget(show("titanic")["id"])
    settings = tmp_path / "portal.ini"
    values = {
        key: ckan_settings[key]
        for key in ("sqlalchemy.url", "solr_url", "ckan.redis.url", "ckan.storage_path", "ckan.site_id")
    }
    roots = " ".join(ckan_settings["ckanext.mlops.repository.roots"])
    lines = [f"{key} = {value}" for key, value in values.items()]
    lines += [f"ckanext.mlops.repository.roots = {roots}", f"ckanext.mlops.repository.mirrors = {tmp_path / 'mirrors'}"]
    lines = [line.replace("%", "%%") for line in lines]
    base = (Path(__file__).parents[1] / "test.ini").read_text().splitlines()
    keys = tuple(line.split("=")[0] for line in lines)
    at = next(number for number, line in enumerate(base) if line.startswith("ckan.plugins"))
    kept = [line for line in base[at:] if not line.startswith(keys)]
    settings.write_text("\n".join([*(line for line in base[:at] if not line.startswith(keys)), *lines, *kept]))

    script = "import sys; from ckan.cli.cli import ckan; sys.argv[0] = 'ckan'; ckan()"
    arguments = [sys.executable, "-c", script, "-c", str(settings), "mlops", "harvest", "titanic", "--json"]
    model.Session.remove()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    if moment == "fetching":
        for line in process.stderr:
            if "fetching" in line:
                break
    else:
        _wait_for_an_import()
    process.kill()
    process.wait()
    process.stderr.close()
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert report["counts"]["failed"] == 0
    assert catalog() == undisturbed


def _wait_for_an_import(seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        model.Session.remove()
        if model.Session.scalar(sa.select(sa.func.count()).where(HarvestObject.current)):
            return
        time.sleep(0.02)
    raise AssertionError("nothing was imported")
