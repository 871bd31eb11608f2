"""What a dataset is linked to is chosen in three steps, without a script, down to runs, logged models and versions."""

from __future__ import annotations

import re
import uuid

import pytest
from ckan import model

from ckanext.mlops.model import LoggedModel

ADDRESS = "/dataset/titanic/experiments/choose"


@pytest.fixture
def filled(dataset, tracking, sync):
    """An experiment with a run that logged a model, and a registered model of two versions; all by unique names."""
    word = uuid.uuid4().hex[:8]
    experiment = tracking.experiment(f"survival {word}")
    run = tracking.run(experiment, "the one")
    logged = tracking.call("logged-models", experiment_id=experiment, name=f"forest {word}", source_run_id=run)
    name = f"forest of {word} <b>"
    tracking.call("registered-models/create", name=name)
    for _ in range(2):
        tracking.call("model-versions/create", name=name, source="s3://bucket/m", run_id=run)
    tracking.call("registered-models/alias", name=name, alias="champion", version="1")
    sync()
    return word, experiment, run, logged["model"]["info"]["model_id"], name


@pytest.fixture
def step(page, people):
    """The page of a step, as an editor sees it: its text, and the links and choices that it offers."""

    def read(address=ADDRESS):
        body = page(address, people.editor).body
        links = {text.strip(): url for url, text in re.findall(r'<a[^>]* href="([^"]*)"[^>]*>([^<]*)</a>', body)}
        choices = re.findall(r'type="radio" name="target"[^>]* value="([^"]*)"', body)
        return body, {text: url.replace("&amp;", "&") for text, url in links.items()}, choices

    return read


def test_a_run_is_found_by_its_experiment(step, filled, tracking):
    word, experiment, run, _, _ = filled
    _, links, choices = step(f"{ADDRESS}?server=lab&q={word}")
    assert choices == [experiment]
    body, _, choices = step(links[f"survival {word}"])
    assert choices == [run]
    assert f"<strong>survival {word}</strong>" in body
    tracking.run(experiment, "another")
    assert step(links[f"survival {word}"] + "&q=attributes.run_name+%3D+'another'")[2] != [run]


def test_a_logged_model_is_found_by_its_experiment(step, filled):
    word, experiment, _, model_id, _ = filled
    _, links, _ = step(f"{ADDRESS}?server=lab&within={experiment}")
    body, _, choices = step(links["Logged models"])
    assert choices == [model_id]
    assert f"forest {word}" in body
    assert step(links["Logged models"] + "&q=nothing-like-it")[2] == []


def test_a_version_is_found_by_its_model_and_linked(app, api, people, step, filled):
    word, _, run, _, name = filled
    _, links, _ = step(f"{ADDRESS}?server=lab")
    body, links, choices = step(links["Registered models"] + f"&q={word}")
    assert choices == [name.replace("<", "&lt;").replace(">", "&gt;")]
    assert f"{word} <b>" not in body
    [address] = [url for text, url in links.items() if word in text]
    body, _, choices = step(address)
    assert [each.rpartition("/")[2] for each in choices] == ["2", "1"]
    assert "champion" in body
    assert run[:8] in body
    form = {"server": "lab", "kind": "model_version", "target": f"{name}/1", "relation": "produced"}
    answer = app.post("/dataset/titanic/experiments", data=form, headers=people.editor.headers, follow_redirects=False)
    assert answer.status_code == 302
    [link] = api("mlops_link_list", id="titanic")["results"]
    assert (link["target"], link["relation"]) == (f"{name}/1", "produced")


@pytest.mark.parametrize("kind", ["logged_model", "registered_model", "model_version"])
def test_what_was_chosen_is_what_a_link_takes(api, people, filled, kind):
    word, experiment, _, _, name = filled
    within = {"logged_model": experiment, "model_version": name}.get(kind, "")
    found = api("mlops_link_target_list", people.editor, server="lab", kind=kind, within=within, q=word)["results"]
    link = api("mlops_link_create", people.editor, id="titanic", server="lab", kind=kind, target=found[0]["target"])
    assert (link["kind"], link["target"]) == (kind, found[0]["target"])
    assert link["facts_at"]


def test_what_mlflow_no_longer_has_is_not_offered(api, people, filled):
    _, experiment, _, model_id, _ = filled
    options = {"server": "lab", "kind": "logged_model", "within": experiment}
    assert [each["target"] for each in api("mlops_link_target_list", people.editor, **options)["results"]] == [model_id]
    model.Session.get(LoggedModel, ("lab", model_id)).lifecycle_stage = "gone"
    model.Session.commit()
    assert api("mlops_link_target_list", people.editor, **options) == {"count": 0, "results": []}


def test_visitors_and_readers_choose_nothing(page, people, filled):
    assert page(ADDRESS, people.anonymous).status_code == 404
