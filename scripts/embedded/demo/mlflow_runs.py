"""The demo's runs on the MLflow server: find them, and take back those of a build that was broken off.

Plain REST, because importing MLflow takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
import requests.auth

from embedded.demo.workspace import DemoError

EXPERIMENT = "titanic"
MODEL = "titanic-survival"
BUILD_TAG = "mlops.demo.build"
_API = "api/2.0/mlflow"


@dataclass(frozen=True, slots=True)
class Run:
    """A training that was logged.

    :param commit: Git commit that MLflow noted, HEAD when the training started
    :param digests: DVC hash of each input, by the input's context (``training``, ``evaluation``)
    """

    run_id: str
    name: str
    commit: str
    digests: dict[str, str]


class _Bearer(requests.auth.AuthBase):
    # As an auth object, because a header would give way to what ~/.netrc says.
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class MlflowServer:
    """An MLflow tracking server.

    :param url: its base URL
    :param credentials: ``MLFLOW_TRACKING_USERNAME`` and ``_PASSWORD``, or ``MLFLOW_TRACKING_TOKEN``, if it asks for
        them
    :param timeout: seconds for one answer
    """

    def __init__(self, url: str, credentials: Mapping[str, str] | None = None, timeout: float = 30) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._session = requests.Session()
        given = credentials or {}
        if token := given.get("MLFLOW_TRACKING_TOKEN"):
            self._session.auth = _Bearer(token)
        elif user := given.get("MLFLOW_TRACKING_USERNAME"):
            self._session.auth = (user, given.get("MLFLOW_TRACKING_PASSWORD", ""))

    def prepare_experiment(self) -> str:
        """Make sure that the experiment can be logged to and return its id; a deleted one is restored."""
        found = self._call("GET", "experiments/get-by-name", {"experiment_name": EXPERIMENT}, absent=404)
        if found is None:
            return str(self._call("POST", "experiments/create", {"name": EXPERIMENT})["experiment_id"])
        experiment = found["experiment"]
        if experiment["lifecycle_stage"] == "deleted":
            self._call("POST", "experiments/restore", {"experiment_id": experiment["experiment_id"]})
        return str(experiment["experiment_id"])

    def runs(self, experiment: str, build: str) -> list[Run]:
        """The runs of one build, oldest first."""
        answer = self._call(
            "POST",
            "runs/search",
            {
                "experiment_ids": [experiment],
                "filter": f"tags.`{BUILD_TAG}` = '{build}'",
                "order_by": ["attributes.start_time ASC"],
                "max_results": 1000,
            },
        )
        return [_run(item) for item in answer.get("runs", [])]

    def register(self, run_ids: Sequence[str], aliases: Mapping[str, str]) -> None:
        """Make the model of each run a version of the registered model :data:`MODEL`.

        :param aliases: run id by alias
        """
        search = {"filter": f"name = '{MODEL}'", "max_results": 1}
        if not self._call("GET", "registered-models/search", search).get("registered_models"):
            said = "Who survived the Titanic? A version for each training of the demo."
            self._call("POST", "registered-models/create", {"name": MODEL, "description": said})
        versions = {}
        for run_id in run_ids:
            outputs = self._call("GET", "runs/get", {"run_id": run_id})["run"]["outputs"]
            model_id = outputs["model_outputs"][0]["model_id"]
            source = self._call("GET", f"logged-models/{model_id}", {})["model"]["info"]["artifact_uri"]
            asked = {"name": MODEL, "source": source, "run_id": run_id, "model_id": model_id}
            versions[run_id] = self._call("POST", "model-versions/create", asked)["model_version"]["version"]
        for alias, run_id in aliases.items():
            asked = {"name": MODEL, "alias": alias, "version": versions[run_id]}
            self._call("POST", "registered-models/alias", asked)

    def delete_runs(self, experiment: str, build: str) -> int:
        """Delete the runs of one build, and what was registered of them; return how many runs there were."""
        runs = self.runs(experiment, build)
        for run in runs:
            found = self._call("GET", "model-versions/search", {"filter": f"run_id = '{run.run_id}'"})
            for each in found.get("model_versions", []):
                asked = {"name": each["name"], "version": each["version"]}
                self._call("DELETE", "model-versions/delete", asked)
            self._call("POST", "runs/delete", {"run_id": run.run_id})
        return len(runs)

    def _call(self, method: str, path: str, data: dict[str, Any], absent: int = 0) -> Any:
        url = f"{self.url}/{_API}/{path}"
        try:
            if method == "GET":
                answer = self._session.get(url, params=data, timeout=self.timeout)
            else:
                answer = self._session.request(method, url, json=data, timeout=self.timeout)
        except requests.RequestException as error:
            raise DemoError(f"The MLflow server at {self.url} does not answer ({error}). Is it running?") from error
        if absent and answer.status_code == absent:
            return None
        if not answer.ok:
            raise DemoError(
                f"The MLflow server at {self.url} refused {path} ({answer.status_code}): {answer.text[:500]}"
            )
        return answer.json()


def _run(item: dict[str, Any]) -> Run:
    tags = {tag["key"]: tag["value"] for tag in item["data"].get("tags", [])}
    digests = {}
    for entry in item.get("inputs", {}).get("dataset_inputs", []):
        for tag in entry.get("tags", []):
            if tag["key"] == "mlflow.data.context":
                digests[tag["value"]] = entry["dataset"]["digest"]
    return Run(item["info"]["run_id"], item["info"]["run_name"], tags.get("mlflow.source.git.commit", ""), digests)
