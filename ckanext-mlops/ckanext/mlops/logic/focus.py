"""What ``id`` means in the lineage actions: the node or nodes where a walk begins."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.model import HarvestObject
from sqlalchemy.orm import Session

from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.logic.versions import chain
from ckanext.mlops.model import hashes, model_names, moments
from ckanext.mlops.model.filegraph import FileGraph
from ckanext.mlops.model.lineage import rows_of
from ckanext.mlops.model.moments import Moment
from ckanext.mlops.model.nodes import (
    EXTERNAL,
    MODEL_URI,
    MODELS,
    dataset_of,
    file_key,
    kind_of,
    parts,
    target_key,
    target_of,
)
from ckanext.mlops.model.tables import Edge, Link, LoggedModel, Revision, Run, Version
from ckanext.mlops.model.tracking import Tracking

_SLUG = re.compile(r".+-[0-9a-f]{8}")
_HASH = re.compile(r"([0-9a-f]{32}(\.dir)?|[0-9a-f]{64})")
MAX_STARTS = 2000
_LEFT = "mlops_focus"


@dataclass(frozen=True)
class Focus:
    """Where a walk begins.

    :param nodes: as given: datasets, files, steps, runs, model versions, outside sources
    :param datasets: those that decide who may see it, and whose repository knows the refs
    :param single: whether it is one thing, which answers call ``focus``
    :param version: the version that was asked for
    :param named: whether it was asked for by its own id or name, and not by what it holds
    """

    nodes: tuple[str, ...]
    datasets: tuple[str, ...] = ()
    single: bool = True
    version: str = ""
    named: bool = True

    @property
    def own(self) -> bool:
        """Whether it is one dataset, or a part of one."""
        return self.single and kind_of(self.nodes[0]) in ("dataset", "file", "step")

    def starts(self, files: FileGraph | None) -> tuple[str, ...]:
        """The nodes of a walk over datasets, or over files."""
        if files is None:
            found: Iterable[str] = (dataset_of(key) or key for key in self.nodes)
        else:
            whole = [parts(key)[0] for key in self.nodes if kind_of(key) in ("dataset", "step")]
            known = files.files(whole)
            found = [
                each
                for key in self.nodes
                for each in (known[parts(key)[0]] if kind_of(key) in ("dataset", "step") else [key])
            ]
        return tuple(dict.fromkeys(found))


def find(context: Context, text: str) -> Focus:
    """What ``text`` means, whoever asks; :func:`visible` says whether the reader may know of it.

    What the check of the reader's permission found (:func:`leave`) is taken out of the context.

    :raises ckan.logic.NotFound: nothing
    """
    left = cast(dict[str, Focus], context.get(_LEFT, {}))
    if text in left:
        return left.pop(text)
    session = cast(Session, context["session"])
    for look in (_node, _dataset, _resource, _version, _repository, _content, _run, _model):
        found = look(session, text)
        if found is not None and found.nodes:
            return found
    raise tk.ObjectNotFound(tk._("Nothing of that id is known here"))


def leave(context: Context, text: str, found: Focus) -> None:
    """Leave what ``text`` means for the action whose permission is checked."""
    cast(dict[str, dict[str, Focus]], context).setdefault(_LEFT, {})[text] = found


def visible(focus: Focus, reader: Reader) -> Focus:
    """The part of it that the reader may see.

    :raises ckan.logic.NotFound: there is none, as if it did not exist
    """
    seen = set(reader.visible(focus.datasets))
    if not seen:
        raise tk.ObjectNotFound(tk._("Nothing of that id is known here"))
    nodes = tuple(key for key in focus.nodes if kind_of(key) in ("external", "run", *MODELS) or dataset_of(key) in seen)
    return Focus(
        nodes, tuple(each for each in focus.datasets if each in seen), focus.single, focus.version, focus.named
    )


def moment_of(session: Session, focus: Focus, at: str) -> Moment | None:
    """The point in time that ``at`` means for the focus; now for nothing.

    :raises ckan.plugins.toolkit.ValidationError: it means none
    """
    if not at and not focus.version:
        return None
    package = session.get(model.Package, focus.datasets[0]) if focus.datasets else None
    repository = str((package.extras or {}).get("dvc_repository") or "") if package else ""
    found = moments.find(session, at or focus.version, repository, focus.datasets)
    if found is None:
        raise tk.ValidationError(
            {"at": [tk._("No branch, tag, commit or version of that name is known here, and it is no ISO date")]}
        )
    return found


def as_of(context: Context, focus: Focus, moment: Moment | None) -> Focus:
    """The focus as it was called at that moment: a step that moved since had another dataset then.

    Where the dataset was not there, it is the nearest one of those that it goes on from which was.
    """
    if moment is None or moment.pinned or not focus.own:
        return focus
    session = cast(Session, context["session"])
    dataset, package = focus.datasets[0], session.get(model.Package, focus.datasets[0])
    ids = chain(context, package).ids if package is not None else []
    if len(ids) < 2:
        return focus
    given = rows_of(ids)
    shown = set(session.scalars(sa.select(given.c.value).where(moments.version_of(moment, given.c.value).is_not(None))))
    then = next((each for each in ids if each in shown), dataset)
    if then == dataset:
        return focus
    key = focus.nodes[0]
    node = file_key(then, parts(key)[1]) if kind_of(key) == "file" else then
    return replace(focus, nodes=(node,), datasets=(then,))


def _node(session: Session, text: str) -> Focus | None:
    kind = kind_of(text)
    if kind in ("file", "step"):
        package = model.Package.get(parts(text)[0])
        return Focus((text,), (package.id,)) if package else None
    if kind == "external":
        uri = text.removeprefix(EXTERNAL)
        users = session.scalars(
            sa.select(Edge.downstream_dataset).distinct().where(Edge.upstream_uri == uri).limit(MAX_STARTS)
        ).all()
        return Focus((text,), tuple(users))
    return _of_target(session, text) if kind != "dataset" and target_of(text) else None


def _dataset(session: Session, text: str) -> Focus | None:
    package = model.Package.get(text)
    return Focus((package.id,), (package.id,)) if package is not None and package.type != "harvest" else None


def _resource(session: Session, text: str) -> Focus | None:
    resource = session.get(model.Resource, text)
    if resource is None or resource.state != "active":
        return None
    dataset = str(resource.package_id)
    path = str((resource.extras or {}).get("dvc_path") or "")
    return Focus((file_key(dataset, path) if path else dataset,), (dataset,))


def _version(session: Session, text: str) -> Focus | None:
    version = session.get(Version, text)
    return None if version is None else Focus((version.package_id,), (version.package_id,), version=version.id)


def _repository(session: Session, text: str) -> Focus | None:
    if not _SLUG.fullmatch(text) or not session.scalar(sa.select(sa.exists().where(Revision.repository == text))):
        return None
    sources = sa.select(Revision.source_id).where(Revision.repository == text).distinct()
    ids = session.scalars(
        sa.select(HarvestObject.package_id)
        .where(
            HarvestObject.current,
            HarvestObject.package_id.is_not(None),
            HarvestObject.harvest_source_id.in_(sources),
        )
        .order_by(HarvestObject.guid)
        .limit(MAX_STARTS)
    ).all()
    return Focus(tuple(ids), tuple(ids), single=False)


def _content(session: Session, text: str) -> Focus | None:
    if not _HASH.fullmatch(text.lower()):
        return None
    rows = hashes.holders(session, text.lower(), MAX_STARTS)
    nodes = tuple(
        dict.fromkeys(file_key(row.package_id, row.path) if row.harvested else row.package_id for row in rows)
    )
    return Focus(nodes, tuple(dict.fromkeys(row.package_id for row in rows)), single=len(nodes) == 1, named=False)


def _run(session: Session, text: str) -> Focus | None:
    server = session.scalar(sa.select(Run.server).where(Run.run_id == text).order_by(Run.server).limit(1))
    if server is None:
        server = session.scalar(sa.select(Link.server).where(Link.kind == "run", Link.target == text).limit(1))
    return None if server is None else _of_target(session, target_key(server, "run", text))


def _model(session: Session, text: str) -> Focus | None:
    if text.startswith(MODEL_URI):
        named = model_names.named(session, [text])
        return _of_target(session, named[text]) if text in named else None
    server = session.scalar(sa.select(LoggedModel.server).where(LoggedModel.model_id == text).limit(1))
    return None if server is None else _of_target(session, target_key(server, "logged_model", text))


def _of_target(session: Session, key: str) -> Focus:
    """A run or model, with the datasets that have to do with it."""
    datasets = sorted(Tracking(session, None).behind([key])[key])[:MAX_STARTS]
    uris = model_names.uris(session, [key])
    if uris:
        wanted = Edge.upstream_uri.in_(list(uris))
        datasets += session.scalars(sa.select(Edge.downstream_dataset).distinct().where(wanted).limit(MAX_STARTS))
    return Focus((key,), tuple(datasets))
