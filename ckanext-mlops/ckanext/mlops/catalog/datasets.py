"""Records to datasets: for each stage its package dict, its versions and its lineage."""

from __future__ import annotations

import contextlib
import mimetypes
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ckanext.mlops.core import naming
from ckanext.mlops.core.records import Output, Repository, Revision, Snapshot, Stage, from_dict, to_dict

from . import text
from .inputs import Inputs
from .moves import Move, Trace
from .versions import Chosen, State, content_hash, refs
from .weburl import file_page, repository_page

MAX_RESOURCES = 500
MAX_UPSTREAMS = 200
#: What a template of titles may name.
TITLE_FIELDS = ("project", "stage", "folder", "repository")
NOT_IN_GIT = "not in Git, remote unreachable"
_DIGITS = {"md5": 32, "md5-dos2unix": 32, "sha256": 64}
_HEX = re.compile(r"[0-9a-fA-F]+(\.dir)?")
_FORMATS = {
    "csv": "CSV", "tsv": "TSV", "json": "JSON", "xml": "XML", "yaml": "YAML", "yml": "YAML", "txt": "TXT", "zip": "ZIP",
    "gz": "GZIP", "tgz": "TGZ", "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "parquet": "Parquet", "pkl": "Pickle",
    "pickle": "Pickle", "h5": "HDF5", "hdf5": "HDF5", "html": "HTML", "xls": "XLS", "xlsx": "XLSX", "pdf": "PDF",
    "svg": "SVG", "onnx": "ONNX",
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What the owner of a harvest source chose for its datasets; ``title`` is a template of :data:`TITLE_FIELDS`."""

    owner_org: str = ""
    private: bool = False
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    mlflow_server: str = ""
    mlflow_experiment: str = ""
    title: str = ""


@dataclass(frozen=True)
class Dataset:
    """What the catalog is to hold of one stage.

    :param package: in the form of ``package_show``, with computed ids
    :param versions: columns of the version table, newest first; ``edges`` those of the edge table, for all versions
    """

    guid: str
    package: dict[str, Any]
    versions: list[dict[str, Any]] = field(default_factory=list)
    edges: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def digest(self) -> str:
        """Content hash of all that makes a new write worth while.

        Commit ids are left out: a commit that leaves the stage alone does not change its dataset. So is the line of its
        definition, which moves when another stage is written above it, and the name, which stays as it was at first.
        """
        commit = self.package.get("dvc_commit") or "-"
        package = {key: value for key, value in self.package.items() if key not in ("dvc_commit", "name")}
        package["resources"] = [
            resource | {"url": resource.get("url", "").replace(commit, "")} for resource in package["resources"]
        ]
        versions = [
            [each["id"], each["current"], {key: value for key, value in each["facts"].items() if key != "line"}]
            for each in self.versions
        ]
        return content_hash([package, versions, self.edges])

    @cached_property
    def refs_digest(self) -> str:
        """Content hash of what the versions say about branches, tags and commits."""
        return content_hash([[each["digest"], each["refs"]] for each in self.versions])

    @property
    def refs(self) -> dict[str, list[dict[str, str]]]:
        """Version id → the branches and tags that show it."""
        return {each["id"]: each["refs"] for each in self.versions}

    @property
    def outputs(self) -> int:
        """How many resources it has."""
        return len(self.package["resources"])

    @property
    def dataset(self) -> Dataset:
        """Itself: it stands where a :class:`.drafts.Draft` can."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"guid": self.guid, "package": self.package, "versions": self.versions, "edges": self.edges}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Dataset:
        """What :meth:`to_dict` wrote."""
        return cls(data["guid"], data["package"], list(data["versions"]), list(data["edges"]))


def note_move(before: dict[str, Any], after: dict[str, Any], move: Move) -> None:
    """Write into the package dicts of two datasets that one goes on as the other."""
    before["dvc_moved_to"] = after["id"]
    after["dvc_moved_from"] = before["id"]
    after["dvc_moved_why"] = text.line(f"{move.before}: {move.evidence()}", text.MAX_LINE)


def trace_of(dataset: Dataset) -> Trace:
    """What :func:`moves` is to know of a dataset that was harvested."""
    trace = Trace(dataset.package["dvc_stage"])
    for version in dataset.versions:
        with contextlib.suppress(TypeError):  # facts of a later layout
            trace.add(from_dict(Stage, version["facts"]))
    return trace


class Writer:
    """Writes the datasets of one repository."""

    def __init__(self, repository: Repository, options: Options) -> None:
        self.repository = repository
        self.options = options

    def dataset(self, address: str, name: str, chosen: Chosen, lineage: Inputs) -> Dataset:
        """The dataset of a stage, whose name is ``name``."""
        guid = naming.dataset_guid(self.repository.url, address)
        versions, edges = [], []
        package: dict[str, Any] = {}
        for position, (state, snapshot, stage) in enumerate(chosen.states, start=1):
            current = state is chosen.current
            row = self._version(guid, state, stage, position=position, current=current)
            versions.append(row)
            found = lineage.at(snapshot, address)
            edges += [edge | {"version_id": row["id"], "current": current} for edge in found]
            more = lineage.elsewhere(state, snapshot, address)
            edges += [edge | {"version_id": row["id"], "current": False} for edge in more]
            if current:
                package = self._package(guid, name, snapshot, stage, chosen.revision)
                package["derived_from"] = derived_from(found)
        return Dataset(guid, package, versions[::-1], edges)

    def _version(self, guid: str, state: State, stage: Stage, *, position: int, current: bool) -> dict[str, Any]:
        return {
            "id": naming.version_id(guid, state.digest),
            "digest": state.digest,
            "commit": state.oldest.commit,
            "committed": state.oldest.date,
            "author": text.line(state.oldest.author, 200),
            "message": text.paragraph(state.oldest.message, 2000),
            "refs": refs(state.revisions),
            "facts": text.plain(to_dict(stage)),
            "current": current,
            "position": position,
        }

    def _package(self, guid: str, name: str, snapshot: Snapshot, stage: Stage, revision: Revision) -> dict[str, Any]:
        labels = [label for out in stage.outs for label in (*out.labels, out.type)]
        package = {
            "id": naming.package_id(guid),
            "name": name,
            "type": "dataset",
            "title": _title(self.repository, snapshot, stage, self.options.title),
            "notes": _notes(snapshot, stage),
            "url": repository_page(self.repository.url),
            "private": self.options.private,
            "owner_org": self.options.owner_org,
            "tags": [{"name": tag} for tag in text.tags([*self.options.tags, *labels])],
            "groups": [{"name": group} for group in sorted(set(self.options.groups))],
            "dvc_repository": self.repository.url,
            "dvc_revision": text.line(revision.name, text.MAX_NAME),
            "dvc_commit": revision.commit,
            "dvc_stage": text.line(stage.address),
            "dvc_command": text.paragraph(stage.command, text.MAX_COMMAND),
            "dvc_retired": "",
            "dvc_moved_from": "",
            "dvc_moved_to": "",
            "dvc_moved_why": "",
            "mlflow_server": self.options.mlflow_server,
            "mlflow_experiment": self.options.mlflow_experiment,
        }
        outs = {out.path: out for out in reversed(stage.outs)}
        package["resources"] = [
            self._resource(guid, stage, outs[path], revision.commit) for path in list(outs)[::-1][:MAX_RESOURCES]
        ]
        return package

    def _resource(self, guid: str, stage: Stage, out: Output, commit: str) -> dict[str, Any]:
        readable = out.storage if out.storage.startswith(("https://", "http://")) and not out.is_dir else ""
        in_git = bool(out.blob) or not out.cached
        return {
            "id": naming.resource_id(guid, out.path),
            "name": text.line(out.path.rsplit("/", 1)[-1] or out.path, text.MAX_TITLE) + ("/" if out.is_dir else ""),
            "description": text.prose(out.desc, 2000),
            "url": readable or file_page(self.repository.url, commit, out.path if in_git else stage.file),
            "format": "" if out.is_dir else format_of(out.path),
            "mimetype": "" if out.is_dir else mimetypes.guess_type(out.path, strict=True)[0] or "",
            "hash": text.line(out.hash or "", 200),
            "hash_algorithm": _algorithm(out),
            "size": out.size if out.size is not None and 0 <= out.size < 2**63 else "",
            "dvc_path": text.line(out.path, text.MAX_PATH),
            "dvc_storage_path": text.line(out.storage, text.MAX_PATH),
            "dvc_remote": text.line(out.remote, 200),
            "dvc_kind": out.kind,
            "dvc_values": _values(stage, out),
        }


def derived_from(found: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The field ``derived_from`` that says what the edges say; each upstream once."""
    entries: dict[str, dict[str, str]] = {}
    for edge in found:
        key = "dataset" if edge.get("upstream_dataset") else "url"
        value = edge.get("upstream_dataset") or edge["upstream_uri"]
        entries.setdefault(value, {key: value, "label": edge["upstream_label"], "origin": "harvested"})
    return list(entries.values())[:MAX_UPSTREAMS]


def _title(repository: Repository, snapshot: Snapshot, stage: Stage, template: str = "") -> str:
    project = text.readme_title(snapshot.readme) or text.title_of_name(repository.name)
    folder = stage.address.rsplit("/", 1)[0] if "/" in stage.address else ""
    named = bool(stage.kind == "stage" and stage.name and "dvc.yaml:" in stage.address)
    label = stage.name if named else stage.address.removesuffix(".dvc")
    if template:
        values = {"project": project, "stage": label, "folder": folder, "repository": repository.name}
        title = re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]), template)
        return text.line(title, text.MAX_TITLE)
    label = f"{folder}/{label}" if named and folder else label
    return text.line(f"{project}: {label}", text.MAX_TITLE)


def _notes(snapshot: Snapshot, stage: Stage) -> str:
    parts = [stage.desc]
    parts += [out.desc for out in stage.outs[:20] if out.desc and out.desc != stage.desc]
    summary = text.readme_summary(snapshot.readme)
    if summary and not any(parts):
        parts.append(summary)
    if len(stage.outs) > MAX_RESOURCES:
        parts.append(f"The first {MAX_RESOURCES} of {len(stage.outs):,} files are listed.")
    return text.prose("\n\n".join(part.strip() for part in parts if part.strip()))


def format_of(path: str) -> str:
    """What CKAN calls the format of a file of that name; nothing when its ending says nothing."""
    name = path.rsplit("/", 1)[-1].lower()
    ending = name.rsplit(".", 1)[-1] if "." in name.lstrip(".") else ""
    if not ending.isalnum() or not ending.isascii() or len(ending) > 10:
        return ""
    return _FORMATS.get(ending, ending.upper())


def _algorithm(out: Output) -> str:
    """How the hash was made; nothing when the hash (``md5: 123``, edited by hand) cannot be one of these."""
    if not out.hash or out.algorithm is None:
        return ""
    length = _DIGITS.get(out.algorithm)
    sound = length is None or (_HEX.fullmatch(out.hash) and len(out.hash.removesuffix(".dir")) == length)
    return out.algorithm if sound else ""


def _values(stage: Stage, out: Output) -> str:
    if out.kind != "metrics":
        return ""
    metric = next((each for each in stage.metrics if each.file == out.path), None)
    if metric is None or metric.known:
        return ""
    return NOT_IN_GIT if metric.state == "not-in-git" else text.line(metric.detail or "the file cannot be read")
