"""Which dataset was used for which models, and what was made with these: links of every kind are lineage."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import model

from ckanext.mlops.model import (
    Experiment,
    Link,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    Run,
    versions,
)

NOW = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 naive UTC, as CKAN stores it
CHAMPION, LOGGED, WHOLE = "model:lab:churn:2", "logged_model:lab:m-2", "registered_model:lab:churn"


class World:
    """Passengers → run → version 1 and 2 (the champion) of a model → predictions, and what else is linked."""

    def __init__(self, make_dataset: Callable[..., dict[str, Any]]) -> None:
        self.make = make_dataset
        self.session = model.Session()
        self.passengers = make_dataset(name="passengers", title="Passengers", maintainer="Ada")["id"]
        self.version = str(uuid.uuid4())
        outs = [{"path": "a.csv", "hash": "1"}]
        row = {"id": self.version, "digest": "1", "commit": "a" * 40, "facts": {"outs": outs}, "current": True}
        versions.store(self.session, self.passengers, [row])
        self.session.add(Experiment(server="lab", experiment_id="7", name="survival"))
        self.session.add(RegisteredModel(server="lab", name="churn", facts={"aliases": {"champion": "2"}}))
        for number, aliases in ((1, []), (2, ["champion"])):
            run = {"run_id": f"r{number}", "experiment_id": "7", "name": f"run {number}", "status": "FINISHED"}
            self.session.add(Run(server="lab", started=NOW, ended=NOW, facts={}, **run))
            logged = {"model_id": f"m-{number}", "experiment_id": "7", "run_id": f"r{number}", "name": f"net {number}"}
            self.session.add(LoggedModel(server="lab", facts={}, **logged))
            version = {"version": str(number), "number": number, "run_id": f"r{number}", "model_id": f"m-{number}"}
            self.session.add(ModelVersion(server="lab", name="churn", aliases=aliases, **version))
        self.session.commit()

    def link(self, package: str, kind: str, target: str, relation: str = "trained_on", **values: Any) -> None:
        row = {"server": "lab", "created": NOW, "origin": "asserted", "evidence": {}, **values}
        given = {"package_id": package, "kind": kind, "target": target, "relation": relation}
        self.session.add(Link(id=str(uuid.uuid4()), **given, **row))
        self.session.commit()

    def predictions(self, uri: str = "models:/churn@champion", **values: Any) -> str:
        given = {"name": "predictions", "title": "Predictions", "derived_from": [{"url": uri, "label": ""}], **values}
        return str(self.make(**given)["id"])


@pytest.fixture
def world(people: Any, make_dataset: Callable[..., dict[str, Any]]) -> World:
    return World(make_dataset)


def ways(answer: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(upstream, downstream, relation) by the names of the nodes."""
    names = {node["id"]: node["name"] for node in answer["nodes"]}
    return {(names[each["upstream"]], names[each["downstream"]], each["relation"]) for each in answer["edges"]}


CHAIN = {("passengers", "r2", "trained_on"), ("r2", "churn/2", "produced"), ("churn/2", "predictions", "")}


@pytest.mark.parametrize("uri", ["models:/churn/2", "models:/churn@champion", "models://lab/churn@champion"])
def test_from_a_dataset_to_a_run_to_a_version_to_predictions_and_back(world: World, api: Any, uri: str) -> None:
    world.link(world.passengers, "run", "r2", version_id=world.version)
    predictions = world.predictions(uri)
    for start, direction in ((world.passengers, "downstream"), (predictions, "upstream"), (CHAMPION, "both")):
        answer = api("mlops_lineage_show", id=start, direction=direction)
        assert ways(answer) == CHAIN
        assert answer["hidden"] == 0
    [edge] = [each for each in answer["edges"] if each["relation"] == "trained_on"]
    assert edge["version"] == world.version  # the exact state of the dataset
    [node] = [each for each in answer["nodes"] if each["kind"] == "model"]
    assert (node["aliases"], node["title"]) == (["champion"], "churn 2")
    path = api("mlops_lineage_path", start="passengers", end="predictions")
    assert (path["found"], path["length"], ways(path)) == (True, 3, CHAIN)


def test_files_and_steps_have_models_as_well(world: World, api: Any) -> None:
    world.link(world.passengers, "run", "r2")
    predictions = world.predictions()
    for level in ("files", "steps"):
        for start, direction in ((world.passengers, "downstream"), (predictions, "upstream")):
            answer = api("mlops_lineage_show", id=start, direction=direction, level=level)
            pairs = {(edge["upstream"], edge["downstream"]) for edge in answer["edges"]}
            file = f"file:{world.passengers}:a.csv"
            assert pairs == {(file, "run:lab:r2"), ("run:lab:r2", CHAMPION), (CHAMPION, predictions)}


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("model_version", "churn/2", {("passengers", "churn/2", "trained_on")}),
        ("logged_model", "m-2", {("passengers", "m-2", "trained_on"), ("m-2", "churn/2", "produced")}),
        ("registered_model", "churn", {("passengers", "churn", "trained_on"), ("churn", "churn/2", "produced")}),
    ],
)
def test_a_dataset_is_linked_to_a_model_without_its_run(
    world: World, api: Any, kind: str, target: str, expected: set[tuple[str, str, str]]
) -> None:
    world.link(world.passengers, kind, target)
    world.predictions()
    down = api("mlops_lineage_show", id="passengers", direction="downstream")
    assert ways(down) == expected | {("churn/2", "predictions", "")}
    up = api("mlops_lineage_show", id="predictions", direction="upstream")
    # From the version back, there are also the run that made it, and what it logged where that is linked.
    assert ways(up) >= expected | {("churn/2", "predictions", ""), ("r2", "churn/2", "produced")}
    assert (up["hidden"], down["hidden"]) == (0, 0)
    impact = api("mlops_lineage_impact", id="passengers")
    assert {row["name"]: row["aliases"] for row in impact["results"]}["churn/2"] == ["champion"]


@pytest.mark.parametrize("kind", ["model_version", "registered_model"])
def test_a_link_says_what_a_model_made(world: World, api: Any, make_dataset: Any, kind: str) -> None:
    world.link(world.passengers, "run", "r2")
    labels = make_dataset(name="labels")["id"]
    world.link(labels, kind, "churn/2" if kind == "model_version" else "churn", "produced")
    found = ways(api("mlops_lineage_show", id="labels", direction="upstream"))
    expected = {("passengers", "r2", "trained_on"), ("r2", "churn/2", "produced"), ("churn/2", "labels", "produced")}
    assert found >= expected
    assert "labels" in {each["name"] for each in api("mlops_lineage_impact", id="passengers")["results"]}


def test_a_model_that_no_version_holds_is_shown_as_it_was_logged(world: World, api: Any) -> None:
    world.session.add(LoggedModel(server="lab", model_id="m-9", experiment_id="7", run_id="r1", name="trial", facts={}))
    world.link(world.passengers, "run", "r1")
    world.predictions("models:/m-9")
    expected = {("r1", "m-9", "produced"), ("m-9", "predictions", "")}
    assert ways(api("mlops_lineage_show", id="passengers", direction="downstream")) == {
        *expected,
        ("passengers", "r1", "trained_on"),
        ("r1", "churn/1", "produced"),
    }
    assert ways(api("mlops_lineage_show", id="m-9", direction="downstream")) == {("m-9", "predictions", "")}


def test_impact_names_every_model_in_use_however_many_runs_there_are(world: World, api: Any, page: Any) -> None:
    for number in range(30):
        run = {"run_id": f"many-{number:02}", "experiment_id": "7", "name": "one of many"}
        world.session.add(Run(server="lab", facts={}, **run))
        world.link(world.passengers, "run", run["run_id"])
    world.link(world.passengers, "run", "r2")
    world.predictions()
    shown = api("mlops_lineage_show", id="passengers", direction="downstream")
    [start] = [node for node in shown["nodes"] if node["name"] == "passengers"]
    assert (start["runs_cut"], start["more"]["downstream"]) == (21, True)
    assert ways(shown) >= CHAIN  # those that made a registered model come first
    opened = api("mlops_lineage_show", id="passengers", direction="downstream", depth=1)
    assert sum(node["kind"] == "run" for node in opened["nodes"]) == 31
    assert "runs_cut" not in opened["nodes"][0]
    impact = api("mlops_lineage_impact", id="passengers", limit=100)
    assert impact["count"] == 33
    [version] = api("mlops_lineage_impact", id="passengers", kind="model")["results"]
    assert (version["name"], version["aliases"], version["distance"]) == ("churn/2", ["champion"], 2)
    body = page("/dataset/passengers/lineage/impact?kind=model").body
    assert '<span class="badge mlops-ref">champion</span>' in body
    assert "Model version</span>" in body
    body = page("/dataset/passengers/lineage/impact?format=csv").body
    assert "2,model,churn/2,churn 2,model,,,,champion," in body


def test_a_dataset_lists_the_models_that_it_was_used_for(world: World, api: Any, page: Any, make_dataset: Any) -> None:
    table = make_dataset(name="table", derived_from=[{"dataset": "passengers"}])["id"]
    world.link(table, "registered_model", "churn")
    world.link(table, "logged_model", "m-1")
    [row] = [each for each in api("mlops_lineage_impact", id="passengers")["results"] if each["name"] == "table"]
    assert [(each["name"], each["version"], each["aliases"]) for each in row["models"]] == [
        ("churn", "1", []),
        ("churn", "2", ["champion"]),
    ]
    assert row["aliases"] == ["champion"]
    assert "champion" in page("/dataset/passengers/lineage/impact").body


@pytest.mark.parametrize("role", ["anonymous", "member"])
def test_rows_of_what_depends_on_it_lead_to_the_models(
    world: World, page: Any, people: Any, make_dataset: Any, role: str
) -> None:
    """A model that is tied to hidden datasets only is no row, and what is a row leads to a page of theirs."""
    person = getattr(people, role)
    secret = make_dataset(name="secret-data", private=True, derived_from=[{"dataset": "passengers"}])["id"]
    world.link(secret, "run", "r2")
    world.link(world.passengers, "run", "r1")
    table = BeautifulSoup(page("/dataset/passengers/lineage/impact", person).body, "html.parser").table
    links = {each.get_text(): each["href"] for each in table.select("a[href^='/mlflow/']")}
    shown = ["churn 1", "churn 2"] if role == "member" else ["churn 1"]
    assert links == dict.fromkeys(shown, "/mlflow/lab/models/churn")
    assert page("/mlflow/lab/models/churn", person).status_code == 200


def test_models_of_a_dataset_that_depends_on_it_are_links(world: World, page: Any, make_dataset: Any) -> None:
    world.link(make_dataset(name="table", derived_from=[{"dataset": "passengers"}])["id"], "run", "r2")
    rows = BeautifulSoup(page("/dataset/passengers/lineage/impact").body, "html.parser").select("tbody tr")
    [link] = next(row for row in rows if row.find("a", string="table")).select("td:last-child a")
    assert (link["href"], link.get_text()) == ("/mlflow/lab/models/churn", "churn 2")
    assert page(link["href"]).status_code == 200


def test_the_page_of_a_model_is_there_for_who_sees_what_its_logged_model_used(world: World, page: Any) -> None:
    """A version need not know its run: who is told of it by the model that was logged can open it."""
    version = {"version": "3", "number": 3, "run_id": None, "model_id": "m-9", "aliases": []}
    world.session.add(RegisteredModel(server="lab", name="alone", facts={}))
    world.session.add(ModelVersion(server="lab", name="alone", **version))
    world.session.add(LoggedModel(server="lab", model_id="m-9", experiment_id="7", name="net 9", facts={}))
    world.link(world.passengers, "logged_model", "m-9")
    assert "/mlflow/lab/models/alone" in page("/dataset/passengers/lineage/impact").body
    shown = page("/mlflow/lab/models/alone")
    assert shown.status_code == 200
    assert "Passengers" in shown.body


def test_the_page_names_the_models_and_leads_to_them(world: World, page: Any) -> None:
    world.link(world.passengers, "run", "r2")
    world.link(world.passengers, "registered_model", "churn")
    world.predictions()
    body = page("/dataset/passengers/lineage").body
    assert "Used for 1 dataset, 1 MLflow run, 1 registered model and 1 model version." in body
    assert "/mlflow/lab/models/churn" in body
    assert "champion" in body
    for form in ("mermaid", "dot", "csv"):
        assert "churn 2" in page(f"/mlops/lineage.{form}?id=passengers").body


def test_a_dataset_that_is_used_for_a_model_only_is_not_without_use(world: World, api: Any) -> None:
    world.link(world.passengers, "model_version", "churn/2")
    gaps = api("mlops_lineage_coverage", id="lab")["gaps"]
    assert gaps["consumer"]["results"] == []


def test_predictions_lead_back_to_raw_data_by_way_of_the_model(world: World, api: Any, make_dataset: Any) -> None:
    world.link(world.passengers, "run", "r2")
    world.predictions()
    missing = {each["name"] for each in api("mlops_lineage_coverage", id="lab")["gaps"]["source"]["results"]}
    assert missing == {"passengers", "predictions"}
    package = model.Session.get(model.Package, world.passengers)
    package.extras = {**(package.extras or {}), "dvc_stage": "passengers.csv.dvc"}  # tracked, made by no command
    model.Session.commit()
    missing = {each["name"] for each in api("mlops_lineage_coverage", id="lab")["gaps"]["source"]["results"]}
    assert missing == set()


@pytest.mark.parametrize("role", ["anonymous", "outsider", "member", "sysadmin"])
def test_what_hidden_datasets_were_used_for_is_a_count(
    world: World, api: Any, people: Any, page: Any, refused: Any, make_dataset: Any, role: str
) -> None:
    person = getattr(people, role)
    secret = make_dataset(name="secret-data", title="Secret title", private=True)["id"]
    world.link(secret, "run", "r2", note="secret-note")
    world.link(secret, "logged_model", "m-2")
    world.predictions()
    sees = role in ("member", "sysadmin")
    calls = [("mlops_lineage_show", {"id": "predictions", "level": level}) for level in ("datasets", "files", "steps")]
    calls += [("mlops_lineage_impact", {"id": "passengers"}), ("mlops_lineage_coverage", {"id": "lab"})]
    for action, data in calls:
        text = json.dumps(api(action, person, **data))
        assert sees or not [word for word in ("ecret", secret, "r2", "m-2", "net 2", "champion") if word in text]
    bodies = [page("/dataset/predictions/lineage", person).body, page("/mlops/lineage.csv?id=predictions", person).body]
    bodies.append(page("/dataset/predictions/lineage/impact", person).body)
    assert sees or not [body for body in bodies if "ecret title" in body or "run 2" in body or "net 2" in body]
    shown = api("mlops_lineage_show", person, id="predictions", direction="upstream")
    assert ("secret-data", "r2", "trained_on") in ways(shown) if sees else shown["hidden"] > 0
    for key in ("run:lab:r2", LOGGED, "m-2", "r2"):
        if sees:
            assert api("mlops_lineage_show", person, id=key)["nodes"]
        else:
            with pytest.raises(refused) as error:
                api("mlops_lineage_show", person, id=key)
            assert error.value.status == 404
