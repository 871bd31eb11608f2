"""The history of the Titanic project, from its first commit to the branch ``tensorflow``.

It tells how a project of 2019 grew: DVC 0.x stage files and a leak that made the first model look too good (tag
``wrong-baseline``), the honest model (tag ``baseline``), the move to DVC 3, better features, and a neural network on
the branch ``tensorflow``. Code is committed before it is run, so that the commit which MLflow notes holds the code that
ran; the results follow in a commit of their own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from embedded.demo import legacy
from embedded.demo.legacy import LegacyStage
from embedded.demo.workspace import DemoError, Workspace

FILES = Path(__file__).with_name("project_files")
FETCH = LegacyStage(
    file="dvc/01-fetch-data.dvc",
    cmd="python fetch.py https://www.openml.org/d/40945",
    wdir="code",
    deps=("code/fetch.py", "source/titanic.csv"),
    outs=("data/gender_submission.csv", "data/test.csv", "data/train.csv"),
)
PREPARE = LegacyStage(
    file="dvc/02-prepare-data.dvc",
    cmd="python prepare.py",
    wdir="code",
    deps=("data/train.csv", "data/test.csv", "code/prepare.py"),
    outs=("data/train_prepared.csv", "data/test_prepared.csv"),
)
TRAIN = LegacyStage(
    file="Dvcfile",
    cmd="python train.py",
    wdir="code",
    deps=("code/scores.py", "code/train.py", "data/train_prepared.csv", "data/test_prepared.csv"),
    outs=("models/model.pkl", "data/metrics.json"),
    metric="data/metrics.json",
)
NEURAL_NETWORK = """\
  model: neural_network
  neural_network:
    hidden_layer_sizes: [16, 8]
    solver: lbfgs
    alpha: 10
    max_iter: 1000
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one training left in the repository.

    :param code: commit of the code that ran, as MLflow notes it
    :param commit: commit of the results
    :param revision: tag or branch that shows the results
    :param train: DVC address of the training stage at ``revision``
    :param prepare: DVC address of the stage that made its input
    """

    code: str
    commit: str
    revision: str
    train: str
    prepare: str


def tell(space: Workspace, tracking: Mapping[str, str], console: Console) -> list[Result]:
    """Make every commit, run every step, push Git and DVC; the folders must not exist.

    :param tracking: variables that lead the trainings to MLflow
    :returns: one result per training, oldest first
    """
    _init(space)
    return [*_old_times(space, tracking, console), *_new_times(space, tracking, console)]


def _init(space: Workspace) -> None:
    for folder in (space.work, space.remote, space.settings):
        folder.mkdir(parents=True)
    (space.settings / "config").write_text("[core]\nanalytics = false\ncheck_update = false\n")
    space.git("init", "--quiet", "--initial-branch", "main")
    space.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", space.bare)
    space.git("remote", "add", "origin", space.bare.as_uri())
    dvc = space.work / ".dvc"
    dvc.mkdir()
    # Absolute, so that 'dvc get' and a clone anywhere on this machine find the data.
    (dvc / "config").write_text(legacy.CONFIG.format(url=space.remote))
    (dvc / ".gitignore").write_text(legacy.IGNORED)


def _old_times(space: Workspace, tracking: Mapping[str, str], console: Console) -> Iterator[Result]:
    def run(stage: LegacyStage) -> None:
        space.shell(stage.cmd, space.work / stage.wdir, tracking)
        legacy.record(stage, space.work, space.remote)

    def result(code: str, commit: str, revision: str) -> Result:
        return Result(code, commit, revision, TRAIN.file, PREPARE.file)

    with _step(console, "DVC 0.x: fetch and prepare the data"):
        _copy(space, "common/source", "common/code/fetch.py", "legacy/README.md")
        space.commit("Start the project with the list of passengers.")
        run(FETCH)
        space.commit("Fetch the data.")
        _copy(space, "legacy/code/prepare.py")
        run(PREPARE)
        space.commit("Prepare the data.")
    with _step(console, "DVC 0.x: train a first model, tag wrong-baseline"):
        _copy(space, "common/code", "legacy/code/train.py")
        code = space.commit("Add a first model and log its training to MLflow.")
        run(TRAIN)
        space.commit("Train the first model: 97 % right. Too good?")
        legacy.record(TRAIN.with_metric_in_git(), space.work, space.remote)
        commit = space.commit("Keep the metrics in Git, so that versions can be compared.")
        space.tag("wrong-baseline", "The lifeboat is among the features: the model knows who was saved.")
    yield result(code, commit, "wrong-baseline")
    with _step(console, "DVC 0.x: leave out what gives the answer away, tag baseline"):
        _edit(space, "code/prepare.py", ', "boat", "body"', "")
        code = space.commit("Leave out lifeboat and recovered body: they tell who survived.")
        run(PREPARE)
        run(TRAIN.with_metric_in_git())
        commit = space.commit("Prepare and train again without them.")
        space.tag("baseline", "The honest start: nothing in the features tells the answer.")
    yield result(code, commit, "baseline")


def _new_times(space: Workspace, tracking: Mapping[str, str], console: Console) -> Iterator[Result]:
    def reproduce(message: str) -> str:
        space.dvc("repro", "--quiet", env=tracking)
        space.dvc("push", "--quiet")
        return space.commit(message)

    with _step(console, "DVC 3: dvc.yaml, params.yaml, a random forest, tag random-forest"):
        space.git("rm", "--quiet", "-r", "dvc", "Dvcfile", "data/metrics.json")
        _copy(space, "modern")
        (space.work / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        code = space.commit("Move to DVC 3: dvc.yaml, params.yaml, a stage for the metrics, a random forest.")
        commit = reproduce("Results of the random forest.")
        space.tag("random-forest", "First results with DVC 3.")
    yield Result(code, commit, "random-forest", "train", "prepare")
    with _step(console, "DVC 3: better features, tag survival-model@v1.0.0"):
        _edit(space, "params.yaml", "family_size: false\n  title: false", "family_size: true\n  title: true")
        _edit(space, "params.yaml", "n_estimators: 50", "n_estimators: 200")
        code = space.commit("Use family size and title, and more trees.")
        commit = reproduce("Results with family size and title.")
        space.tag("survival-model@v1.0.0", "First model to be used.")
    yield Result(code, commit, "main", "train", "prepare")
    with _step(console, "Branch tensorflow: a neural network"):
        space.git("switch", "--quiet", "--create", "tensorflow")
        _copy(space, "tensorflow")
        _edit(space, "params.yaml", "  model: random_forest\n", NEURAL_NETWORK)
        code = space.commit("Try a neural network (scikit-learn's in place of TensorFlow's).")
        commit = reproduce("Results of the neural network.")
        space.git("switch", "--quiet", "main")
        space.dvc("checkout", "--quiet")
        space.git("push", "--quiet", "--tags", "--set-upstream", "origin", "main", "tensorflow")
    yield Result(code, commit, "tensorflow", "train", "prepare")


def _copy(space: Workspace, *sources: str) -> None:
    """Copy files or folders of ``project_files`` to where they belong: the first part of a path is not kept."""
    for source in sources:
        origin = FILES / source
        for path in [origin] if origin.is_file() else sorted(origin.rglob("*")):
            if path.is_dir() or "__pycache__" in path.parts:
                continue
            target = space.work.joinpath(*path.relative_to(FILES).parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _edit(space: Workspace, name: str, before: str, after: str) -> None:
    path = space.work / name
    text = path.read_text(encoding="utf-8")
    if text.count(before) != 1:
        raise DemoError(f"{path}: expected {before!r} once; the demo's files and its history do not fit together")
    path.write_text(text.replace(before, after), encoding="utf-8")


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(title):
        yield
    console.print(f"  [green]✓[/green] {title} [dim]{time.monotonic() - started:.1f} s[/dim]", highlight=False)
