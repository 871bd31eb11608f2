"""``ckan mlops harvest``, ``preview`` and ``lineage rebuild``."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.cli.cli import ckan as command
from click.testing import Result

from ckanext.mlops.catalog.datasets import Dataset
from ckanext.mlops.core import naming
from ckanext.mlops.harvesting import apply
from ckanext.mlops.model import lineage
from ckanext.mlops.model.tables import Edge


@pytest.fixture
def cli(cli: Any) -> Any:
    def run(*arguments: str) -> Result:
        model.Session.remove()
        result = cli.invoke(command, ["mlops", *arguments])
        model.Session.remove()
        return result

    return run


def test_harvest_prints_every_dataset_and_a_summary(repo: Any, source: Any, cli: Any) -> None:
    source(repo.path)
    result = cli("harvest", "titanic")
    assert result.exit_code == 0, result.output
    assert "added  titanic-train         found at main" in result.output
    assert "3 stages, 4 outputs: 3 added, 0 changed, 0 unchanged" in result.output
    again = cli("harvest", str(repo.path), "--json")
    counts = json.loads(again.stdout)["counts"]
    assert counts == {"added": 0, "changed": 0, "unchanged": 3, "retired": 0, "failed": 0, "problems": 0}


def test_harvest_ends_with_1_when_the_repository_cannot_be_read(source: Any, cli: Any) -> None:
    source("https://repository.invalid/o/r.git")
    result = cli("harvest", "titanic")
    assert result.exit_code == 1
    assert "does not resolve" in result.output


def test_an_unknown_source_is_an_error_with_a_remedy(people: Any, cli: Any) -> None:
    result = cli("harvest", "nothing")
    assert result.exit_code == 1
    assert "'ckan harvester sources' lists them" in result.output


def test_preview_of_a_source_and_of_any_repository(repo: Any, source: Any, cli: Any, harvest: Any) -> None:
    result = cli("preview", str(repo.path), "--config", '{"exclude": ["train"]}')
    assert result.exit_code == 0, result.output
    assert "2 stages, 2 outputs: 2 added" in result.output
    source(repo.path)
    harvest()
    repo.edit("dvc.yaml", "A forest.", "A tree.")
    repo.commit()
    result = cli("preview", "titanic")
    assert "resources/model.pkl/description  A forest.  A tree." in result.output
    answer = json.loads(cli("preview", "titanic", "--json").stdout)
    assert answer["counts"]["changed"] == 1
    wrong = cli("preview", str(repo.path), "--config", '{"exclude": "train"}')
    assert wrong.exit_code == 1
    assert "exclude: must be a list" in wrong.output


def test_lineage_is_rebuilt_from_the_harvests(repo: Any, source: Any, harvest: Any, cli: Any, catalog: Any) -> None:
    source(repo.path)
    harvest()
    before = catalog()["edges"]
    assert len(before) > 2
    model.Session.execute(sa.delete(Edge))
    model.Session.commit()
    result = cli("lineage", "rebuild")
    assert result.exit_code == 0, result.output
    assert catalog()["edges"] == before


def test_an_import_is_linked_when_its_source_appears(clean: None) -> None:
    session = model.Session()
    uri = "https://github.com/o/registry#names.csv"
    lineage.store_harvested(session, "importer", [{"upstream_uri": uri, "path": "names.csv", "version_id": "v"}])
    session.commit()
    guid = naming.dataset_guid("git@github.com:o/registry.git", "names.csv.dvc")
    package = {
        "id": naming.package_id(guid),
        "dvc_repository": "https://github.com/o/registry.git",
        "resources": [{"id": naming.resource_id(guid, "names.csv"), "dvc_path": "names.csv"}],
    }
    for _ in range(2):
        apply._relink(session, [Dataset(guid, package)])
        session.commit()
    [edge] = session.scalars(sa.select(Edge)).all()
    assert (edge.upstream_dataset, edge.upstream_uri) == (package["id"], None)
    assert edge.upstream_resource == naming.resource_id(guid, "names.csv")


def test_a_report_and_a_revert(repo: Any, source: Any, harvest: Any, cli: Any) -> None:
    source(repo.path)
    job = harvest().job
    result = cli("report", job)
    assert result.exit_code == 0, result.output
    assert "added      titanic-train  found at main" in result.output
    assert "The source has 3, the catalog has 3 datasets of it." in result.output
    assert json.loads(cli("report", job, "--json").stdout)["count"] == 3
    assert "3 datasets taken back" in cli("revert", job).output
    assert cli("report", job).output.count("reverted") == 1
    assert "no harvest job nothing" in cli("revert", "nothing").output


def test_a_plan_is_approved_or_rejected(repo: Any, source: Any, harvest: Any, cli: Any) -> None:
    source(repo.path, approval=True)
    job = harvest().job
    assert "held: 3 stages" in cli("report", job).output
    assert "3 changes are not written" in cli("reject", job, "--why", "No").output
    result = cli("approve", job)
    assert result.exit_code == 1
    assert "Nothing of this harvest waits for approval" in result.output
    assert "3 changes are written now" in cli("approve", harvest().job).output
