"""A dataset that the reader may not see is a count, never a name: for every role, in every answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from bs4 import BeautifulSoup
from ckan import model
from ckan.tests import helpers

from ckanext.mlops.model import Link
from ckanext.mlops.model.lineage import store_harvested

MAY_SEE = {"anonymous": False, "outsider": False, "member": True, "editor": True, "admin": True, "sysadmin": True}


@pytest.fixture
def chain(make_dataset: Callable[..., dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """origin → secret (private) → result, and result → confidential (private)."""
    made = {
        name: make_dataset(
            name=f"{name}-data", title=f"{name.title()} title", private=name in ("secret", "confidential")
        )
        for name in ("origin", "secret", "result", "confidential")
    }
    for down, up in (("secret", "origin"), ("result", "secret"), ("confidential", "result")):
        edge = {
            "upstream_dataset": made[up]["id"],
            "upstream_label": f"{up}-label",
            "path": f"{up}-path.csv",
            "evidence": {"kind": "locked", "note": f"{up}-evidence"},
        }
        store_harvested(model.Session, made[down]["id"], [edge])
    model.Session.commit()
    return made


def traces(chain: dict[str, dict[str, Any]], answer: str) -> list[str]:
    words = [f"{name}-{what}" for name in ("secret", "confidential") for what in ("data", "label", "path", "evidence")]
    words += [chain[name][key] for name in ("secret", "confidential") for key in ("id", "title")]
    return [word for word in words if word in answer]


@pytest.mark.parametrize("role", MAY_SEE)
def test_the_action_counts_hidden_neighbours(chain: Any, people: Any, api: Any, role: str) -> None:
    answer = api("mlops_lineage_show", getattr(people, role), id="result-data")
    names = {node["name"] for node in answer["nodes"]}
    if MAY_SEE[role]:
        assert names == {"origin-data", "secret-data", "result-data", "confidential-data"}
        assert answer["hidden"] == 0
    else:
        assert names == {"result-data"}
        assert (answer["hidden"], answer["edges"]) == (2, [])
        assert traces(chain, json.dumps(answer)) == []


@pytest.mark.parametrize("role", MAY_SEE)
def test_the_page_counts_hidden_neighbours(chain: Any, people: Any, page: Callable[..., Any], role: str) -> None:
    response = page("/dataset/result-data/lineage", getattr(people, role))
    assert response.status_code == 200
    notes = BeautifulSoup(response.body, "html.parser").find(class_="mlops-lineage-notes")
    if MAY_SEE[role]:
        assert "Secret title" in response.body
        assert notes is None
    else:
        assert "2 more datasets that you may not see" in notes.get_text()
        assert traces(chain, response.body) == []


@pytest.mark.parametrize("role", MAY_SEE)
def test_lineage_of_a_hidden_dataset_is_refused(
    chain: Any, people: Any, api: Any, refused: Any, page: Callable[..., Any], role: str
) -> None:
    person = getattr(people, role)
    if MAY_SEE[role]:
        assert api("mlops_lineage_show", person, id="secret-data")["nodes"]
        assert page("/dataset/secret-data/lineage", person).status_code == 200
        return
    with pytest.raises(refused) as error:
        api("mlops_lineage_show", person, id="secret-data")
    assert error.value.status == 403
    assert page("/dataset/secret-data/lineage", person).status_code in (403, 404)


def test_a_collaborator_sees_what_is_shared(
    chain: Any, people: Any, api: Any, ckan_config: Any, monkeypatch: Any
) -> None:
    monkeypatch.setitem(ckan_config, "ckan.auth.allow_dataset_collaborators", True)
    helpers.call_action(
        "package_collaborator_create", id=chain["secret"]["id"], user_id=people.outsider.id, capacity="member"
    )
    answer = api("mlops_lineage_show", people.outsider, id="result-data")
    assert {node["name"] for node in answer["nodes"]} == {"origin-data", "secret-data", "result-data"}
    assert answer["hidden"] == 1


def test_a_deleted_neighbour_is_not_shown_as_live(chain: Any, people: Any, api: Any) -> None:
    helpers.call_action("package_delete", {"user": "editor"}, id=chain["secret"]["id"])
    answer = api("mlops_lineage_show", people.sysadmin, id="result-data", direction="upstream")
    assert [node["name"] for node in answer["nodes"]] == ["result-data"]
    assert (answer["absent"], answer["hidden"]) == (1, 0)
    assert traces(chain, json.dumps(answer)) == []


def test_permissions_of_many_neighbours_are_read_together(
    make_dataset: Callable[..., Any], people: Any, api: Any
) -> None:
    hub = make_dataset(name="hub")
    ids = [make_dataset(name=f"leaf-{number}", private=number % 2 == 0)["id"] for number in range(12)]
    for leaf in ids:
        store_harvested(model.Session, leaf, [{"upstream_dataset": hub["id"]}])
    model.Session.commit()

    def count(number: int) -> int:
        statements: list[Any] = []
        engine = model.meta.engine
        assert engine is not None

        def listener(*arguments: Any) -> None:
            statements.append(arguments[2])

        sa.event.listen(engine, "before_cursor_execute", listener)
        try:
            answer = api("mlops_lineage_show", people.member, id="hub", max_nodes=number)
        finally:
            sa.event.remove(engine, "before_cursor_execute", listener)
        assert len(answer["nodes"]) == number
        return len(statements)

    count(3)
    assert count(13) <= count(3) + 1


@pytest.mark.parametrize("role", ["anonymous", "outsider", "member", "sysadmin"])
def test_every_lineage_action_keeps_hidden_names(chain: Any, people: Any, api: Any, refused: Any, role: str) -> None:
    person = getattr(people, role)
    shown = {"id": "result-data"}
    calls = [
        *(("mlops_lineage_show", {**shown, "level": level}) for level in ("datasets", "files", "steps")),
        ("mlops_lineage_show", {**shown, "detail": "brief"}),
        ("mlops_lineage_show", {**shown, "at": "2100-01-01"}),
        ("mlops_lineage_impact", {**shown}),
        ("mlops_lineage_impact", {**shown, "format": "csv"}),
        ("mlops_lineage_path", {"start": "origin-data", "end": "result-data", "all": True}),
        ("mlops_lineage_diff", {**shown, "before": "2000-01-01", "direction": "both"}),
        ("mlops_lineage_coverage", {"id": "lab"}),
    ]
    for action, arguments in calls:
        answer = api(action, person, **arguments)
        assert bool(traces(chain, json.dumps(answer))) == MAY_SEE[role], action
        hidden = {"mlops_lineage_show": 2, "mlops_lineage_impact": 1, "mlops_lineage_diff": 2}.get(action)
        if not MAY_SEE[role] and hidden:
            assert answer["hidden"] == hidden, action
    way = api("mlops_lineage_path", person, start="origin-data", end="result-data")
    assert (way["found"], way["length"]) == ((True, 2) if MAY_SEE[role] else (False, None))
    if not MAY_SEE[role]:
        for end in ({"start": "secret-data", "end": "result-data"}, {"start": "result-data", "end": "secret-data"}):
            with pytest.raises(refused) as error:
                api("mlops_lineage_path", person, **end)
            assert error.value.status == 403


@pytest.mark.parametrize("role", ["anonymous", "outsider", "member", "sysadmin"])
def test_a_run_or_source_of_hidden_datasets_only_does_not_exist(
    chain: Any, people: Any, api: Any, refused: Any, role: str
) -> None:
    edge = {"upstream_uri": "https://secret.example/data", "upstream_label": "Secret source"}
    store_harvested(model.Session, chain["secret"]["id"], [edge])
    link = {"package_id": chain["secret"]["id"], "server": "lab", "kind": "run", "target": "secret-run"}
    model.Session.add(Link(id="secret-link", relation="trained_on", **link))
    model.Session.commit()
    for start in ("run:lab:secret-run", "secret-run", "external:https://secret.example/data"):
        if MAY_SEE[role]:
            found = {node["id"] for node in api("mlops_lineage_show", getattr(people, role), id=start)["nodes"]}
            assert chain["secret"]["id"] in found
        else:
            with pytest.raises(refused) as error:
                api("mlops_lineage_show", getattr(people, role), id=start)
            assert error.value.status == 404


def test_what_is_used_warns_before_it_is_deleted_and_can_be_kept(
    chain: Any, people: Any, api: Any, refused: Any, page: Any, ckan_config: Any, monkeypatch: Any
) -> None:
    warning = page("/dataset/delete/result-data", people.sysadmin).body
    assert "Used by 1 dataset" in warning
    assert "Confidential title" in warning
    monkeypatch.setitem(ckan_config, "ckanext.mlops.delete.refuse_used", True)
    with pytest.raises(refused) as error:
        api("package_delete", people.sysadmin, id="result-data")
    assert "Used by 1 dataset" in str(error.value.error)
    api("package_delete", people.sysadmin, id="confidential-data")
    api("package_delete", people.sysadmin, id="result-data")
