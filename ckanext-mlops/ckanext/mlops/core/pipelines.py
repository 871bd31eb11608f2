"""A ``dvc.yaml`` with its ``dvc.lock``: shapes of its stages and what it says at its top."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .documents import Block, Document
from .errors import ContentError
from .limits import Limits
from .memo import Memo
from .places import Place
from .records import Problem
from .said import said
from .shapes import Label, Shape, output_notes, pipeline_shape
from .templates import Resolved, is_templated, resolve
from .untrusted import clean, plain

_TOP_KEYS = frozenset(["stages", "vars", "params", "metrics", "plots", "artifacts", "datasets", "schema"])
# Retired in DVC 2 and 3; they say nothing that is not said elsewhere.
_RETIRED = frozenset({"live", "meta"})


@dataclass(eq=False)
class Pipeline:
    """What one ``dvc.yaml`` defines; ``metrics``, ``params`` and ``plots`` are those at its top.

    :param looked: files that templates read, path to object id; the pipeline holds where they are the same
    :param used: params that templates used, file to its keys
    :param lock: the lock, when stages were taken from it
    """

    shapes: list[Shape] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    params: list[str] = field(default_factory=list)
    plots: list[tuple[str, tuple[str, ...], dict[str, Any]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    looked: dict[str, str] = field(default_factory=dict)
    used: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lock: Mapping[str, Block] | None = None

    def holds(self, lock: Mapping[str, Block], blob: Callable[[str], str]) -> bool:
        """Whether reading the same ``dvc.yaml`` in another tree would say the same."""
        return (self.lock is None or self.lock is lock) and all(
            blob(path) == seen for path, seen in self.looked.items()
        )

    @cached_property
    def param_files(self) -> dict[str, tuple[str, ...] | None]:
        """Params files that stages and the top name, with the keys asked of each; None for all."""
        return merge_params([(path, None) for path in self.params], self.shapes)


class PipelineReader:
    """Makes pipelines and remembers the shapes of unchanged stages."""

    def __init__(self, limits: Limits, hints: Callable[[str], tuple[Any, ...]]) -> None:
        self.limits = limits
        self.hints = hints
        self.shapes: Memo[tuple[Block, str, str, int | None], Shape] = Memo(512)

    def read(
        self,
        text: str,
        document: Document,
        file: str,
        root: str,
        blob: Callable[[str], str],
        values: Callable[[str, str], Any],
        lock: Mapping[str, Block],
    ) -> Pipeline:
        """The pipeline of ``file``; ``lock`` stands in for stages whose templates cannot be resolved."""
        result = Pipeline()
        if document.top is None and not document.stages:
            return result
        if not isinstance(document.top, dict):
            raise ContentError("is not a pipeline: not a mapping", path=file, remedy="see 'dvc stage add'")
        for key in document.duplicates:
            result.problems.append(_warning(file, said(f"key given twice: {key}; the last one counts")))
        self._unknown(document.top, file, result)
        if not is_templated(text):
            top: Mapping[str, Any] = document.top
            self.add(result, document.stages, document.lines, file, root, top)
        else:
            definition = {**document.top, "stages": {name: block.value for name, block in document.stages.items()}}
            resolved = resolve(definition, posixpath.dirname(file), blob, values, self.limits)
            top = resolved.top if not resolved.problem else {}
            self._resolved(result, resolved, document, file, root, lock)
        self._top(result, top, file)
        self.limits_check(result, file)
        return result

    def add(
        self,
        result: Pipeline,
        blocks: Mapping[str, Block],
        lines: Mapping[str, int],
        file: str,
        root: str,
        top: Mapping[str, Any],
    ) -> None:
        """Shapes of plain definitions."""
        datasets = _datasets(top.get("datasets"))
        for name, block in blocks.items():
            line = lines.get(name)
            key = (block, file, root, line)
            shape = self.shapes.get(key)
            if shape is None or shape.name != name:
                made = self._shape(result, name, block.value, file, root, line)
                if made is None:
                    continue
                shape = made
                if any(dep.raw.startswith("ds://") for dep in shape.deps):
                    shape.datasets = datasets
                else:
                    self.shapes[key] = shape
            result.shapes.append(shape)
        self.shapes.reserve(2 * len(blocks))

    def _shape(
        self, result: Pipeline, name: str, definition: Any, file: str, root: str, line: int | None
    ) -> Shape | None:
        try:
            shape = pipeline_shape(
                clean(name, self.limits.text), definition, file=file, root=root, line=line, limits=self.limits
            )
        except ContentError as error:
            result.problems.append(
                Problem(error.message, path=file, line=line, stage=clean(name, 200), remedy=error.remedy)
            )
            return None
        shape.hints = self.hints(shape.command) if shape.command else ()
        return shape

    def _resolved(
        self, result: Pipeline, resolved: Resolved, document: Document, file: str, root: str, lock: Mapping[str, Block]
    ) -> None:
        result.looked = resolved.looked
        datasets = _datasets(resolved.top.get("datasets"))
        for name, definition in resolved.stages.items():
            line = document.lines.get(resolved.groups.get(name, name))
            shape = self._shape(result, name, definition, file, root, line)
            if shape is not None:
                shape.datasets = datasets
                result.shapes.append(shape)
        used: dict[str, dict[str, None]] = {}
        for files in resolved.used.values():
            for source, keys in files.items():
                used.setdefault(posixpath.normpath(source), {}).update(dict.fromkeys(keys))
        result.used = {source: tuple(keys) for source, keys in used.items()}
        if resolved.problem:
            result.problems.append(Problem(resolved.problem, path=file, remedy=resolved.remedy))
        for group, reason in resolved.failed.items():
            line = document.lines.get(group)
            message = said(f"templates cannot be resolved: {reason}")
            result.problems.append(Problem(message, path=file, line=line, stage=clean(group, 200)))
        missing = set(document.stages) if resolved.problem else set(resolved.failed)
        if missing:
            result.lock = lock
        self._from_lock(result, missing, document, file, root, lock)

    def _from_lock(
        self,
        result: Pipeline,
        missing: set[str],
        document: Document,
        file: str,
        root: str,
        lock: Mapping[str, Block],
    ) -> None:
        """The lock has resolved commands, paths and hashes: what it lacks are flags, descriptions and kinds."""
        for name, block in lock.items():
            group = name if name in document.stages else name.rpartition("@")[0]
            if group in missing and isinstance(block.value, dict):
                shape = self._shape(result, name, lock_definition(block.value), file, root, document.lines.get(group))
                if shape is not None:
                    result.shapes.append(shape)

    def lock_only(self, file: str, root: str, lock: Mapping[str, Block]) -> Pipeline:
        """The pipeline of a ``dvc.yaml`` that is missing or not readable."""
        result = Pipeline()
        for name, block in lock.items():
            if isinstance(block.value, dict):
                shape = self._shape(result, name, lock_definition(block.value), file, root, None)
                if shape is not None:
                    result.shapes.append(shape)
        return result

    def limits_check(self, result: Pipeline, file: str) -> None:
        """Refuse more stages than the limit."""
        if len(result.shapes) > self.limits.stages:
            raise ContentError(f"more than {self.limits.stages} stages (limit: stages)", path=file)

    def _unknown(self, top: Mapping[str, Any], file: str, result: Pipeline) -> None:
        for key in top:
            if key in _RETIRED:
                result.problems.append(_warning(file, said(f"retired key '{key}' is not read")))
            elif key not in _TOP_KEYS:
                result.problems.append(_warning(file, said(f"unknown key '{clean(key, 60)}' is not read")))

    def _top(self, result: Pipeline, top: Mapping[str, Any], file: str) -> None:
        place = Place(posixpath.dirname(file))
        for key, target in (("metrics", result.metrics), ("params", result.params)):
            for raw in _strings(top.get(key)):
                at = place.locate(raw)
                if not at.outside and not at.url:
                    target.append(at.path)
        for name, files, options in _plots(top.get("plots")):
            found = {file: at.path for file in files if not (at := place.locate(file)).outside and not at.url}
            shown = place.locate(name).path if name in files else clean(name, self.limits.text)
            options = options | {
                axis: {found[file]: fields for file, fields in options[axis].items() if file in found}
                for axis in ("x", "y")
                if isinstance(options.get(axis), dict)
            }
            result.plots.append((shown, tuple(dict.fromkeys(found.values())), plain(options, self.limits)))
        result.labels = labels(top.get("artifacts"), place, self.limits)


def merge_params(
    files: Iterable[tuple[str, tuple[str, ...] | None]], shapes: Iterable[Shape]
) -> dict[str, tuple[str, ...] | None]:
    """Params files and keys of several askers together: who asks for a whole file gets it."""
    result: dict[str, dict[str, None] | None] = {}
    asked = [*files, *((param.file, param.keys) for shape in shapes for param in shape.params)]
    for path, keys in asked:
        if keys is None:
            result[path] = None
        else:
            known = result.setdefault(path, {})
            if known is not None:
                known.update(dict.fromkeys(keys))
    return {path: None if keys is None else tuple(keys) for path, keys in result.items()}


def lock_definition(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A definition made of a lock entry."""
    params = entry.get("params")
    return {
        "cmd": entry.get("cmd"),
        "deps": _paths(entry.get("deps")),
        "outs": _paths(entry.get("outs")),
        "params": [{file: list(keys)} for file, keys in params.items() if isinstance(keys, dict)]
        if isinstance(params, dict)
        else None,
    }


def labels(value: Any, place: Place, limits: Limits) -> list[Label]:
    """Entries of ``artifacts:``, or of an old ``artifacts.yaml``."""
    if not isinstance(value, dict):
        return []
    result = []
    for name, entry in value.items():
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            at = place.locate(entry["path"])
            if not at.outside and not at.url:
                result.append(Label(clean(name), at.path, output_notes(entry, limits)))
    return result


def _datasets(value: Any) -> dict[str, Any]:
    entries = value if isinstance(value, list) else []
    return {str(item["name"]): item for item in entries if isinstance(item, dict) and "name" in item}


def _paths(value: Any) -> list[Any]:
    entries = value if isinstance(value, list) else []
    return [item["path"] for item in entries if isinstance(item, dict) and "path" in item]


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _plots(value: Any) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """``(name, files, options)`` of top-level plots: a path, or a name (itself a path unless ``y`` names files).

    The files of ``x`` come after those of ``y``.
    """
    result: list[tuple[str, tuple[str, ...], dict[str, Any]]] = []
    entries = (
        value
        if isinstance(value, list)
        else [{key: item} for key, item in value.items()]
        if isinstance(value, dict)
        else []
    )
    for entry in entries:
        if isinstance(entry, str):
            result.append((entry, (entry,), {}))
        elif isinstance(entry, dict):
            for name, options in entry.items():
                options = options if isinstance(options, dict) else {}
                axes = {axis: options[axis] for axis in ("y", "x") if isinstance(options.get(axis), dict)}
                own = () if "y" in axes else (str(name),)
                files = dict.fromkeys([*own, *(str(file) for files in axes.values() for file in files)])
                result.append((str(name), tuple(files), options))
    return result


def _warning(file: str, message: str) -> Problem:
    return Problem(message, path=file, severity="warning")
