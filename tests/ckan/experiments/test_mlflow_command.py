"""``ckan mlops mlflow sync``: for people and for cron."""

from __future__ import annotations

import re

from click.testing import CliRunner

from ckanext.mlops.cli_mlflow import mlflow


def run(*arguments):
    return CliRunner().invoke(mlflow, ["sync", *arguments])


def test_it_shows_progress_and_counts(api, people, dataset, tracking):
    experiment = tracking.experiment()
    tracking.run(experiment, "one")
    api("mlops_link_create", people.editor, id="titanic", server="lab", kind="experiment", target=experiment)
    tracking.run(experiment, "two")
    result = run("lab", "--full")
    assert result.exit_code == 0, result.output
    assert re.search(r"lab: (\d+) of \1 experiments: \d+ runs", result.stderr)
    assert re.search(r"lab: \d+ experiments, \d+ runs, \d+ models, \d+ versions read", result.stdout)
    assert api("mlops_run_list", id="titanic")["count"] == 2


def test_quiet_prints_errors_only(people, dataset, tracking, stop_lab):
    assert run("-q").output == ""
    stop_lab()
    result = run("-q")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error: MLflow server lab" in result.stderr


def test_all_servers_are_read_though_one_fails(people, dataset, tracking, configure):
    configure("aaa")
    configure("lab", uri=tracking.uri)
    result = run()
    assert result.exit_code == 1
    assert "ckanext.mlops.mlflow.aaa.uri is not set" in result.stderr
    assert re.search(r"lab: \d+ experiments", result.stdout)


def test_an_unknown_server_and_no_server_are_clear_errors(people, dataset, configure):
    assert "no MLflow server is configured" in run().stderr
    configure("lab", uri="http://127.0.0.1:1")
    result = run("nowhere")
    assert result.exit_code == 1
    assert "No MLflow server named 'nowhere' is configured (configured: lab)" in result.stderr
