"""A file store is read as MLflow itself reads it, whoever wrote it, and whatever is in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow_files import FileStore
from ckanext.mlops.core.mlflow_folder import LocalTree
from ckanext.mlops.core.mlflow_records import parse_experiment, parse_logged_model, parse_run

# Runs where MLflow's own file store is allowed; prints what MLflow reads, as its REST API would answer.
WRITE = """
import json, sys, mlflow, pandas
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, ViewType
from mlflow.store.tracking.file_store import FileStore
from mlflow.utils.proto_json_utils import message_to_json
mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
with mlflow.start_run(run_name="a/b ü") as run:
    mlflow.log_params({"x/y": "1", "long": "v" * 5000, "lines": "a\\nb"})
    client.log_batch(run.info.run_id, [Metric("m", value, 5, step) for step, value in ((1, 1.5), (0, 2.5))])
    mlflow.log_metric("nan", float("nan"))
    mlflow.log_metric("inf", float("-inf"))
    mlflow.set_tags({"a.b": "c", "dvc_data_md5": "d" * 32})
    frame = pandas.DataFrame({"a": [1.0]})
    mlflow.log_input(mlflow.data.from_pandas(frame, source="data/x.csv", name="d", digest="f" * 32), context="training")
    model = mlflow.initialize_logged_model(name="logged", source_run_id=run.info.run_id, params={"k": "v"})
    mlflow.finalize_logged_model(model.model_id, "READY")
    mlflow.log_metric("acc", 0.5, model_id=model.model_id)
    mlflow.log_outputs(models=[LoggedModelOutput(model.model_id, 0)])
with mlflow.start_run(run_name="failed"):
    pass
client.create_registered_model("reg", tags={"a": "b"}, description="desc")
for number in (1, 2):
    client.create_model_version("reg", f"runs:/{run.info.run_id}/model", run.info.run_id, tags={"v": str(number)})
client.set_registered_model_alias("reg", "champion", "1")
client.delete_model_version("reg", "2")
client.set_experiment_tag("0", "team", "crew")
client.delete_experiment(client.create_experiment("gone"))
client.delete_run(client.create_run("0").info.run_id)
store = FileStore(sys.argv[1])
message = lambda item: json.loads(message_to_json(item.to_proto()))
runs = store.search_runs(["0"], "", ViewType.ALL, max_results=100)
print(json.dumps({
    "experiments": [message(item) for item in store.search_experiments(view_type=ViewType.ALL)],
    "runs": [message(item) for item in runs],
    "models": [message(item) for item in store.search_logged_models(["0"])],
}))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder of a store that MLflow wrote, and what MLflow reads in it."""
    pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("store") / "mlruns"
    environment = os.environ | {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", WRITE, folder.as_uri()], env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def store(written):
    return FileStore(LocalTree(written[0]), "files")


def by_id(items):
    return sorted(items, key=str)


def test_experiments_are_those_that_mlflow_reads(store, written):
    assert by_id(store.experiments(deleted=True)) == by_id(map(parse_experiment, written[1]["experiments"]))
    assert [item.name for item in store.experiments()] == ["Default"]
    assert store.experiment("0").tags == {"team": "crew"}
    assert store.experiment_by_name("gone").deleted
    assert store.health().status == "ok"


def test_runs_are_those_that_mlflow_reads(store, written):
    found = list(store.runs(["0"], deleted=True))
    assert by_id(found) == by_id(map(parse_run, written[1]["runs"]))
    assert len(found) == 3
    [rich] = [run for run in found if run.name == "a/b ü"]
    assert rich.metrics == {"m": 1.5, "nan": "NaN", "inf": "-Infinity", "acc": 0.5}
    assert (rich.params["x/y"], rich.inputs[0].digest, rich.inputs[0].context) == ("1", "f" * 32, "training")
    assert store.run(rich.run_id) == rich
    assert store.run("../" + rich.run_id) is None
    assert store.problems == []


def test_models_are_those_that_mlflow_reads(store, written):
    assert by_id(store.logged_models(["0"])) == by_id(map(parse_logged_model, written[1]["models"]))
    [model] = store.registered_models()
    assert (model.name, model.aliases, model.tags, model.description) == ("reg", {"champion": "1"}, {"a": "b"}, "desc")
    [version] = store.model_versions()
    assert (version.version, version.tags) == ("1", {"v": "1"})


@pytest.mark.parametrize(
    ("question", "deleted", "names"),
    [
        ("", False, ["a/b ü", "failed"]),
        ("attributes.status = 'FINISHED'", False, ["a/b ü", "failed"]),
        ("attributes.status = 'RUNNING'", False, []),
        ("attributes.end_time > 0 AND attributes.status != 'FAILED'", False, ["a/b ü", "failed"]),
        ("attributes.start_time >= 99999999999999", False, []),
        ("attributes.run_name IN ('failed', 'other')", False, ["failed"]),
    ],
)
def test_the_questions_of_a_sync_are_understood(store, question, deleted, names):
    found = store.runs(["0"], question, ["attributes.start_time ASC"], deleted=deleted)
    assert sorted(run.name for run in found) == names
    assert list(store.runs(["0"], question, limit=0)) == []


def test_other_questions_are_refused(store):
    with pytest.raises(MlflowError, match="no server that could search"):
        store.runs(["0"], "metrics.acc > 0.5")


def test_a_store_of_2019_that_is_committed_in_a_repository(bundle, tmp_path):
    subprocess.run(
        ["git", "clone", "-q", "-b", "mlflow", str(bundle("mlops-titanic")), str(tmp_path / "w")], check=True
    )
    runs = list(FileStore(LocalTree(tmp_path / "w/mlruns"), "old").runs(["0"]))
    assert len(runs) == 4
    assert runs[0].tags["mlflow.source.git.commit"] == "2bf9990f38ec873f47d6697a758ebc92d5ebaa48"
    assert runs[0].metrics == {"dt.acc": 89.56, "lr.acc": 80.13, "svm.acc": 83.28}


@pytest.fixture
def hostile(tmp_path):
    """A store with one good run, beside what should be none."""

    def put(path, content):
        place = tmp_path / "mlruns" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    put("0/meta.yaml", "experiment_id: 0\nname: e\nlifecycle_stage: active\n")
    put("0/good/meta.yaml", "run_id: good\nexperiment_id: 0\nstatus: 3\nstart_time: 1500000000000\n")
    put("0/good/metrics/m", b"nonsense\n1 \xff 2\n1 0.5\n1 1e999 1\n")
    put("0/good/params/p", b"caf\xe9")
    put("0/good/params/long", b"x" * 70_000)
    put("0/good/tags/deep/er/and/deep/er/and/deeper/t", "v")
    put("0/good/inputs/i/meta.yaml", "source_type: DATASET\nsource_id: ../../../../etc\n")
    put(
        "0/bomb/meta.yaml",
        "a: &a [x, x]\n"
        + "".join(
            f"{n}: &{n} [*{p}, *{p}]\n"
            for p, n in zip("abcdefghijklmnopqrstuvwxy", "bcdefghijklmnopqrstuvwxyz", strict=True)
        ),
    )
    put("0/code/meta.yaml", "run_id: !!python/object/apply:os.system ['true']\n")
    put("0/text/meta.yaml", "just text")
    put("0/empty/meta.yaml", "")
    (tmp_path / "mlruns/0/good/params/etc").symlink_to("/etc")
    (tmp_path / "mlruns/0/good/params/passwd").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "mlruns/0/good/params/pipe")
    return FileStore(LocalTree(tmp_path / "mlruns"), "files")


def test_what_is_hostile_or_broken_is_left_out_and_named(hostile):
    [run] = hostile.runs(["0"])
    assert (run.run_id, run.status, run.metrics) == ("good", "FINISHED", {"m": "Infinity"})
    assert run.params == {"p": "caf\ufffd", "long": ""}
    assert (run.tags, run.inputs) == ({}, ())
    told = "\n".join(hostile.problems)
    for name in ("bomb", "code", "text"):
        assert f"MLflow file store files: 0/{name}/meta.yaml" in told


def test_no_store_is_said(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        health = FileStore(LocalTree(folder), "files").health()
        assert health.status == "unavailable"
        assert str(Path(folder)) not in health.detail
