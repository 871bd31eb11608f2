"""``ckan mlops lineage rebuild`` writes the identical graph: what was harvested, concluded and said, now and once."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.mlops import lineage_index
from ckanext.mlops.catalog.datasets import Dataset
from ckanext.mlops.core import naming
from ckanext.mlops.harvesting import apply
from ckanext.mlops.model import Edge, FileHash, Link

REGISTRY = "https://github.com/o/registry.git"
CONTENT = "name,age\nAllen,29\n"
MD5 = hashlib.md5(CONTENT.encode(), usedforsecurity=False).hexdigest()
IMPORT = f"""\
deps:
- path: names.csv
  repo: {{url: {REGISTRY}, rev_lock: {"c" * 40}}}
outs:
- {{md5: {"d" * 32}, size: 40, path: names.csv, hash: md5}}
"""
STAGE = """\
  join:
    cmd: cat names.csv data/raw.csv > all.csv
    deps: [names.csv, data/raw.csv]
    outs: [all.csv]
"""
TRACKED = f"outs:\n- {{md5: {MD5}, size: {len(CONTENT)}, path: copy.csv, hash: md5}}\n"


def rows(table: Any, *without: str) -> list[tuple[Any, ...]]:
    columns = [column for column in table.__table__.columns if column.name not in without]
    order = [column for column in table.__table__.columns if column.primary_key]
    model.Session.remove()
    return [tuple(map(str, row)) for row in model.Session.execute(sa.select(*columns).order_by(*order))]


def edges(origin: str = "") -> dict[str, tuple[Any, ...]]:
    """Edges by id; when something is concluded or said again, it is seen again."""
    found = {row[0]: row for row in rows(Edge) if row[8] == "harvested"}
    return found if origin else found | {row[0]: row for row in rows(Edge, "last_seen") if row[8] != "harvested"}


def registry_appears() -> None:
    """As the harvest of another repository does, which has what was imported from there before."""
    guid = naming.dataset_guid(REGISTRY, "names.csv.dvc")
    package_id, resource_id = naming.package_id(guid), naming.resource_id(guid, "names.csv")
    extras = {"dvc_repository": REGISTRY, "dvc_stage": "names.csv.dvc"}
    session = model.Session()
    session.add(model.Package(id=package_id, name="registry-names", type="dataset", state="active", extras=extras))
    session.flush()
    file = model.Resource(package_id=package_id, url="https://data.example/names.csv", extras={"dvc_path": "names.csv"})
    file.id = resource_id
    session.add(file)
    resources = [{"id": resource_id, "dvc_path": "names.csv"}]
    apply._relink(session, [Dataset(guid, {"id": package_id, "dvc_repository": REGISTRY, "resources": resources})])
    session.commit()


@pytest.fixture
def rich(repo: Any, make_repo: Any, source: Any, harvest: Any, make_dataset: Any, people: Any) -> None:
    """Versions that left, equal content in two repositories and an upload's hash, imports, people's words and links."""
    repo.write("names.csv.dvc", IMPORT)
    repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text() + STAGE)
    repo.commit()
    source(repo.path)
    harvest()
    other = make_repo("other")
    other.path.mkdir()
    other.git("init", "--quiet", "--initial-branch=main")
    other.minute = 30
    other.write(".dvc/config", "")
    other.write("copy.csv.dvc", TRACKED)
    other.commit()
    source(other.path, "other")
    harvest("other")
    registry_appears()
    # The version that main showed is shown by nothing any more, and its step read another file.
    repo.edit("dvc.yaml", "deps: [names.csv, data/raw.csv]", "deps: [names.csv]")
    repo.commit()
    harvest()
    given = {"url": "https://data.example/x.csv", "name": "x.csv", "hash": MD5, "size": len(CONTENT)}
    titanic = model.Package.get("titanic-train").id
    said = [{"dataset": titanic}, {"url": "https://data.example/notes", "label": "Notes"}]
    survey = make_dataset(name="survey", resources=[given], derived_from=said)["id"]
    session = model.Session()
    values = {"server": "lab", "kind": "registered_model", "target": "churn", "relation": "trained_on"}
    session.add(Link(id="link", package_id=survey, **values))
    session.commit()
    lineage_index.hashes.settle(session)
    session.commit()


def test_rebuilding_changes_nothing(rich: None) -> None:
    before, files, links = edges(), rows(FileHash), rows(Link)
    assert {row[8] for row in before.values()} == {"harvested", "inferred", "asserted"}
    assert any(row[8] == "harvested" and row[11] == "False" for row in before.values())  # of versions that left
    assert not [row for row in before.values() if "github.com" in row[4]]  # imports lead to what appeared
    for _ in range(2):
        lineage_index.rebuild(model.Session())
        assert edges() == before
        assert (rows(FileHash), rows(Link)) == (files, links)


def test_what_was_lost_is_written_again(rich: None) -> None:
    times = ("first_seen", "last_seen")
    before, harvested, files = rows(Edge, *times), edges("harvested"), rows(FileHash)
    model.Session.execute(sa.delete(Edge))
    model.Session.execute(sa.delete(FileHash))
    model.Session.commit()
    lineage_index.rebuild(model.Session())
    assert rows(Edge, *times) == before
    assert rows(FileHash) == files
    # What was harvested is as old as its version: taking a harvest back goes by it.
    assert edges("harvested") == harvested
