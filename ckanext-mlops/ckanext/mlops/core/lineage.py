"""Which output of which stage is the input of which other one, inside one snapshot."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

from .naming import repository_name
from .records import Dependency, Snapshot, SourceHint, Stage

EdgeKind = Literal["output", "stage", "external", "hint", "code"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One input of a stage.

    :param downstream: address of the stage that reads
    :param kind: ``output`` of a stage here; ``stage``: runs after a stage as a whole; ``external``: another
        repository, a URL, a database or a file outside; ``hint``: an outside source that only the command names;
        ``code``: a file that no stage makes, held by Git itself or by nobody
    :param dependency: None for a hint
    :param upstream: address of the stage that wrote it (``output``, ``stage``)
    :param output_path: the output that is read; a dependency inside an output folder names the folder
    :param external: URI of an outside source, ``""`` when it is private or unknown
    :param label: name of an outside source for people
    :param hint: what the command says (``hint``)
    """

    downstream: str
    kind: EdgeKind
    dependency: Dependency | None = None
    upstream: str | None = None
    output_path: str | None = None
    external: str = ""
    label: str = ""
    hint: SourceHint | None = None


def relate(snapshot: Snapshot, only: Container[str] | None = None) -> tuple[Edge, ...]:
    """Every input of every stage (or of those whose address is in ``only``), in the order of stages and dependencies.

    A dependency belongs to an output when it is the same path, lies inside it, or is a folder that holds it (then
    there is one edge per output inside). Outside of the repository only the same path counts. A stage never reads from
    itself.

    >>> from ckanext.mlops.core.records import Output, Revision
    >>> stages = (
    ...     Stage("data.csv.dvc", "data.csv.dvc", "data.csv.dvc", outs=(Output("data.csv"),)),
    ...     Stage("train", "dvc.yaml", "train", deps=(Dependency("data.csv"), Dependency("train.py"))),
    ... )
    >>> [(edge.kind, edge.upstream) for edge in relate(Snapshot((), stages))]
    [('output', 'data.csv.dvc'), ('code', None)]
    """
    index = _Index(snapshot.stages)
    stages = (stage for stage in snapshot.stages if only is None or stage.address in only)
    return tuple(edge for stage in stages for edge in _inputs(stage, index))


class _Index:
    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.files: dict[str, list[str]] = {}
        self.outputs: dict[str, list[tuple[str, str]]] = {}
        self.outside: dict[str, list[tuple[str, str]]] = {}
        for stage in stages:
            self.files.setdefault(stage.file, []).append(stage.address)
            for out in stage.outs:
                if out.extra.get("outside"):
                    self.outside.setdefault(out.extra["outside"], []).append((stage.address, out.path))
                else:
                    self.outputs.setdefault(out.path.rstrip("/"), []).append((stage.address, out.path))
        self.paths = sorted(self.outputs)

    def writers(self, path: str) -> Iterator[tuple[str, str]]:
        """``(address, output)`` of what ``path`` is, lies in, or holds."""
        above = path
        while above:
            yield from self.outputs.get(above, ())
            above = posixpath.dirname(above)
        prefix = "" if path == "." else path + "/"
        for position in range(bisect_left(self.paths, prefix), len(self.paths)):
            below = self.paths[position]
            if not below.startswith(prefix):
                break
            yield from self.outputs[below]


def _inputs(stage: Stage, index: _Index) -> Iterator[Edge]:
    for dependency in stage.deps:
        if dependency.kind == "path" or (dependency.kind == "stage" and dependency.path not in index.files):
            found = False
            for address, output in index.writers(dependency.path):
                if address != stage.address:
                    found = True
                    yield Edge(stage.address, "output", dependency, address, output)
            if not found:
                yield Edge(stage.address, "code", dependency)
        elif dependency.kind == "stage":
            for address in index.files[dependency.path]:
                if address != stage.address:
                    yield Edge(stage.address, "stage", dependency, address)
        elif writers := [
            one for one in index.outside.get(dependency.extra.get("outside", ""), ()) if one[0] != stage.address
        ]:
            yield from (Edge(stage.address, "output", dependency, address, output) for address, output in writers)
        else:
            yield Edge(
                stage.address, "external", dependency, external=dependency.source, label=source_label(dependency)
            )
    for hint in stage.hints:
        yield Edge(stage.address, "hint", external=hint.uri, label=hint.label, hint=hint)


def source_label(dependency: Dependency) -> str:
    """An outside source in words: ``data/raw.csv of dataset-registry at v1``."""
    if dependency.kind not in ("repo", "dataset"):
        return dependency.path
    path = dependency.path if dependency.kind == "repo" else str(dependency.extra.get("path") or dependency.path)
    name = f" of {repository_name(dependency.source)}" if dependency.source else ""
    rev = dependency.rev or dependency.rev_lock[:10]
    return f"{path}{name}" + (f" at {rev}" if rev else "")
