"""Each training is one run that says which code and which data it used."""

from __future__ import annotations

import json
from pathlib import Path

import requests
import yaml

from embedded.demo.mlflow_runs import BUILD_TAG, MODEL
from embedded.demo.project import ALIASES

RUN_OF = ("wrong-baseline", "baseline", "random-forest", "main", "tensorflow")


def run_data(built, run_id):
    url = f"{built.server.url}/api/2.0/mlflow/runs/get"
    return requests.get(url, params={"run_id": run_id}, timeout=30).json()["run"]


def outputs(built, commit, stage):
    if stage.endswith((".dvc", "Dvcfile")):
        found = yaml.safe_load(built.space.git("show", f"{commit}:{stage}"))["outs"]
    else:
        found = yaml.safe_load(built.space.git("show", f"{commit}:dvc.lock"))["stages"][stage]["outs"]
    return {Path(out["path"]).name: out["md5"] for out in found}


def test_there_is_one_run_for_each_training(built):
    assert tuple(training.result.revision for training in built.project.trainings) == RUN_OF
    assert len({training.run.run_id for training in built.project.trainings}) == len(RUN_OF)


def test_runs_carry_the_commit_of_the_code_that_ran(built):
    for training in built.project.trainings:
        tags = {tag["key"]: tag["value"] for tag in run_data(built, training.run.run_id)["data"]["tags"]}
        assert tags["mlflow.source.git.commit"] == training.result.code
        assert tags["mlflow.source.git.repoURL"] == built.project.url
        parent = built.space.git("log", "--format=%H", training.result.commit).split()
        assert training.result.code in parent
        changed = built.space.git("diff", "--name-only", training.result.code, training.result.commit).split()
        assert not [path for path in changed if path.startswith("code/")]


def test_results_are_not_older_than_their_run(built):
    for training in built.project.trainings:
        ended = run_data(built, training.run.run_id)["info"]["end_time"] / 1000
        assert int(built.space.git("log", "-1", "--format=%ct", training.result.commit)) >= ended


def test_inputs_carry_the_dvc_hash_of_the_prepared_data(built):
    for training in built.project.trainings:
        prepared = outputs(built, training.result.commit, training.result.prepare)
        assert training.run.digests == {
            "training": prepared["train_prepared.csv"],
            "evaluation": prepared["test_prepared.csv"],
        }


def test_runs_name_stage_and_hashes_of_its_inputs_and_lead_to_their_datasets(built):
    # The first training was run before there was a stage file that could name its inputs.
    for training in built.project.trainings[1:]:
        tags = {tag["key"]: tag["value"] for tag in run_data(built, training.run.run_id)["data"]["tags"]}
        result = training.result
        prepared = outputs(built, result.commit, result.prepare)
        named = {Path(path).name: md5 for path, md5 in json.loads(tags["mlops.dvc.inputs"]).items()}
        assert named == {name: prepared[name] for name in ("train_prepared.csv", "test_prepared.csv")}
        assert tags["mlops.dvc.stage"].removeprefix("dvc.yaml:") == result.train
        assert tags["mlops.repository"] == built.project.url
        assert tags["mlops.datasets"].startswith("https://portal.example.org/dataset/")


def test_metrics_equal_the_committed_ones(built):
    for training in built.project.trainings:
        path = "data/metrics.json" if training.result.train == "Dvcfile" else "metrics.json"
        committed = json.loads(built.space.git("show", f"{training.result.commit}:{path}"))
        logged = {item["key"]: item["value"] for item in run_data(built, training.run.run_id)["data"]["metrics"]}
        assert {name: logged[name] for name in committed} == committed


def test_each_run_logged_its_model(built):
    for training in built.project.trainings:
        assert run_data(built, training.run.run_id)["outputs"]["model_outputs"]


def test_each_run_is_a_version_of_the_registered_model(built):
    url = f"{built.server.url}/api/2.0/mlflow/model-versions/search"
    found = requests.get(url, params={"filter": f"name = '{MODEL}'"}, timeout=30).json()["model_versions"]
    of = {each["run_id"]: each for each in found}
    assert len(found) == len(of) == len(RUN_OF)
    runs = {training.result.revision: training.run.run_id for training in built.project.trainings}
    assert set(of) == set(runs.values())
    url = f"{built.server.url}/api/2.0/mlflow/registered-models/get"
    model = requests.get(url, params={"name": MODEL}, timeout=30).json()["registered_model"]
    aliases = {each["alias"]: each["version"] for each in model["aliases"]}
    assert aliases == {alias: of[runs[revision]]["version"] for alias, revision in ALIASES.items()}


def test_taking_a_build_back_takes_its_model_versions(built):
    experiment = built.server.prepare_experiment()
    tag = {"key": BUILD_TAG, "value": "taken-back"}
    made = built.server._call("POST", "runs/create", {"experiment_id": experiment, "start_time": 1, "tags": [tag]})
    run_id = made["run"]["info"]["run_id"]
    source = {"name": MODEL, "source": "s3://bucket/model", "run_id": run_id}
    built.server._call("POST", "model-versions/create", source)
    assert built.server.delete_runs(experiment, "taken-back") == 1
    search = {"filter": f"run_id = '{run_id}'"}
    assert not built.server._call("GET", "model-versions/search", search).get("model_versions")
