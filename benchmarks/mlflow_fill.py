"""What ``mlflow_sync.py`` reads: an MLflow store that is filled, and a stand-in for a server with very many runs."""

from __future__ import annotations

import hashlib
import http.server
import json
import random
from typing import Any

EXPERIMENTS, VERSIONS, MODELS, VALUES = 5, 50, 10, 10
SCHEMA = '{"mlflow_colspec": [{"type": "double", "name": "x", "required": true}]}'


def fill(store: str, runs: int) -> None:
    """Write experiments, runs and models into an MLflow store, the same ones each time."""
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

    client, chance, begin = MlflowClient(store, store), random.Random(7), 1_760_000_000_000  # noqa: S311 - repeatable
    made = []
    for experiment in range(EXPERIMENTS):
        experiment_id = client.create_experiment(f"experiment {experiment}", tags={"team": f"team {experiment % 3}"})
        for number in range(runs // EXPERIMENTS):
            start = begin + 1000 * len(made)
            tags = {
                "mlflow.source.git.commit": digest("commit", len(made) % 60),
                "mlflow.source.git.repoURL": f"https://git.example.org/team/project{experiment}.git",
                "mlflow.source.name": "src/train.py",
                "mlflow.user": f"user{len(made) % 7}",
                "note": f"Lauf {len(made)}: ünïcode",
            }
            run = client.create_run(experiment_id, start_time=start, run_name=f"run {number}", tags=tags)
            client.log_batch(
                run.info.run_id,
                [Metric(f"metric{each}", chance.random(), start, step) for each in range(VALUES) for step in (0, 1)],
                [Param(f"param{each}", f"{chance.random():.6f}") for each in range(VALUES)],
                [RunTag("logged", "batch")],
            )
            inputs = []
            for place in range(1 + len(made) % 2):
                data = chance.randrange(40)
                source = json.dumps({"uri": f"data/set{data}.csv"})
                dataset = Dataset(
                    f"set{data}", digest("data", data)[:32], "local", source, SCHEMA, '{"num_rows": 1000}'
                )
                context = "training" if place == 0 else "evaluation"
                inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
            client.log_inputs(run.info.run_id, datasets=inputs)
            client.set_terminated(run.info.run_id, "FAILED" if len(made) % 17 == 0 else "FINISHED", start + 900)
            made.append(run.info)
    for number in range(MODELS):
        client.create_registered_model(f"model {number}", tags={"domain": f"domain {number % 3}"})
    for number in range(VERSIONS):
        run_info = made[(number * 13) % len(made)]
        version = client.create_model_version(
            f"model {number % MODELS}", f"{run_info.artifact_uri}/model", run_info.run_id, {"rank": str(number)}
        )
        if number % 5 == 0:
            client.set_registered_model_alias(version.name, "champion", version.version)


class StandIn(http.server.BaseHTTPRequestHandler):
    """Answers as an MLflow server with ``runs`` runs in one experiment would; pages are made as they are asked for."""

    protocol_version = "HTTP/1.1"
    runs = 0

    def do_POST(self) -> None:
        """A search."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer: dict[str, Any] = {}
        if self.path.endswith("experiments/search"):
            answer = {"experiments": [{"experiment_id": "1", "name": "large", "lifecycle_stage": "active"}]}
        elif self.path.endswith("runs/search") and not asked.get("filter") and asked["run_view_type"] == "ALL":
            first = int(asked.get("page_token") or 0)
            last = min(self.runs, first + asked["max_results"])
            answer = {"runs": [self._run(number) for number in range(first, last)]}
            if last < self.runs:
                answer["next_page_token"] = str(last)
        self._reply(answer)

    def do_GET(self) -> None:
        """An empty registry."""
        self._reply({})

    def _reply(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _run(self, number: int) -> dict[str, Any]:
        start = 1_500_000_000_000 + number * 1000
        info = {"run_id": digest("run", number)[:32], "experiment_id": "1", "run_name": f"run {number}"}
        info |= {"status": "FINISHED", "start_time": start, "end_time": start + 900, "lifecycle_stage": "active"}
        dataset = {"name": "train", "digest": digest("data", number % 40)[:32], "source": '{"uri": "data/train.csv"}'}
        return {
            "info": info,
            "data": {
                "params": [{"key": f"param{each}", "value": str(number + each)} for each in range(VALUES)],
                "metrics": [{"key": f"metric{each}", "value": number / (each + 1)} for each in range(VALUES)],
                "tags": [{"key": "mlflow.source.git.commit", "value": digest("commit", number % 60)}],
            },
            "inputs": {"dataset_inputs": [{"dataset": dataset, "tags": []}]},
        }

    def log_message(self, *_: object) -> None:
        """Quiet."""


def digest(*parts: object) -> str:
    """A repeatable hash in hex digits."""
    return hashlib.sha1("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
