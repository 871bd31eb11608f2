"""What is read from a real MLflow server."""

import dataclasses
import json
import re
import urllib.request

import pytest

from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow import MlflowClient, Server, experiment_page, model_page, run_page
from ckanext.mlops.core.records import from_dict, to_dict

pytestmark = pytest.mark.slow


def test_experiments_are_found_by_id_and_name(client, filled):
    found = client.experiment_by_name("titanic")
    assert found == client.experiment(filled["experiment"])
    assert (found.experiment_id, found.tags["team"], found.deleted) == (filled["experiment"], "crew", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.created)
    assert client.experiment_by_name("nothing") is None
    assert client.experiment("987654") is None


def test_deleted_experiments_come_when_asked(client):
    assert {item.name for item in client.experiments()} == {"Default", "titanic"}
    assert {item.name for item in client.experiments(deleted=True) if item.deleted} == {"gone"}


def test_a_run_is_read_whole(client, filled):
    run = client.run(filled["rich"])
    assert (run.name, run.status, run.experiment_id) == ("rich", "FINISHED", filled["experiment"])
    assert run.start <= run.end
    assert run.params == {"solver": "lbfgs", "long": "x" * 6000}
    assert run.metrics["loss"] == 1.0, "the last value counts"
    assert run.metrics["nan"] == "NaN"
    assert run.metrics["inf"] > 1e300, "MLflow's SQL store keeps infinity as the largest number"
    json.dumps(to_dict(run), allow_nan=False)
    assert run.user
    assert not run.truncated


def test_dataset_inputs_carry_digest_context_and_address_without_secrets(client, filled):
    run = client.run(filled["rich"])
    inputs = {item.name: item for item in run.inputs}
    train = inputs["train"]
    assert (train.digest, train.context, train.rows) == ("d41d8cd98f00b204e9800998ecf8427e.dir", "training", 3)
    assert train.uri == "https://host.org/train.csv"
    assert (inputs["test"].uri, inputs["test"].context) == ("data/test.csv", "evaluation")
    assert "hunter2" not in json.dumps(to_dict(run))
    assert run.tags["mlflow.source.git.repoURL"] == "https://host.org/r"


def test_a_run_that_does_not_exist_is_none_and_a_deleted_one_is_marked(client, filled):
    assert client.run("0" * 32) is None
    assert client.run(filled["run-00"]).deleted


def test_search_filters_orders_and_stops(client, filled):
    ids = [filled["experiment"]]
    best = list(client.runs(ids, "metrics.accuracy > 0.6", order_by=["metrics.accuracy DESC"], limit=3))
    assert [run.name for run in best] == ["run-14", "run-13", "run-12"]
    assert [run.metrics["accuracy"] for run in best] == pytest.approx([0.64, 0.63, 0.62])
    assert list(client.runs(ids, limit=0)) == []
    assert list(client.runs([])) == []


def test_deleted_runs_come_when_asked(client, filled):
    ids = [filled["experiment"]]
    names = {run.name for run in client.runs(ids)}
    assert "run-00" not in names
    assert len(list(client.runs(ids, deleted=True))) == int(filled["all-runs"])
    assert [run.name for run in client.runs(ids, deleted="only")] == ["run-00"]


def test_every_page_of_a_search_is_read(client, filled, monkeypatch):
    sizes = []
    search = client._search

    def small(method, path, arguments, **more):
        sizes.append(arguments.get("page_token"))
        return search(method, path, {**arguments, "max_results": 4}, **more)

    # Pages of a thousand would need thousands of runs: the same protocol with small ones.
    monkeypatch.setattr(client, "_search", small)
    found = [run.run_id for run in client.runs([filled["experiment"]], deleted=True)]
    assert len(found) == len(set(found)) == int(filled["all-runs"])
    assert len(sizes) == -(-len(found) // 4)


@pytest.mark.parametrize(
    "text", ["metrics.accuracy >", "'; DROP TABLE runs; --", "tags.x = 'a' OR 1=1", "\u0000", "x" * 9000]
)
def test_a_wrong_filter_is_an_error_that_says_so(text, client, filled):
    with pytest.raises(MlflowError) as caught:
        list(client.runs([filled["experiment"]], text))
    assert "MLflow server lab" in str(caught.value)
    assert len(str(caught.value)) < 700


def test_models_with_versions_and_aliases_are_read(client, filled):
    (model,) = client.registered_models()
    assert (model.name, model.description, model.tags) == ("survivors", "Who survives", {"domain": "sea"})
    assert model.aliases == {"champion": "1"}
    versions = {item.version: item for item in client.model_versions()}
    assert set(versions) == {"1", "2"}
    assert versions["1"].run_id == filled["rich"]
    assert [item.version for item in client.model_versions("name='nothing'")] == []


def test_logged_models_are_read(client, filled):
    assert list(client.logged_models([])) == []
    assert list(client.logged_models([filled["experiment"]])) == []


def test_health_of_a_server_that_works(client):
    health = client.health()
    assert health.status == "ok"
    assert re.match(r"\d+\.\d+", health.version)


def test_every_record_survives_json(client, filled):
    records = [
        *client.experiments(deleted=True),
        *client.runs([filled["experiment"]]),
        *client.registered_models(),
        *client.model_versions(),
    ]
    for record in records:
        assert from_dict(type(record), json.loads(json.dumps(to_dict(record)))) == record


def test_pages_of_mlflow_open(client, filled, tracking):
    run = client.run(filled["rich"])
    assert run_page(client.server, run) == f"{tracking}/#/experiments/{filled['experiment']}/runs/{run.run_id}"
    with urllib.request.urlopen(run_page(client.server, run), timeout=20) as answer:  # noqa: S310 - loopback
        assert answer.status == 200


def test_pages_use_the_public_address_and_escape_names():
    server = Server("lab", "http://10.0.0.1:5000", public_url="https://mlflow.example.org/tracking/")
    assert experiment_page(server, "7") == "https://mlflow.example.org/tracking/#/experiments/7"
    assert model_page(server, "a/b c#", "2").endswith("/#/models/a%2Fb%20c%23/versions/2")
    assert experiment_page(server, "javascript:1/../x").endswith("/#/experiments/javascript%3A1%2F..%2Fx")


def test_a_server_shows_neither_address_nor_secret():
    server = Server("lab", "https://10.0.0.1", username="ada", password="hunter2", token="tok3n")
    assert not re.search("10.0.0.1|ada|hunter2|tok3n", repr(server))
    assert "hunter2" not in repr(MlflowClient(server).__dict__)
    assert dataclasses.replace(server, name="other").password == "hunter2"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "file:///mlruns",
        "sqlite:///x",
        "databricks",
        "http://",
        "http://u:hunter2@h/",
        "http://h/?token=hunter2",
        "http://h:99999",
        "http://h /",
    ],
)
def test_a_server_whose_address_is_no_web_address_is_refused(uri):
    with pytest.raises(MlflowError) as caught:
        Server("lab", uri)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(MlflowError):
        Server("lab", "http://h", public_url=uri or "javascript:alert(1)")
