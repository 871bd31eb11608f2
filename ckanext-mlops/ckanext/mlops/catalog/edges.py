"""Lineage: which dataset or outside source each dependency of a stage comes from.

Files that only Git holds (code, parameters) make no edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ckanext.mlops.core import naming
from ckanext.mlops.core.records import Dependency, Output, Snapshot, Stage

from .text import MAX_LINE, line
from .weburl import import_uri, is_local


@dataclass(frozen=True)
class Upstream:
    """An output of a dataset in this catalog: package id, resource id, and how to call it."""

    dataset: str
    resource: str
    label: str


# (repository key, path) of an output → what it is here.
Harvested = Mapping[tuple[str, str], Upstream]


class Outputs:
    """Who writes which path, in one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.stages = {stage.address: stage for stage in snapshot.stages}
        self.writers: dict[str, tuple[Stage, Output]] = {}
        self.below: dict[str, list[str]] = {}
        for stage in snapshot.stages:
            for out in stage.outs:
                if out.path in self.writers and stage.kind == "data":
                    continue  # a stage says more than a tracked file
                self.writers[out.path] = (stage, out)
                for folder in _folders(out.path):
                    self.below.setdefault(folder, []).append(out.path)

    def of(self, dep: Dependency) -> Iterator[tuple[Stage, Output | None]]:
        """The stages whose output ``dep`` reads: the same path, a folder that holds it, or files below it."""
        if dep.kind == "stage":
            if dep.path in self.stages:
                yield self.stages[dep.path], None
            return
        for path in (dep.path, *_folders(dep.path)):
            if path in self.writers:
                yield self.writers[path]
                return
        for path in self.below.get(dep.path, ()):
            yield self.writers[path]


def _folders(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rsplit("/", 1)[0]
        yield path


def edges(repository_url: str, stage: Stage, outputs: Outputs, harvested: Harvested) -> list[dict[str, Any]]:
    """The edges into ``stage``, as columns of the edge table; each upstream once per path.

    An edge's ``evidence`` says why it is believed: ``locked`` (the hash that was read is the hash that was written),
    ``declared`` (only the path says so), ``import``, ``url``, ``hint`` (a command names it).
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for dep in stage.deps:
        for edge in _of_dependency(repository_url, stage, dep, outputs, harvested):
            key = (edge.get("upstream_dataset") or "", edge.get("upstream_uri") or "", edge["path"])
            found.setdefault(key, edge)
    for hint in stage.hints:
        if hint.uri:
            edge = _outside(line(hint.uri), hint.label, "", None, {"kind": "hint", "hint": line(hint.kind, 50)})
            found.setdefault(("", edge["upstream_uri"], ""), edge)
    return list(found.values())


def _of_dependency(
    repository_url: str, stage: Stage, dep: Dependency, outputs: Outputs, harvested: Harvested
) -> Iterator[dict[str, Any]]:
    if dep.kind in ("path", "stage"):
        for upstream, out in outputs.of(dep):
            if upstream.address != stage.address:
                yield _inside(repository_url, upstream, out, dep)
    elif dep.kind == "repo":
        yield _imported(repository_url, dep, harvested)
    else:
        yield _outside(_address(dep), dep.path.rsplit("/", 1)[-1], _shown_path(dep), dep.hash, {"kind": dep.kind})


def _inside(repository_url: str, upstream: Stage, out: Output | None, dep: Dependency) -> dict[str, Any]:
    guid = naming.dataset_guid(repository_url, upstream.address)
    same = out is not None and out.hash is not None and out.path == dep.path and out.hash == dep.hash
    return {
        "upstream_dataset": naming.package_id(guid),
        "upstream_resource": naming.resource_id(guid, out.path) if out else None,
        "upstream_label": line(upstream.address),
        "path": line(dep.path, MAX_LINE * 2),
        "hash": line(dep.hash, 200) if dep.hash else None,
        "evidence": {"kind": "locked" if same else "declared"},
    }


def _imported(repository_url: str, dep: Dependency, harvested: Harvested) -> dict[str, Any]:
    source = dep.source or repository_url
    evidence = {"kind": "import"}
    if dep.rev_lock:
        evidence["revision"] = line(dep.rev_lock, 100)
    known = harvested.get((naming.repository_key(source), dep.path))
    label = f"{naming.repository_name(source)}: {dep.path}"
    if known is None:
        uri = (
            f"file://{naming.repository_name(source)}#{dep.path}" if is_local(source) else import_uri(source, dep.path)
        )
        return _outside(line(uri, MAX_LINE * 2), label, dep.path, dep.hash, evidence)
    return {
        "upstream_dataset": known.dataset,
        "upstream_resource": known.resource,
        "upstream_label": line(label),
        "path": line(dep.path, MAX_LINE * 2),
        "hash": line(dep.hash, 200) if dep.hash else None,
        "evidence": evidence,
    }


def _address(dep: Dependency) -> str:
    """An URI for what is no path in a repository; of a file on somebody's machine only the name."""
    if dep.source or "://" in dep.path:
        return line(dep.source or dep.path)
    return line(f"{'local' if dep.kind == 'url' else dep.kind}:{_shown_path(dep)}")


def _shown_path(dep: Dependency) -> str:
    return dep.path.rsplit("/", 1)[-1] if dep.kind == "url" and "://" not in dep.path else dep.path


def _outside(uri: str, label: str, path: str, content: str | None, evidence: dict[str, Any]) -> dict[str, Any]:
    return {
        "upstream_uri": uri,
        "upstream_label": line(label) or uri,
        "path": line(path, MAX_LINE * 2),
        "hash": line(content, 200) if content else None,
        "evidence": evidence,
    }


def imports(snapshots: Iterable[Snapshot]) -> set[tuple[str, str]]:
    """(repository key, path) of everything that a stage imports from another repository."""
    return {
        (naming.repository_key(dep.source), dep.path)
        for snapshot in snapshots
        for stage in snapshot.stages
        for dep in stage.deps
        if dep.kind == "repo" and dep.source
    }
