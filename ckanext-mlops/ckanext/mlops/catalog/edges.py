"""Lineage as rows: which dataset or outside source each input of a stage comes from.

Files that only Git holds (code, parameters) make no row.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ckanext.mlops.core import naming
from ckanext.mlops.core.lineage import Edge, relate
from ckanext.mlops.core.records import Dependency, Snapshot

from .text import MAX_NAME, MAX_PATH, line
from .weburl import import_uri, is_local


@dataclass(frozen=True)
class Upstream:
    """An output of a dataset in this catalog: package id, resource id, and how to call it."""

    dataset: str
    resource: str
    label: str


# (repository key, path) of an output → what it is here.
Harvested = Mapping[tuple[str, str], Upstream]
Row = dict[str, Any]


class Related:
    """The inputs of a snapshot's stages; rows are made of those that are asked for.

    :param addresses: of the stages that are to be told of
    """

    def __init__(
        self, repository_url: str, snapshot: Snapshot, addresses: Container[str], harvested: Harvested
    ) -> None:
        self._url, self._harvested = repository_url, harvested
        self._hashes = {(stage.address, out.path): out.hash for stage in snapshot.stages for out in stage.outs}
        self._edges: dict[str, list[Edge]] = {}
        self._rows: dict[str, list[Row]] = {}
        for edge in relate(snapshot, addresses):
            self._edges.setdefault(edge.downstream, []).append(edge)

    def rows(self, address: str) -> list[Row]:
        """The edges into that stage, as columns of the edge table; each upstream output once per path.

        An edge's ``evidence`` says why it is believed: ``kind`` is ``locked`` (the hash that was read is the hash that
        was written), ``declared`` (only the path says so), ``import``, ``url``, ``db``, ``dataset``, ``hint`` (a
        command names it). ``output`` is the path of the output where the input is a part of it, or holds it.
        """
        if address not in self._rows:
            found: dict[tuple[str, ...], Row] = {}
            for edge in self._edges.get(address, ()):
                row = _row(self._url, edge, self._hashes, self._harvested)
                if row is not None:
                    found.setdefault(place(row), row)
            self._rows[address] = list(found.values())
        return self._rows[address]

    def facts(self, address: str) -> list[tuple[Any, ...]]:
        """What :meth:`rows` are made of beside the stage itself, as plain values."""
        found: list[tuple[Any, ...]] = []
        for edge in self._edges.get(address, ()):
            path, known = "", None
            if edge.dependency is not None:
                path = edge.dependency.path
                if edge.dependency.kind == "repo":
                    source = edge.dependency.source or self._url
                    known = self._harvested.get((naming.repository_key(source), path))
            written = self._hashes.get((edge.upstream or "", edge.output_path or ""))
            upstream = (known.dataset, known.resource, known.label) if known else None
            found.append(
                (edge.kind, path, edge.upstream, edge.output_path, written, edge.external, edge.label, upstream)
            )
        return found


def place(row: Row) -> tuple[str, ...]:
    """What tells an edge into a stage from every other one."""
    keys = ("upstream_dataset", "upstream_resource", "upstream_uri", "path")
    return tuple(str(row.get(key) or "") for key in keys)


def _row(
    repository_url: str, edge: Edge, hashes: Mapping[tuple[str, str], str | None], harvested: Harvested
) -> Row | None:
    dependency = edge.dependency
    if edge.hint is not None:
        if not edge.hint.uri:
            return None
        return _outside(line(edge.hint.uri), edge.hint.label, None, {"kind": "hint", "hint": line(edge.hint.kind, 50)})
    if dependency is None or edge.kind == "code":
        return None
    if edge.upstream is not None:
        return _inside(repository_url, edge.upstream, edge.output_path, dependency, hashes)
    if dependency.kind == "repo":
        return _imported(repository_url, dependency, harvested)
    uri = line(edge.external) or f"{'local' if dependency.kind == 'url' else dependency.kind}:{_name(dependency)}"
    return _outside(uri, edge.label, dependency, {"kind": dependency.kind})


def _inside(
    repository_url: str,
    upstream: str,
    output: str | None,
    dependency: Dependency,
    hashes: Mapping[tuple[str, str], str | None],
) -> Row:
    guid = naming.dataset_guid(repository_url, upstream)
    written = hashes.get((upstream, output)) if output == dependency.path else None
    evidence = {"kind": "locked" if written and written == dependency.hash else "declared"}
    if output is not None and output != dependency.path:
        evidence["output"] = line(output, MAX_PATH)
    return {
        "upstream_dataset": naming.package_id(guid),
        "upstream_resource": naming.resource_id(guid, output) if output is not None else None,
        "upstream_label": line(upstream, MAX_NAME),
        "path": line(dependency.path, MAX_PATH),
        "hash": _hash(dependency),
        "evidence": evidence,
    }


def _imported(repository_url: str, dependency: Dependency, harvested: Harvested) -> Row:
    source = dependency.source or repository_url
    evidence = {"kind": "import"}
    if dependency.rev_lock:
        evidence["revision"] = line(dependency.rev_lock, 100)
    name = naming.repository_name(source)
    label = f"{name}: {dependency.path}"
    known = harvested.get((naming.repository_key(source), dependency.path))
    if known is None:
        uri = f"file://{name}#{dependency.path}" if is_local(source) else import_uri(source, dependency.path)
        return _outside(line(uri, MAX_PATH), label, dependency, evidence)
    return {
        "upstream_dataset": known.dataset,
        "upstream_resource": known.resource,
        "upstream_label": line(label, MAX_NAME),
        "path": line(dependency.path, MAX_PATH),
        "hash": _hash(dependency),
        "evidence": evidence,
    }


def _outside(uri: str, label: str, dependency: Dependency | None, evidence: dict[str, Any]) -> Row:
    return {
        "upstream_uri": uri,
        "upstream_label": line(_last(label) if uri.startswith("local:") else label, MAX_NAME) or uri,
        "path": line(_name(dependency), MAX_PATH) if dependency else "",
        "hash": _hash(dependency) if dependency else None,
        "evidence": evidence,
    }


def _hash(dependency: Dependency) -> str | None:
    return line(dependency.hash, 200) if dependency.hash else None


def _name(dependency: Dependency) -> str:
    """The path; of a file on somebody's machine only the last part, which is nobody's secret."""
    outside = dependency.kind == "url" and "://" not in dependency.path
    return _last(dependency.path) if outside else dependency.path


def _last(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def imports(snapshots: Iterable[Snapshot]) -> set[tuple[str, str]]:
    """(repository key, path) of everything that a stage imports from another repository."""
    return {
        (naming.repository_key(dependency.source), dependency.path)
        for snapshot in snapshots
        for stage in snapshot.stages
        for dependency in stage.deps
        if dependency.kind == "repo" and dependency.source
    }
