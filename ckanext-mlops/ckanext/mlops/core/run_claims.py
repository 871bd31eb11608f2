"""What a run says of itself that can be held against a repository: hashes, paths, script, params, metrics."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .mlflow_clues import in_text, strings
from .mlflow_records import Run
from .naming import repository_key
from .records import Stage
from .tables import flatten

Relation = Literal["produced", "trained_on", "evaluated_on", "used"]
#: Marks of a path that is known beyond doubt.
CLEAR = frozenset({"path", "script", "stage"})
_TRAINING = re.compile(r"train|fit", re.IGNORECASE)
_EVALUATION = re.compile(r"eval|test|valid|holdout|score|predict", re.IGNORECASE)
_OUTPUT = re.compile(r"model|weight|output|artifact", re.IGNORECASE)
_CONTENT = re.compile(r"md5|sha|hash|digest|checksum|dvc", re.IGNORECASE)
_INPUTS, _STAGE, _REPOSITORY = "mlops.dvc.inputs", "mlops.dvc.stage", "mlops.repository"
_MAX_METRICS = 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """A hash that the run names: ``where`` in it, of the file ``path`` where it says so."""

    hash: str
    where: str
    relation: Relation
    path: str = ""
    #: Whether it says that it is the content of data, and not just digits that look like a hash.
    is_data: bool = True


def claims(run: Run) -> list[Claim]:
    """Every hash that the run names, the plainest places first; each once."""
    found: dict[tuple[str, str, bool], Claim] = {}
    for claim in _claims(run):
        found.setdefault((claim.hash, claim.path, claim.relation == "produced"), claim)
    return list(found.values())


def _claims(run: Run) -> Iterator[Claim]:
    default = relation_of_script(run)
    for item in run.inputs:
        # The input's own digest first: the plainest place.
        for value in (item.digest, *strings(item.source), *item.tags.values()):
            for hash_ in in_text(value):
                path = str(item.source.get("path") or "") if item.source_type == "ckan_dvc" else item.uri
                yield Claim(hash_, "input", relation_of(item.context) or default, local_path(path))
    for path, hash_ in _tagged_inputs(run):
        yield Claim(hash_, "plug-in", default, path)
    for where, values in (("tag", run.tags), ("param", run.params)):
        for key, value in values.items():
            if not key.startswith("mlflow.") and key not in (_INPUTS, "mlops.datasets"):
                for hash_ in in_text(value):
                    is_data = bool(_CONTENT.search(key))
                    yield Claim(hash_, where, _relation_of_key(key, default), is_data=is_data)


def _tagged_inputs(run: Run) -> Iterator[tuple[str, str]]:
    try:
        said = json.loads(run.tags.get(_INPUTS, "{}"))
    except (ValueError, RecursionError):
        return
    for path, value in said.items() if isinstance(said, dict) else ():
        if isinstance(value, str):
            yield from ((str(path), hash_) for hash_ in in_text(value.removeprefix("sha256:")))


def relation_of(context: str) -> Relation | None:
    """What MLflow's context of an input says."""
    if _EVALUATION.search(context):
        return "evaluated_on"
    return "trained_on" if _TRAINING.search(context) else None


def relation_of_script(run: Run) -> Relation:
    """What the script's name, or a model that was logged, says."""
    name = posixpath.basename(script(run)) or _stage_name(run)
    if _EVALUATION.search(name):
        return "evaluated_on"
    return "trained_on" if _TRAINING.search(name) or run.model_ids else "used"


def _relation_of_key(key: str, default: Relation) -> Relation:
    if _OUTPUT.search(key):
        # A script that measures a model reads it.
        return "used" if default == "evaluated_on" else "produced"
    if _EVALUATION.search(key):
        return "evaluated_on"
    return "trained_on" if _TRAINING.search(key) else default


def repository(run: Run) -> str:
    """The key of the repository that the run names; ``""`` when it names none."""
    url = run.tags.get(_REPOSITORY) or run.tags.get("mlflow.source.git.repoURL") or ""
    return repository_key(url) if url else ""


def is_dirty(run: Run) -> bool:
    """Whether the run says that files were changed and not committed."""
    if run.tags.get("mlflow.source.git.diff", "").strip():
        return True
    return any(
        key.rsplit(".", 1)[-1].lower() in ("dirty", "git_dirty")
        and value.strip().lower() not in ("", "false", "0", "no")
        for key, value in run.tags.items()
    )


def script(run: Run) -> str:
    """The program, as the run names it, with slashes."""
    return run.tags.get("mlflow.source.name", "").replace("\\", "/")


def seconds(time: str) -> int:
    """A record's time as seconds since 1970; 0 for none."""
    return int(datetime.fromisoformat(time).timestamp()) if time else 0


def _stage_name(run: Run) -> str:
    return run.tags.get(_STAGE, "").removeprefix("dvc.yaml:")


def stages(run: Run, known: Mapping[str, Stage]) -> list[str]:
    """Addresses of the stages that the run is an execution of: the one that it names, or those that run its script."""
    named = _stage_name(run)
    if named in known:
        return [named]
    path = script(run)
    name = posixpath.basename(path)
    if not name or "." not in name:
        return []
    whole = re.compile(rf"(?<![\w.-])(?:[\w./-]*/)?{re.escape(name)}(?![\w.-])")
    found = {}
    for address, stage in known.items():
        files = [dep.path for dep in stage.deps if dep.kind == "path" and posixpath.basename(dep.path) == name]
        if files or (stage.command and whole.search(stage.command)):
            found[address] = any(path == file or path.endswith("/" + file) for file in files)
    # A full path tells scripts of the same name in different folders apart.
    sure = [address for address, is_whole in found.items() if is_whole and "/" in path]
    return sure or list(found)


def read_paths(
    run: Run, known: Mapping[str, Stage], names: Sequence[str], repository_name: str
) -> dict[str, tuple[Relation, list[str]]]:
    """The outputs that the run read, by path: what it did with them, and marks of how that is known.

    What its inputs name comes first; where they name nothing of the repository, its stage's dependencies count.
    """
    default = relation_of_script(run)
    outs = {out.path for stage in known.values() for out in stage.outs}
    found: dict[str, tuple[Relation, list[str]]] = {}
    elsewhere = False
    for item in run.inputs:
        uri = str(item.source.get("path") or "") if item.source_type == "ckan_dvc" else item.uri
        if not uri:
            continue
        resolved = _resolved(uri, outs, [known[name] for name in names], script(run), repository_name)
        if resolved is None:
            elsewhere = True
        else:
            path, sure = resolved
            found.setdefault(path, (relation_of(item.context) or default, ["path" if sure else "path-perhaps"]))
    if found:
        return found
    marks = ["stage" if _stage_name(run) in known else "script"]
    marks += ["several-stages"] if len(names) > 1 else []
    marks += ["inputs-elsewhere"] if elsewhere else []
    for name in names:
        for dep in known[name].deps:
            path = next((out for out in outs if dep.path == out or dep.path.startswith(out + "/")), "")
            if dep.kind == "path" and path:
                found.setdefault(path, (default, list(marks)))
    return found


def local_path(uri: str) -> str:
    """A path of a file system, with slashes; ``""`` for an address of another kind."""
    text = uri.replace("\\", "/")
    if text.startswith("file:"):
        text = re.sub(r"^file:(//[^/]*)?", "", text)
    return "" if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text) else posixpath.normpath(text) if text else ""


def _resolved(
    uri: str, outs: set[str], running: Sequence[Stage], program: str, repository_name: str
) -> tuple[str, bool] | None:
    """The output that a path names, and whether it can be no other."""
    text = local_path(uri)
    if not text:
        return None
    folders = {"", *(stage.wdir for stage in running)}
    for folder in sorted(folders):
        path = posixpath.normpath(posixpath.join(folder, text))
        for out in outs:
            if path == out or path.startswith(out + "/"):
                return out, True
    root = _root(program, running)
    for out in sorted(outs, key=len, reverse=True):
        if text.endswith("/" + out) or f"/{out}/" in text:
            before = text.rpartition(f"/{out}")[0]
            return out, before == root if root else posixpath.basename(before) == repository_name
    return None


def _root(program: str, running: Sequence[Stage]) -> str:
    """The work tree on the training machine, where the script's whole path tells."""
    for stage in running:
        for dep in stage.deps:
            if program.startswith("/") and program.endswith("/" + dep.path):
                return program[: -len(dep.path) - 1]
    return ""


def producer(known: Mapping[str, Stage], path: str) -> tuple[str, str] | None:
    """Address of the stage that has this output, and the content's hash."""
    for address, stage in known.items():
        for out in stage.outs:
            if out.path == path:
                return address, out.hash or out.blob or ""
    return None


def locked(stage: Stage | None, path: str) -> str:
    """The hash that a stage's lock has for a file that it read."""
    return next((dep.hash or "" for dep in stage.deps if dep.path == path), "") if stage else ""


def params(stage: Stage) -> dict[str, Any]:
    """A stage's params by name."""
    return {
        name: value for param in stage.params for name, value in _leaves(param.key, param.value) if value is not None
    }


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    else:
        yield key, value


def metrics(stage: Stage) -> dict[str, Any]:
    """The numbers of a stage's metrics files, as far as they are known, by name."""
    found: dict[str, Any] = {}
    for metric in stage.metrics:
        if metric.known:
            for name, value in flatten(metric.values):
                if (
                    name
                    and isinstance(value, (int, float))
                    and not isinstance(value, bool)
                    and len(found) < _MAX_METRICS
                ):
                    found.setdefault(name, value)
    return found


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same to a person: ``"0.10"`` and ``0.1``, ``"True"`` and ``true``."""
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-6, abs_tol=1e-12)
    except (TypeError, ValueError, OverflowError):
        return str(one).strip().lower() == str(other).strip().lower()
