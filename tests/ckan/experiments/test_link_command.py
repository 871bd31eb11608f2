"""``ckan-mlops link``: links in bulk, from a table or from a search of a real MLflow server."""

from __future__ import annotations

import json

import pytest
from ckan import model
from click.testing import CliRunner

from ckanext.mlops.client import ClientError
from ckanext.mlops.client.links import search_runs
from ckanext.mlops.model import Link
from ckanext.mlops.tool import main


@pytest.fixture
def link(live, people):
    """Run the command as the editor."""

    def run(*arguments):
        done = CliRunner().invoke(main, ["link", *map(str, arguments), "-r", live, "-a", people.editor.token])
        model.Session.remove()  # the portal wrote in a thread of its own
        return done

    return run


@pytest.fixture
def runs(tracking):
    """An experiment with two good runs and a bad one: its name, and the ids of the good ones."""
    experiment = tracking.experiment()
    good = [tracking.run(experiment, metrics={"accuracy": value}) for value in (0.9, 0.85)]
    tracking.run(experiment, metrics={"accuracy": 0.5})
    return tracking.name_of(experiment), {each if isinstance(each, str) else each["info"]["run_id"] for each in good}


def targets():
    return {(each.target, each.relation) for each in model.Session.query(Link)}


def test_a_search_links_what_it_finds_and_again_changes_nothing(link, runs, tracking, dataset):
    name, good = runs
    search = ["--search", "metrics.accuracy > 0.8", "--experiment", name, "--tracking-uri", tracking.uri]
    options = [*search, "-s", "lab", "-d", "titanic", "--relation", "trained_on"]
    planned = link(*options, "--dry-run")
    assert (planned.exit_code, targets()) == (0, set()), planned.output
    for _ in range(2):
        done = link(*options)
        assert done.exit_code == 0, done.output
        assert targets() == {(run, "trained_on") for run in good}


def test_a_table_links_its_rows_and_names_the_bad_ones(link, runs, tracking, dataset, tmp_path):
    _, good = runs
    first, second = sorted(good)
    table, results = tmp_path / "links.csv", tmp_path / "results.jsonl"
    table.write_text(
        f"dataset,server,run,relation\ntitanic,lab,{first},produced\ntitanic,lab,,used\nnothing,lab,{second},used\n"
    )
    done = link(table, "--results", results)
    assert done.exit_code == 1
    assert targets() == {(first, "produced")}
    said = [json.loads(line) for line in results.read_text().splitlines()]
    assert sorted(each["status"] for each in said) == ["failed", "failed", "linked"]
    assert any("no value for target" in each["error"] for each in said)
    assert any("not found" in each["error"].lower() for each in said)


def test_what_mlflow_refuses_is_said(tracking, runs, link, dataset):
    name, _ = runs
    with pytest.raises(ClientError, match="MLflow: Invalid"):
        list(search_runs(tracking.uri, "accuracy >>> 1", [name]))
    with pytest.raises(ClientError, match="MLflow: "):
        list(search_runs(tracking.uri, "", ["no-such-experiment"]))
    with pytest.raises(ClientError, match="does not answer as MLflow"):
        list(search_runs("http://127.0.0.1:9", "", [name]))
    done = link("--search", "metrics.accuracy > 0", "-s", "lab", "-d", "titanic")
    assert done.exit_code == 2
    assert "--search needs --tracking-uri, --experiment" in done.output


def test_more_runs_than_a_page_are_all_found(tracking, monkeypatch, runs):
    monkeypatch.setattr("ckanext.mlops.client.links.PAGE", 1)
    name, good = runs
    assert set(search_runs(tracking.uri, "metrics.accuracy > 0.8", [name])) == good
