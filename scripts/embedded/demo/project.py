"""Build the Titanic project: Git history, DVC remote and MLflow runs, every one of them real.

``history.py`` tells the story; here is what makes it repeatable: a finished project is found again and never touched,
a half-built one is taken away, in the folder and in MLflow, and built anew.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from embedded.demo.history import Result, tell
from embedded.demo.mlflow_runs import BUILD_TAG, EXPERIMENT, MODEL, MlflowServer, Run
from embedded.demo.workspace import Clock, DemoError, Workspace, now

#: Alias in MLflow's registry → branch or tag whose training has it.
ALIASES = {"champion": "main", "challenger": "tensorflow"}


@dataclass(frozen=True, slots=True)
class Training:
    """A run, and where its results are in the repository."""

    run: Run
    result: Result


@dataclass(frozen=True, slots=True)
class Project:
    """The finished project.

    :param folder: holds ``titanic``, ``titanic.git`` and ``dvc-remote``
    :param url: ``file://`` URL of the bare repository, to be harvested and cloned
    :param experiment: name of its experiment in MLflow
    :param trainings: oldest first
    :param built: False when an earlier call built it
    """

    folder: Path
    url: str
    experiment: str
    experiment_id: str
    trainings: tuple[Training, ...]
    built: bool


def build_project(
    folder: Path,
    *,
    mlflow_uri: str,
    python: Path,
    console: Console,
    mlflow_credentials: Mapping[str, str] | None = None,
    portal_url: str = "",
    clock: Clock = now,
) -> Project:
    """Build the project in ``folder``, or find the one that is there already.

    :param folder: gets ``titanic`` (work tree), ``titanic.git`` (bare origin) and ``dvc-remote``
    :param mlflow_uri: base URL of the MLflow tracking server
    :param python: interpreter that has dvc, scikit-learn and MLflow
    :param mlflow_credentials: variables such as ``MLFLOW_TRACKING_TOKEN``, for a server that asks for them
    :param portal_url: the portal as people reach it, so that runs lead to the pages of their data
    :param clock: says when a commit is made
    :raises DemoError: a command failed, the server did not answer, or the folder holds something else
    """
    space = Workspace(folder, python, clock)
    state_file = space.folder / "demo.json"
    with space.locked():
        state = _read_state(state_file)
        if state.get("finished") and (space.bare / "HEAD").is_file():
            return _project(space, state, built=False)
        server = MlflowServer(mlflow_uri, mlflow_credentials)
        experiment_id = server.prepare_experiment()
        _clear(space, server, state, console)
        state = {"finished": False, "build": uuid.uuid4().hex, "mlflow": server.url, "experiment_id": experiment_id}
        _write_state(state_file, state)
        tracking = {
            **(mlflow_credentials or {}),
            "MLFLOW_TRACKING_URI": server.url,
            **({"CKAN_URL": portal_url} if portal_url else {}),
            "MLFLOW_RUN_CONTEXT": json.dumps({BUILD_TAG: state["build"]}),
        }
        results = tell(space, tracking, console)
        runs = {run.commit: run for run in server.runs(experiment_id, state["build"])}
        missing = [result.code for result in results if result.code not in runs]
        if missing:
            raise DemoError(f"MLflow at {server.url} has no run of commit {missing[0]}; see the server's log.")
        trainings = [Training(runs[result.code], result) for result in results]
        of = {result.revision: runs[result.code].run_id for result in results}
        server.register([runs[result.code].run_id for result in results], {at: of[to] for at, to in ALIASES.items()})
        console.print(f"  [green]✓[/green] Registered as versions of the model {MODEL}", highlight=False)
        state = {**state, "finished": True, "trainings": [asdict(training) for training in trainings]}
        _write_state(state_file, state)
        return _project(space, state, built=True)


def _project(space: Workspace, state: dict[str, Any], *, built: bool) -> Project:
    trainings = tuple(Training(Run(**item["run"]), Result(**item["result"])) for item in state["trainings"])
    return Project(space.folder, space.bare.as_uri(), EXPERIMENT, state["experiment_id"], trainings, built)


def _clear(space: Workspace, server: MlflowServer, state: dict[str, Any], console: Console) -> None:
    left = [path for path in (space.work, space.bare, space.remote, space.settings) if path.exists()]
    if left and not state:
        raise DemoError(f"{left[0]} is there, but not made by this demo. Move it away, or choose another folder.")
    if left:
        console.print(f"  [yellow]An earlier build in {space.folder} was broken off; starting it again[/yellow]")
    for path in left:
        shutil.rmtree(path)
    if state and state["mlflow"] == server.url:
        server.delete_runs(state["experiment_id"], state["build"])


def _read_state(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        remedy = f"Delete the folder {path.parent} and run the demo again."
        raise DemoError(f"{path} is damaged ({error}). {remedy}") from error


def _write_state(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
