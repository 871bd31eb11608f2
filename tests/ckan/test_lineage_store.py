"""Writing edges: what a harvest and what a person says, and writing all of it again."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.mlops.model import Edge, lineage
from ckanext.mlops.model.tables import utc_now

LONG_AGO = datetime.datetime(2020, 1, 2)  # noqa: DTZ001 CKAN stores naive UTC


@pytest.fixture
def session(database: None) -> Iterator[Any]:
    model.Session.remove()
    model.Session.execute(sa.delete(Edge))
    yield model.Session
    model.Session.rollback()


def edges(session: Any, **where: Any) -> list[Any]:
    query = sa.select(*Edge.__table__.columns).order_by(Edge.path, Edge.id)
    return list(session.execute(query.filter_by(**where)))


def test_storing_twice_is_storing_once(session: Any) -> None:
    given = [
        {"upstream_dataset": "a", "path": "x.csv", "hash": "1", "version_id": "v", "evidence": {"kind": "locked"}},
        {"upstream_uri": "https://data.example", "upstream_label": "Data"},
    ]
    lineage.store_harvested(session, "b", given)
    before = edges(session)
    lineage.store_harvested(session, "b", given)
    after = edges(session)
    assert [row[:-1] for row in after] == [row[:-1] for row in before]
    assert all(row.origin == "harvested" and row.downstream_dataset == "b" and row.current for row in after)
    assert all(new.last_seen >= old.last_seen for new, old in zip(after, before, strict=True))


def test_the_first_sight_is_kept_and_the_last_moves(session: Any) -> None:
    edge = {"upstream_dataset": "a"}
    lineage.store_harvested(session, "b", [{**edge, "first_seen": LONG_AGO, "last_seen": LONG_AGO}])
    lineage.store_harvested(session, "b", [edge])
    (row,) = edges(session)
    assert row.first_seen == LONG_AGO
    assert utc_now() - row.last_seen < datetime.timedelta(minutes=1)
    lineage.store_harvested(session, "b", [{**edge, "last_seen": LONG_AGO}])
    assert edges(session)[0].last_seen == row.last_seen


def test_an_edge_that_is_gone_stays_as_history(session: Any) -> None:
    lineage.store_harvested(
        session, "b", [{"upstream_dataset": "a", "path": "1"}, {"upstream_dataset": "a", "path": "2"}]
    )
    lineage.store_harvested(session, "b", [{"upstream_dataset": "a", "path": "2"}])
    assert [(row.path, row.current) for row in edges(session)] == [("1", False), ("2", True)]
    lineage.store_harvested(session, "b", [])
    assert [row.current for row in edges(session)] == [False, False]


def test_edges_of_versions_are_told_apart(session: Any) -> None:
    both = [
        {"upstream_dataset": "a", "version_id": "old", "current": False},
        {"upstream_dataset": "a", "version_id": "new"},
    ]
    lineage.store_harvested(session, "b", both)
    assert {row.version_id: row.current for row in edges(session)} == {"old": False, "new": True}


def test_what_is_given_twice_is_one_edge(session: Any) -> None:
    lineage.store_harvested(session, "b", [{"upstream_dataset": "a"}] * 3)
    assert len(edges(session)) == 1


def test_other_datasets_are_left_alone(session: Any) -> None:
    lineage.store_harvested(session, "b", [{"upstream_dataset": "a"}])
    lineage.store_harvested(session, "c", [])
    assert edges(session, downstream_dataset="b")[0].current


def test_thousands_of_edges_are_stored(session: Any) -> None:
    lineage.store_harvested(session, "b", [{"upstream_dataset": "a", "path": f"{n}"} for n in range(2500)])
    assert len(edges(session)) == 2500


@pytest.mark.parametrize("edge", [{}, {"upstream_dataset": "a", "upstream_uri": "https://x.example"}])
def test_an_edge_has_one_upstream(session: Any, edge: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either upstream_dataset or upstream_uri"):
        lineage.store_harvested(session, "b", [edge])


def test_a_purged_dataset_loses_its_own_edges_only(session: Any) -> None:
    lineage.store_harvested(session, "b", [{"upstream_dataset": "a"}])
    lineage.store_harvested(session, "c", [{"upstream_dataset": "b"}])
    lineage.delete_of_packages(session, ["b"])
    assert [(row.upstream_dataset, row.downstream_dataset) for row in edges(session)] == [("b", "c")]


ENTRIES = [{"url": "https://data.example", "label": "Data"}, {"dataset": "no-such", "label": ""}]


@pytest.mark.parametrize(
    "package",
    [
        {"id": "b", "derived_from": ENTRIES},
        {"id": "b", "derived_from": json.dumps(ENTRIES)},
        {"id": "b", "extras": [{"key": "derived_from", "value": json.dumps(ENTRIES)}]},
        {"id": "b", "extras": {"derived_from": json.dumps(ENTRIES)}},
    ],
)
def test_asserted_edges_follow_the_field(session: Any, package: dict[str, Any]) -> None:
    lineage.sync_asserted(package, session)
    (row,) = edges(session)
    assert (row.upstream_uri, row.upstream_label, row.origin, row.current) == (
        "https://data.example",
        "Data",
        "asserted",
        True,
    )
    lineage.sync_asserted(package, session)
    assert edges(session)[0].first_seen == row.first_seen
    lineage.sync_asserted({"id": "b"}, session)
    assert edges(session) == []


def test_harvested_and_asserted_edges_stay_apart(session: Any) -> None:
    source = {"upstream_uri": "https://data.example"}
    lineage.store_harvested(session, "b", [source])
    lineage.sync_asserted({"id": "b", "derived_from": [{"url": "https://data.example", "origin": "asserted"}]}, session)
    assert sorted(row.origin for row in edges(session)) == ["asserted", "harvested"]
    lineage.store_harvested(session, "b", [])
    lineage.sync_asserted(
        {"id": "b", "derived_from": [{"url": "https://other.example", "origin": "harvested"}]}, session
    )
    assert [(row.origin, row.current) for row in edges(session)] == [("harvested", False)]


def test_a_deleted_dataset_keeps_what_was_asserted(session: Any) -> None:
    lineage.sync_asserted({"id": "b", "derived_from": ENTRIES}, session)
    lineage.sync_asserted({"id": "b", "state": "deleted"}, session)
    assert len(edges(session)) == 1


def test_rebuilding_gives_the_identical_graph(make_dataset: Callable[..., Any]) -> None:
    up = make_dataset(name="up")
    down = make_dataset(name="down", derived_from=[{"dataset": "up"}, {"url": "https://data.example", "label": "Data"}])
    harvested = [{"upstream_dataset": up["id"], "path": "x", "version_id": "v", "first_seen": LONG_AGO}]
    session = model.Session()
    lineage.store_harvested(session, down["id"], harvested)
    lineage.store_harvested(session, "purged", [{"upstream_dataset": up["id"]}])
    before = {row.id: row for row in edges(session) if row.downstream_dataset != "purged"}
    assert len(before) == 3
    session.execute(sa.delete(Edge).where(Edge.origin == "asserted"))
    counts = lineage.rebuild(session, [(down["id"], harvested)])
    assert counts == {"datasets": 2, "edges": 3}
    after = {row.id: row for row in edges(session)}
    stable = [column.name for column in Edge.__table__.columns if not column.name.endswith("_seen")]
    assert {key: [getattr(row, name) for name in stable] for key, row in after.items()} == {
        key: [getattr(row, name) for name in stable] for key, row in before.items()
    }
    assert lineage.rebuild(session) == counts
    lineage.rebuild(session, [])
    assert {row.origin for row in edges(session)} == {"asserted"}


@pytest.fixture
def asserted(people: Any, api: Any) -> Callable[[str], list[tuple[str, str]]]:
    def read(name: str) -> list[tuple[str, str]]:
        answer = api("mlops_lineage_show", people.editor, id=name, direction="upstream", depth=1)
        titles = {node["id"]: node["name"] for node in answer["nodes"]}
        return sorted((titles[edge["upstream"]], edge["origin"]) for edge in answer["edges"])

    return read


def test_an_editor_asserts_and_withdraws_through_the_api(
    make_dataset: Callable[..., Any], people: Any, api: Any, asserted: Callable[..., Any]
) -> None:
    make_dataset(name="survey")
    make_dataset(name="table")
    api(
        "package_patch",
        people.editor,
        id="table",
        derived_from=[{"dataset": "survey"}, {"url": "https://data.example"}],
    )
    assert asserted("table") == [("https://data.example", "asserted"), ("survey", "asserted")]
    api("package_patch", people.editor, id="table", derived_from=[{"dataset": "survey"}])
    assert asserted("table") == [("survey", "asserted")]
    api("package_patch", people.editor, id="table", title="Another title")
    assert asserted("table") == [("survey", "asserted")]
    api("package_patch", people.editor, id="table", derived_from=[])
    assert asserted("table") == []


def test_who_asserted_is_in_the_activity_stream(make_dataset: Callable[..., Any], people: Any, api: Any) -> None:
    survey = make_dataset(name="survey")
    make_dataset(name="table")
    api("package_patch", people.editor, id="table", derived_from=[{"dataset": "survey"}])
    latest = api("package_activity_list", people.editor, id="table")[0]
    assert latest["user_id"] == people.editor.id
    package = api("activity_data_show", people.editor, id=latest["id"], object_type="package")
    assert [entry["dataset"] for entry in package["derived_from"]] == [survey["id"]]


def test_a_dataset_may_be_asserted_before_it_is_loaded(
    make_dataset: Callable[..., Any], api: Any, people: Any, asserted: Callable[..., Any]
) -> None:
    later = "0e5b1c1e-6f0a-4d0e-9d43-1f2a3b4c5d6e"
    make_dataset(name="table", derived_from=[{"dataset": later}])
    assert asserted("table") == []
    assert api("mlops_lineage_show", people.editor, id="table")["absent"] == 1
    api("package_create", people.sysadmin, name="survey", id=later, owner_org=people.organization["id"])
    assert asserted("table") == [("survey", "asserted")]


def test_members_and_strangers_cannot_assert(
    make_dataset: Callable[..., Any], people: Any, api: Any, refused: Any
) -> None:
    make_dataset(name="survey")
    make_dataset(name="table")
    for person in (people.anonymous, people.member, people.outsider):
        with pytest.raises(refused):
            api("package_patch", person, id="table", derived_from=[{"dataset": "survey"}])


def test_a_deleted_and_restored_dataset_has_its_lineage_again(
    make_dataset: Callable[..., Any], people: Any, api: Any, asserted: Callable[..., Any]
) -> None:
    make_dataset(name="survey")
    make_dataset(name="table", derived_from=[{"dataset": "survey"}])
    api("package_delete", people.editor, id="table")
    api("package_patch", people.sysadmin, id="table", state="active")
    assert asserted("table") == [("survey", "asserted")]
