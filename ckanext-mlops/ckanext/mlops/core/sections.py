"""What a snapshot has besides its stages: top-level metrics, params files, plots, README and licence."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from .documents import Document
from .files import FileReader, is_text
from .pipelines import merge_params
from .records import Metric, Param, Plot, Problem
from .stages import StageBuilder
from .trees import Trees
from .untrusted import clean
from .values import nest
from .work import Work

_FOLDER = "/"
_MAX_LISTED = 200


class SectionReader:
    """Reads these sections of trees."""

    def __init__(self, trees: Trees, files: FileReader, builder: StageBuilder) -> None:
        self.trees = trees
        self.files = files
        self.builder = builder

    def metrics(self, item: Work, problems: list[Problem]) -> Iterator[Metric]:
        """Metrics that ``dvc.yaml`` names at its top and no stage has."""
        mine = {path for part in item.parts for path in part.shape.metrics}
        for path in dict.fromkeys(path for pipeline in item.pipelines for path in pipeline.metrics):
            if path in mine:
                continue
            oid = self.trees.look(item.tree, path)
            held = {}
            cached = False
            if oid[:1] == _FOLDER:
                held = {f"{path}/{name}": child for name, child in self.trees.walk(oid[1:], _MAX_LISTED)}
            elif not oid:
                outs = (out for part in item.parts for out in part.shape.out_paths)
                cached = any(path == out or path.startswith(out + "/") for out in outs)
            messages: list[str] = []
            yield from self.builder.metrics(path, oid, cached, held, messages)
            revision = item.revisions[0].name
            problems.extend(Problem(message, path, revision=revision, severity="warning") for message in messages)

    def params_files(self, item: Work) -> Iterator[tuple[str, tuple[str, ...] | None, bool]]:
        """``(file, keys, nested)`` of the params: as ``dvc params show`` does, keys None for a whole file.

        Of a file that only templates use, DVC shows the dotted keys that they used, not mappings of them.
        """
        asked: list[tuple[str, tuple[str, ...] | None]] = []
        for pipeline in item.pipelines:
            asked += pipeline.param_files.items()
        asked += [(posixpath.join(root, "params.yaml"), None) for root in item.found.roots or ("",)]
        files = merge_params(asked, item.singles)
        yield from ((path, keys, True) for path, keys in files.items())
        used: dict[str, dict[str, None]] = {}
        for pipeline in item.pipelines:
            for path, names in pipeline.used.items():
                # "vars[0]": values in dvc.yaml itself. A file that is missing above is one that DVC does not show.
                if not path.endswith("]") and not (path in files and self.trees.blob(item.tree, path)):
                    used.setdefault(path, {}).update(dict.fromkeys(names))
        yield from ((path, tuple(names), False) for path, names in used.items())

    def params(self, item: Work) -> Iterator[Param]:
        """What the params files say."""
        for path, keys, nested in self.params_files(item):
            oid = self.trees.blob(item.tree, path)
            if not oid:
                continue
            found = self.builder.file_params(path, oid, keys)
            if keys is not None and nested:
                values: dict[str, Any] = {}
                for param in found:
                    nest(values, param.key, param.value)
                found = [Param(path, key, value) for key, value in values.items()]
            yield from found

    def plots(self, item: Work) -> Iterator[Plot]:
        """Plots of stages, then of the top."""
        for part in item.parts:
            for path, options in part.shape.plots:
                yield Plot(path, (path,), self._held(item, (path,)), options)
        for pipeline in item.pipelines:
            for name, files, options in pipeline.plots:
                yield Plot(name, files, self._held(item, files), options)

    def _held(self, item: Work, paths: tuple[str, ...]) -> dict[str, str]:
        return {path: oid for path in paths if (oid := self.trees.blob(item.tree, path))}

    def text(self, item: Work, *prefixes: str) -> str:
        """README or licence of the root folder; the Markdown one when there are several."""
        best = ""
        for path, oid in item.found.files:
            if "/" not in path and is_text(path) and path.lower().startswith(prefixes):
                document = self.files.document(oid, path)
                if isinstance(document, Document) and (not best or path.lower().endswith(".md")):
                    best = clean(document.top, self.files.limits.text_bytes)
        return best
