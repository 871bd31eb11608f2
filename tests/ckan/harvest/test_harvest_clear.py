"""A source that is cleared leaves nothing behind, and can be harvested as if it never had been."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import helpers

from ckanext.mlops.model import Edge, Version
from ckanext.mlops.model.tables import Choice, FileHash, Link, Plan, Revision, Settled

TABLES = (Version, Edge, FileHash, Choice, Link, Plan, Revision, Settled)


def rows() -> dict[str, int]:
    model.Session.remove()
    return {
        table.__tablename__: model.Session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        for table in TABLES
    }


@pytest.fixture
def harvested(repo: Any, source: Any, harvest: Any, api: Any, people: Any) -> None:
    source(repo.path)
    harvest()
    helpers.call_action("package_patch", {"user": "editor"}, id="titanic-train", notes="Mine.")
    api("mlops_field_take", people.editor, id="titanic-train", field="notes")
    values = {"server": "lab", "kind": "run", "target": "1", "relation": "used", "origin": "asserted"}
    model.Session.add(Link(id="x", package_id=helpers.call_action("package_show", id="titanic-train")["id"], **values))
    model.Session.commit()


def test_nothing_is_left(harvested: None, api: Any, people: Any) -> None:
    assert all(rows().values()), "there is something to forget in every table"
    source_id = helpers.call_action("package_show", id="titanic")["id"]
    api("harvest_source_clear", people.editor, id=source_id)
    assert rows() == {table.__tablename__: 0 for table in TABLES}
    assert helpers.call_action("package_search", fq="dataset_type:dataset")["count"] == 0
    assert api("harvest_source_show", people.editor, id="titanic")["status"]["total_datasets"] == 0


def test_what_others_have_stays(
    harvested: None, make_repo: Any, repo: Any, source: Any, harvest: Any, api: Any, people: Any, catalog: Any
) -> None:
    before = catalog()
    other = make_repo("other")
    other.path.mkdir()
    other.git("init", "--quiet", "--initial-branch=main")
    other.write(".dvc/config", "")
    other.write("copy.csv.dvc", (repo.path / "data" / "raw.csv.dvc").read_text().replace("raw.csv", "copy.csv"))
    other.commit()
    source(other.path, name="other")
    harvest("other")
    assert catalog() != before
    api("harvest_source_clear", people.editor, id=helpers.call_action("package_show", id="other")["id"])
    assert catalog() == before


def test_it_can_be_harvested_again(repo: Any, source: Any, harvest: Any, catalog: Any, api: Any, people: Any) -> None:
    source(repo.path)
    harvest()
    before = catalog()
    api("harvest_source_clear", people.editor, id=helpers.call_action("package_show", id="titanic")["id"])
    assert harvest().counts()["added"] == 3
    assert catalog() == before
