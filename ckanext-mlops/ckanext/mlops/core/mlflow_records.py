"""What an MLflow server knows, as frozen records: experiments, runs, dataset inputs, models.

Times are ISO 8601 in UTC to the second. Everything is untrusted text of bounded length; user info and queries of URLs
inside values are removed, since signed addresses and tokens end up in tags. The records work with
:func:`ckanext.mlops.core.records.to_dict` and ``from_dict``. The parsers take the JSON of MLflow's REST API
(``/api/2.0/mlflow``, MLflow 2 and 3) and raise ValueError on what is not that API.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

# MLflow's own limits are 500 characters (2.x) to 6,000 (params) and 8,000 (tags) per value.
_MAX_VALUE = 8_000
_MAX_ENTRIES = 5_000
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_USER_INFO = re.compile(r"(://)[^/\s@\"']{1,500}@")
_SIGNED = re.compile(
    r"[?&#][^\s\"']{0,200}?(?:signature|sig|token|credential|password|secret|key)=[^\s\"']*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment; ``deleted`` ones can be restored in MLflow. ``updated`` is ``""`` on servers that do not say."""

    experiment_id: str
    name: str
    deleted: bool = False
    created: str = ""
    updated: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run logged with ``mlflow.log_input``.

    :param digest: 8 characters that MLflow computed over the first rows (never proof of identity), or what the caller
        gave, such as a DVC hash
    :param uri: address or path in ``source``, without user info and query
    :param source: MLflow's source description
    :param context: ``training``, ``evaluation``, ... or ``""``
    """

    name: str
    digest: str = ""
    source_type: str = ""
    uri: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    context: str = ""
    rows: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A run with its last metric values.

    :param status: ``RUNNING``, ``SCHEDULED``, ``FINISHED``, ``FAILED`` or ``KILLED``
    :param metrics: numbers; what JSON cannot hold is the text ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``
    :param model_ids: logged models (MLflow 3) that it produced
    :param truncated: whether values were cut at 8,000 characters or left out after 5,000 entries of a kind
    """

    run_id: str
    experiment_id: str
    name: str = ""
    status: str = ""
    start: str = ""
    end: str = ""
    user: str = ""
    deleted: bool = False
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float | str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: tuple[DatasetInput, ...] = ()
    model_ids: tuple[str, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A name in the model registry. ``aliases`` maps alias to version number."""

    name: str
    description: str = ""
    created: str = ""
    updated: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a registered model. Its aliases are in :class:`RegisteredModel`: MLflow's search leaves them out.

    :param run_id: the run that made it, ``""`` when MLflow does not say
    :param model_id: the logged model (MLflow 3) that it was registered from, or ``""``
    :param source: where its files are; ``""`` for a path of the server's own disk
    :param stage: of MLflow's older stage scheme, ``""`` for none
    """

    name: str
    version: str
    run_id: str = ""
    model_id: str = ""
    source: str = ""
    status: str = ""
    stage: str = ""
    created: str = ""
    updated: str = ""
    user: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that a run logged (MLflow 3), registered or not.

    :param metrics: last values, each with the digest of the dataset input that it was measured on, or ``""``
    """

    model_id: str
    experiment_id: str
    name: str = ""
    run_id: str = ""
    status: str = ""
    created: str = ""
    updated: str = ""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: tuple[ModelMetric, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelMetric:
    """A metric of a logged model, and the dataset input that it was measured on, where MLflow says so."""

    name: str
    value: float | str
    dataset_name: str = ""
    dataset_digest: str = ""
    run_id: str = ""


def clean_text(value: Any, limit: int = _MAX_VALUE) -> str:
    """``value`` as text of at most ``limit`` characters, without NUL, user info of URLs and signed queries.

    Half surrogate pairs, which JSON can hold and UTF-8 cannot, become ``?``.
    """
    text = ("" if value is None else str(value))[: limit + 2000].replace("\0", "")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if "://" in text:
        text = _USER_INFO.sub(r"\1", text)
        text = _SIGNED.sub("", text)
    return text[:limit]


def iso_time(milliseconds: Any) -> str:
    """MLflow's milliseconds since 1970 (number or text) as ISO 8601, ``""`` for none or nonsense."""
    try:
        seconds = int(milliseconds) // 1000
        if seconds <= 0:
            return ""
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def metric_value(value: Any) -> float | str:
    """A number that JSON can hold, or the name of one that it cannot.

    >>> metric_value("NaN"), metric_value(1), metric_value(float("-inf"))
    ('NaN', 1.0, '-Infinity')
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return "NaN"
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return number


def parse_experiment(data: Any) -> Experiment:
    """An ``Experiment`` message."""
    found = _message(data, "experiment_id")
    return Experiment(
        experiment_id=clean_text(found["experiment_id"], 100),
        name=clean_text(found.get("name"), 1000),
        deleted=found.get("lifecycle_stage") == "deleted",
        created=iso_time(found.get("creation_time")),
        updated=iso_time(found.get("last_update_time")),
        tags=_pairs(found.get("tags")),
    )


def parse_run(data: Any) -> Run:
    """A ``Run`` message: ``info``, ``data``, ``inputs``, ``outputs``."""
    found = _message(data)
    info, values = _message(found.get("info"), "run_id"), _part(found, "data")
    params, tags = _items(values, "params"), _items(values, "tags")
    metrics = _items(values, "metrics")
    inputs, outputs = _items(_part(found, "inputs"), "dataset_inputs"), _items(_part(found, "outputs"), "model_outputs")
    cut = any(len(part) > _MAX_ENTRIES for part in (params, tags, metrics, inputs, outputs)) or any(
        len(str(item.get("value"))) > _MAX_VALUE for item in (*params, *tags)
    )
    all_tags = _pairs(tags)
    return Run(
        run_id=clean_text(info["run_id"], 100),
        experiment_id=clean_text(info.get("experiment_id"), 100),
        name=clean_text(info.get("run_name") or all_tags.get("mlflow.runName"), 1000),
        status=clean_text(info.get("status"), 50),
        start=iso_time(info.get("start_time")),
        end=iso_time(info.get("end_time")),
        user=clean_text(info.get("user_id") or all_tags.get("mlflow.user"), 200),
        deleted=info.get("lifecycle_stage") == "deleted",
        params=_pairs(params),
        metrics={
            clean_text(item["key"], 500): metric_value(item.get("value"))
            for item in metrics[:_MAX_ENTRIES]
            if "key" in item
        },
        tags=all_tags,
        inputs=tuple(parse_dataset_input(item) for item in inputs[:_MAX_ENTRIES]),
        model_ids=tuple(clean_text(item["model_id"], 100) for item in outputs[:_MAX_ENTRIES] if item.get("model_id")),
        truncated=cut,
    )


def parse_dataset_input(data: dict[str, Any]) -> DatasetInput:
    """A ``DatasetInput`` message: ``dataset`` and ``tags``."""
    dataset, tags = _part(data, "dataset"), _pairs(data.get("tags"))
    source, profile = _json_object(dataset.get("source")), _json_object(dataset.get("profile"))
    rows = profile.get("num_rows")
    return DatasetInput(
        name=clean_text(dataset.get("name"), 500),
        digest=clean_text(dataset.get("digest"), 100),
        source_type=clean_text(dataset.get("source_type"), 100),
        uri=_uri(next((source[key] for key in ("uri", "url", "path", "table_name") if source.get(key)), "")),
        source={clean_text(key, 200): _clean_json(value) for key, value in list(source.items())[:100]},
        context=tags.get("mlflow.data.context", ""),
        rows=rows if isinstance(rows, int) and not isinstance(rows, bool) and 0 <= rows < 2**63 else None,
        tags=tags,
    )


def parse_registered_model(data: Any) -> RegisteredModel:
    """A ``RegisteredModel`` message."""
    found = _message(data, "name")
    return RegisteredModel(
        name=clean_text(found["name"], 1000),
        description=clean_text(found.get("description")),
        created=iso_time(found.get("creation_timestamp")),
        updated=iso_time(found.get("last_updated_timestamp")),
        tags=_pairs(found.get("tags")),
        aliases={
            clean_text(item["alias"], 500): clean_text(item.get("version"), 50)
            for item in _items(found, "aliases")[:_MAX_ENTRIES]
            if "alias" in item
        },
    )


def parse_model_version(data: Any) -> ModelVersion:
    """A ``ModelVersion`` message."""
    found = _message(data, "name", "version")
    source = _uri(found.get("source"))
    logged = re.fullmatch(r"models:/(m-[0-9A-Za-z-]{1,80})", source)
    of_run = re.match(r"runs:/([0-9A-Za-z_-]{1,100})(?:/|$)", source)
    stage = clean_text(found.get("current_stage"), 50)
    return ModelVersion(
        name=clean_text(found["name"], 1000),
        version=clean_text(found["version"], 50),
        run_id=clean_text(found.get("run_id"), 100) or (of_run[1] if of_run else ""),
        model_id=clean_text(found.get("model_id"), 100) or (logged[1] if logged else ""),
        # A path of the server's own disk is nobody's business.
        source="" if source.startswith("file:") or not _SCHEME.match(source) else source,
        status=clean_text(found.get("status"), 50),
        stage="" if stage == "None" else stage,
        created=iso_time(found.get("creation_timestamp")),
        updated=iso_time(found.get("last_updated_timestamp")),
        user=clean_text(found.get("user_id"), 200),
        description=clean_text(found.get("description")),
        tags=_pairs(found.get("tags")),
    )


def parse_logged_model(data: Any) -> LoggedModel:
    """A ``LoggedModel`` message: ``info`` and ``data``."""
    found = _message(data)
    info = _message(found.get("info"), "model_id")
    return LoggedModel(
        model_id=clean_text(info["model_id"], 100),
        experiment_id=clean_text(info.get("experiment_id"), 100),
        name=clean_text(info.get("name"), 1000),
        run_id=clean_text(info.get("source_run_id"), 100),
        status=clean_text(info.get("status"), 50).removeprefix("LOGGED_MODEL_"),
        created=iso_time(info.get("creation_timestamp_ms")),
        updated=iso_time(info.get("last_updated_timestamp_ms")),
        params=_pairs(_part(found, "data").get("params")),
        tags=_pairs(info.get("tags")),
        metrics=tuple(
            ModelMetric(
                name=clean_text(item["key"], 500),
                value=metric_value(item.get("value")),
                dataset_name=clean_text(item.get("dataset_name"), 500),
                dataset_digest=clean_text(item.get("dataset_digest"), 100),
                run_id=clean_text(item.get("run_id"), 100),
            )
            for item in _items(_part(found, "data"), "metrics")[:_MAX_ENTRIES]
            if item.get("key")
        ),
    )


def _message(data: Any, *required: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not all(data.get(key) for key in required):
        raise ValueError(f"expected an object with {', '.join(required) or 'fields'}")
    return data


def _part(data: dict[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _items(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = data.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _pairs(data: Any) -> dict[str, str]:
    items: Iterable[Any] = data[:_MAX_ENTRIES] if isinstance(data, list) else ()
    return {
        clean_text(item["key"], 500): clean_text(item.get("value"))
        for item in items
        if isinstance(item, dict) and "key" in item
    }


def _json_object(text: Any) -> dict[str, Any]:
    """The object that MLflow keeps as JSON text; anything else is ``{}``."""
    if not isinstance(text, str) or not text.startswith("{") or len(text) > 1_000_000:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _clean_json(value: Any, depth: int = 0) -> Any:
    if isinstance(value, float):
        return metric_value(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, dict) and depth < 5:
        return {clean_text(key, 200): _clean_json(item, depth + 1) for key, item in list(value.items())[:100]}
    if isinstance(value, list) and depth < 5:
        return [_clean_json(item, depth + 1) for item in value[:100]]
    return clean_text(value)


def _uri(value: Any) -> str:
    text = clean_text(value, 4000)
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text.split("?", 1)[0].split("#", 1)[0] if parts.scheme and parts.netloc else text
