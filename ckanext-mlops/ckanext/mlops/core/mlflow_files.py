"""Reading an MLflow file store (``mlruns/``): a folder of this machine, or one that is committed in a repository.

The same records as from a server, through the same parsers: :class:`FileStore` has the methods of
:class:`.mlflow.MlflowClient`. It reads MLflow's layout of every version since 0.x; a value is a file of its own:

    <experiment>/meta.yaml, tags/<key>, datasets/<hash>/meta.yaml
    <experiment>/<run>/meta.yaml, {params,tags,metrics}/<key>, {inputs,outputs}/<hash>/meta.yaml
    <experiment>/models/<logged model>/meta.yaml, {params,tags,metrics}/<key>
    models/<name>/meta.yaml, tags/<key>, aliases/<alias>, version-<n>/{meta.yaml,tags/<key>}
    .trash/<experiment>/…

Everything in it is untrusted. A run or model that cannot be read is left out, and is in :attr:`FileStore.problems`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

from .errors import ContentError, MlflowError
from .mlflow import Health
from .mlflow_records import (
    Experiment,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    Run,
    clean_text,
    parse_experiment,
    parse_logged_model,
    parse_model_version,
    parse_registered_model,
    parse_run,
)
from .safe_yaml import load

T = TypeVar("T")

_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODEL_STATUS = {1: "PENDING", 2: "READY", 3: "FAILED"}
_TRASH, _REGISTRY = ".trash", "models"
_MAX_META, _MAX_VALUE, _MAX_METRIC = 20 * 1024**2, 64 * 1024, 8 * 1024**2
_MAX_KEYS, _MAX_DEPTH, _MAX_PROBLEMS = 5_000, 5, 1_000
_QUESTION = re.compile(r"attributes\.(\w+)\s+(>=|>|=|!=|IN)\s+(\d+|'[^']*'|\([^()]*\))", re.IGNORECASE)


class Tree(Protocol):
    """The files of a store. Paths are POSIX, relative to ``mlruns``; what does not exist is empty or None."""

    def folders(self, path: str) -> Sequence[str]:
        """Names of the folders in a folder, ``""`` being the store itself."""

    def files(self, path: str) -> Sequence[str]:
        """Names of the files in a folder."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Content of a file; None when there is none, or it is larger than ``limit``."""


class FileStore:
    """Reads one store.

    :param name: what the portal calls it
    :ivar problems: what could not be read, sentences for people
    """

    def __init__(self, tree: Tree, name: str) -> None:
        self.tree, self.name = tree, name
        self.problems: list[str] = []

    def health(self) -> Health:
        """Whether there is a store; never raises."""
        try:
            if self.tree.folders(""):
                return Health(self.name, "ok")
            detail = f"MLflow file store {self.name}: there is no experiment in it; check the option folder or path."
        except MlflowError as error:
            detail = str(error)
        except OSError:
            detail = (
                f"MLflow file store {self.name}: the folder cannot be read; check the option folder and its rights."
            )
        return Health(self.name, "unavailable", detail=detail)

    def experiment(self, experiment_id: str) -> Experiment | None:
        """The experiment, also a deleted one; None when there is none."""
        return next((item for item in self.experiments(deleted=True) if item.experiment_id == experiment_id), None)

    def experiment_by_name(self, name: str) -> Experiment | None:
        """The experiment of that exact name, also a deleted one; None when there is none."""
        return next((item for item in self.experiments(deleted=True) if item.name == name), None)

    def experiments(self, *, deleted: bool = False) -> Iterator[Experiment]:
        """All experiments; ``deleted`` adds the deleted ones."""
        for path in self._experiment_folders():
            meta = self._meta(path)
            if meta is None:
                continue
            meta["lifecycle_stage"] = "deleted" if path.startswith(_TRASH) else meta.get("lifecycle_stage")
            found = self._parsed(path, parse_experiment, {**meta, "tags": self._pairs(f"{path}/tags")})
            if found and (deleted or not found.deleted):
                yield found

    def run(self, run_id: str) -> Run | None:
        """The run, also a deleted one; None when there is none."""
        if re.fullmatch(r"[0-9A-Za-z_-]{1,100}", run_id):
            for folder in self._experiment_folders():
                if (meta := self._meta(f"{folder}/{run_id}")) is not None:
                    return self._run(folder, f"{folder}/{run_id}", meta)
        return None

    def runs(
        self,
        experiment_ids: Sequence[str],
        filter: str = "",  # noqa: A002 - MLflow's own name
        order_by: Sequence[str] = (),
        limit: int | None = None,
        *,
        deleted: bool | Literal["only"] = False,
    ) -> Iterator[Run]:
        """Runs of the experiments, newest first, or by start time where ``order_by`` says so.

        :param filter: comparisons of ``attributes`` joined by AND; there is no server that would understand more
        :raises MlflowError: the filter asks for something else
        """
        asked, wanted = _questions(self.name, filter), set(experiment_ids)
        found: list[tuple[int, str, str]] = []
        for folder in self._experiment_folders():
            experiment = self._meta(folder) or {}
            if str(experiment.get("experiment_id", posixpath.basename(folder))) not in wanted:
                continue
            for name in self.tree.folders(folder):
                meta = self._meta(f"{folder}/{name}") if name not in ("datasets", "models", "tags", "traces") else None
                if not meta or not (meta.get("run_id") or meta.get("run_uuid")):
                    continue
                gone = meta.get("lifecycle_stage") == "deleted"
                if gone == (deleted == "only") or (gone and deleted):
                    info = _info(meta)
                    if all(question(info) for question in asked):
                        found.append((_number(meta.get("start_time")), folder, name))
        ascending = any(re.fullmatch(r"(attributes\.)?start_time( asc)?", each, re.IGNORECASE) for each in order_by)
        found.sort(reverse=not ascending)
        read = (
            self._run(folder, f"{folder}/{name}", self._meta(f"{folder}/{name}") or {}) for _, folder, name in found
        )
        return islice((run for run in read if run), limit)

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All names in the model registry."""
        for name in self.tree.folders(_REGISTRY):
            path = f"{_REGISTRY}/{name}"
            if (meta := self._meta(path)) is None:
                continue
            aliases = [
                {"alias": alias, "version": self._text(f"{path}/aliases/{alias}").strip()}
                for alias in self.tree.files(f"{path}/aliases")[:_MAX_KEYS]
            ]
            message = {**meta, "tags": self._pairs(f"{path}/tags"), "aliases": aliases}
            if found := self._parsed(path, parse_registered_model, message):
                yield found

    def model_versions(self) -> Iterator[ModelVersion]:
        """All versions in the model registry."""
        for name in self.tree.folders(_REGISTRY):
            for folder in self.tree.folders(f"{_REGISTRY}/{name}"):
                path = f"{_REGISTRY}/{name}/{folder}"
                meta = self._meta(path) if folder.startswith("version-") else None
                # MLflow moves a deleted version to this stage, and keeps its files.
                if meta is None or meta.get("current_stage") == "Deleted_Internal":
                    continue
                if found := self._parsed(path, parse_model_version, {**meta, "tags": self._pairs(f"{path}/tags")}):
                    yield found

    def logged_models(
        self,
        experiment_ids: Sequence[str],
        filter: str = "",  # noqa: A002 - MLflow's own name
    ) -> Iterator[LoggedModel]:
        """Models that runs of the experiments logged; all of them, whatever the filter."""
        for folder in self._experiment_folders():
            experiment = self._meta(folder) or {}
            if str(experiment.get("experiment_id", posixpath.basename(folder))) not in experiment_ids:
                continue
            for name in self.tree.folders(f"{folder}/models"):
                path = f"{folder}/models/{name}"
                if (meta := self._meta(path)) is None or meta.get("lifecycle_stage") == "deleted":
                    continue
                status = meta.get("status")
                info = meta | {
                    "status": _MODEL_STATUS.get(status, status) if isinstance(status, int) else status,
                    "creation_timestamp_ms": meta.get("creation_timestamp"),
                    "last_updated_timestamp_ms": meta.get("last_updated_timestamp"),
                    "tags": self._pairs(f"{path}/tags"),
                }
                data = {"params": self._pairs(f"{path}/params"), "metrics": self._metrics(f"{path}/metrics")}
                if found := self._parsed(path, parse_logged_model, {"info": info, "data": data}):
                    yield found

    def _experiment_folders(self) -> Iterator[str]:
        yield from (name for name in self.tree.folders("") if name not in (_TRASH, _REGISTRY))
        yield from (f"{_TRASH}/{name}" for name in self.tree.folders(_TRASH))

    def _run(self, experiment: str, path: str, meta: dict[str, Any]) -> Run | None:
        info = _info(meta)
        data = {
            "params": self._pairs(f"{path}/params"),
            "tags": self._pairs(f"{path}/tags"),
            "metrics": self._metrics(f"{path}/metrics"),
        }
        # A name that was given before MLflow 2 is in the field "name".
        info["run_name"] = info.get("run_name") or info.get("name")
        inputs, outputs = [], []
        for name in self.tree.folders(f"{path}/inputs")[:_MAX_KEYS]:
            link = self._meta(f"{path}/inputs/{name}") or {}
            if link.get("source_type") != "DATASET" or not _is_name(link.get("source_id")):
                continue
            dataset = self._meta(f"{experiment}/datasets/{link['source_id']}")
            if dataset:
                tags = link.get("tags")
                inputs.append({"dataset": dataset, "tags": _listed(tags if isinstance(tags, dict) else {})})
        for name in self.tree.folders(f"{path}/outputs")[:_MAX_KEYS]:
            link = self._meta(f"{path}/outputs/{name}") or {}
            if link.get("destination_type") == "MODEL_OUTPUT":
                outputs.append({"model_id": link.get("destination_id")})
        message = {
            "info": info,
            "data": data,
            "inputs": {"dataset_inputs": inputs},
            "outputs": {"model_outputs": outputs},
        }
        return self._parsed(path, parse_run, message)

    def _meta(self, path: str) -> dict[str, Any] | None:
        place = f"{path}/meta.yaml"
        data = self.tree.read(place, _MAX_META)
        if data is None:
            return None
        try:
            found = load(data.decode("utf-8", "replace"))
        except ContentError as error:
            self._problem(place, str(error))
            return None
        if not isinstance(found, dict):
            self._problem(place, "it holds no fields")
            return None
        return dict(found)

    def _pairs(self, path: str) -> list[dict[str, str]]:
        return [{"key": key, "value": self._text(f"{path}/{key}")} for key in islice(self._keys(path), _MAX_KEYS)]

    def _metrics(self, path: str) -> list[dict[str, Any]]:
        found = []
        for key in islice(self._keys(path), _MAX_KEYS):
            values = [
                value
                for line in self._text(f"{path}/{key}", _MAX_METRIC).splitlines()
                if (value := _metric_line(line.split())) is not None
            ]
            if values:
                # The last is that of the highest step, as in MLflow, and not the one that was written last.
                *_, text, more = max(values, key=lambda value: value[:3])
                found.append({"key": key, "value": text, **more})
        return found

    def _keys(self, path: str, depth: int = 0) -> Iterator[str]:
        """Names of values; a key with slashes is a path of folders."""
        yield from self.tree.files(path)
        if depth < _MAX_DEPTH:
            for folder in self.tree.folders(path):
                yield from (f"{folder}/{key}" for key in self._keys(f"{path}/{folder}", depth + 1))

    def _text(self, path: str, limit: int = _MAX_VALUE) -> str:
        data = self.tree.read(path, limit)
        return "" if data is None else data.decode("utf-8", "replace")

    def _parsed(self, path: str, parse: Callable[[Any], T], message: Any) -> T | None:
        try:
            return parse(message)
        except (ValueError, TypeError, AttributeError) as error:
            self._problem(path, f"it is not what MLflow writes ({error})")
            return None

    def _problem(self, path: str, what: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(f"MLflow file store {self.name}: {clean_text(path, 200)}: {clean_text(what, 300)}.")


def _info(meta: Mapping[str, Any]) -> dict[str, Any]:
    status = meta.get("status")
    return {
        **meta,
        "run_id": meta.get("run_id") or meta.get("run_uuid"),
        "status": _STATUS.get(status, "") if isinstance(status, int) else status or "RUNNING",
    }


def _questions(name: str, text: str) -> list[Callable[[Mapping[str, Any]], bool]]:
    asked = []
    for part in re.split(r"\s+AND\s+", text.strip(), flags=re.IGNORECASE) if text.strip() else ():
        found = _QUESTION.fullmatch(part.strip())
        if not found:
            raise MlflowError(
                f"MLflow file store {name}: it has no server that could search; only attributes can be compared, "
                f"as in \"attributes.status = 'FINISHED'\"."
            )
        asked.append(_question(*found.groups()))
    return asked


def _question(field: str, operator: str, value: str) -> Callable[[Mapping[str, Any]], bool]:
    if operator.upper() == "IN":
        among = set(re.findall(r"'([^']*)'", value))
        return lambda info: str(info.get(field) or "") in among
    if operator in (">", ">="):
        bound = _number(value.strip("'")) + (operator == ">")
        return lambda info: _number(info.get(field)) >= bound
    return lambda info: (str(info.get(field) or "") == value.strip("'")) == (operator == "=")


def _metric_line(words: list[str]) -> tuple[int, int, float, str, dict[str, str]] | None:
    """Step, time, value to compare, the value as it stands, and what more there is: run and dataset."""
    try:
        number = float(words[1])
        step = int(words[2]) if len(words) > 2 else 0
        # NaN compares with nothing; MLflow takes it for the smallest.
        more = {}
        if len(words) in (4, 6):
            more["run_id"] = words[3]
        if len(words) in (5, 6):
            more |= {"dataset_name": words[-2], "dataset_digest": words[-1]}
        return step, int(float(words[0])), number if number == number else float("-inf"), words[1], more
    except (ValueError, IndexError, OverflowError):
        return None


def _listed(tags: Mapping[Any, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9A-Za-z_-]{1,100}", value) is not None


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
