"""One step of a repository for the dataset form: which step a path means, and what the form is filled with."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.naming import repository_name
from ckanext.mlops.core.records import Repository, Snapshot, Stage

from .datasets import Options
from .drafts import describe
from .edges import Harvested, Related
from .text import MAX_PATH, line
from .weburl import import_uri, is_local

MAX_CHOICES = 300
_SHOWN_OUTS = 5
#: What a person's dataset takes of a package that a harvest would write.
_TAKEN = ("title", "notes", "url", "tags")


class NoSuchStep(MlopsError):
    """The revision has nothing that the path names."""


@dataclass(frozen=True)
class Input:
    """What a step reads: an output of this repository (``dataset`` is its id when it was harvested), or ``url``."""

    label: str
    url: str
    dataset: str = ""
    hash: str = ""


@dataclass(frozen=True)
class Registration:
    """What is known of one step.

    :param package: fields and resources, without those that a person chooses (organization, visibility, licence, name)
    :param version: its state, as a row of the version table without ids
    """

    address: str
    package: dict[str, Any]
    version: dict[str, Any]
    inputs: list[Input] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """A step that could be meant."""

    address: str
    outs: list[str]
    more: int = 0


def find(snapshot: Snapshot, path: str) -> list[Stage]:
    """The steps that ``path`` can mean: an output, a file inside of one, the address or name of a step; all for none.

    :raises NoSuchStep: none of them; the message names what is close
    """
    wanted = path.strip().removeprefix("./").strip("/")
    stages = sorted(snapshot.stages, key=lambda stage: stage.address)
    if not wanted:
        if not stages:
            raise NoSuchStep("This revision has neither DVC stages nor files that DVC or git-lfs tracks.")
        return stages
    for matches in (
        [stage for stage in stages if any(out.path.strip("/") == wanted for out in stage.outs)],
        [stage for stage in stages if stage.address == wanted],
        [stage for stage in stages if stage.name == wanted],
        [stage for stage in stages if stage.file == wanted],
        [
            stage
            for stage in stages
            if any(out.is_dir and wanted.startswith(f"{out.path.strip('/')}/") for out in stage.outs)
        ],
    ):
        if matches:
            return matches
    known = [each for stage in stages for each in (stage.address, *(out.path for out in stage.outs))]
    close = difflib.get_close_matches(wanted, known[:5000], 3)
    hint = f"; it has {', '.join(line(each, 200) for each in close)}" if close else ""
    raise NoSuchStep(
        f"{line(wanted, 200)}: this revision has no DVC output, stage or tracked file of that path{hint}. "
        "A file that only Git holds is none of DVC's."
    )


def choices(stages: Sequence[Stage]) -> list[Choice]:
    """The steps for a person to choose from."""
    return [
        Choice(
            stage.address,
            [line(out.path, MAX_PATH) for out in stage.outs[:_SHOWN_OUTS]],
            max(len(stage.outs) - _SHOWN_OUTS, 0),
        )
        for stage in stages[:MAX_CHOICES]
    ]


def registration(repository: Repository, snapshot: Snapshot, stage: Stage, harvested: Harvested) -> Registration:
    """What the dataset form is filled with for one step."""
    dataset = next(
        each
        for each in describe(repository, [snapshot], Options(), harvested)
        if each.package["dvc_stage"] == line(stage.address)
    )
    package = {key: value for key, value in dataset.package.items() if key in _TAKEN or key.startswith("dvc_")}
    package = {key: value for key, value in package.items() if value not in ("", [])}
    package["resources"] = [
        {key: value for key, value in each.items() if key != "id" and value != ""}
        for each in dataset.package["resources"]
    ]
    version = {key: value for key, value in dataset.versions[0].items() if key != "id"}
    edges = Related(repository.url, snapshot, {stage.address}, harvested).rows(stage.address)
    return Registration(stage.address, package, version, _inputs(repository.url, edges))


def _inputs(url: str, edges: Sequence[dict[str, Any]]) -> list[Input]:
    found: dict[str, Input] = {}
    for edge in edges:
        dataset = str(edge.get("upstream_dataset") or "")
        uri = str(edge.get("upstream_uri") or "") or _address(url, str(edge["path"]))
        found.setdefault(dataset or uri, Input(str(edge["upstream_label"]), uri, dataset, str(edge.get("hash") or "")))
    return list(found.values())


def _address(url: str, path: str) -> str:
    # Where a folder lies on the portal's own machine is nobody's business: its name is enough.
    return line(f"file://{repository_name(url)}#{path}", MAX_PATH) if is_local(url) else import_uri(url, path)
