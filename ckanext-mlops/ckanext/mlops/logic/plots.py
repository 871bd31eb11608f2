"""The plots of a repository as one reader may see them: which there are, and what their files hold at revisions.

Git's part is read from the portal's own mirror, the rest from storages that the operator named; DVC is never asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops.core import plot_data
from ckanext.mlops.core.errors import ContentError, MlopsError
from ckanext.mlops.core.gitobjects import GitObjects
from ckanext.mlops.core.mirror import existing_mirror
from ckanext.mlops.core.plot_charts import AtRevision, Chart, chart
from ckanext.mlops.core.plot_data import PlotFile
from ckanext.mlops.core.records import Plot, from_dict
from ckanext.mlops.harvesting import repositories as mirrors
from ckanext.mlops.logic import plot_drawing, repositories
from ckanext.mlops.logic.plot_drawing import Drawn, Image, Note
from ckanext.mlops.logic.plot_reading import PlotReading, cost, within
from ckanext.mlops.logic.reader import same_user
from ckanext.mlops.model import Revision, Version, revisions
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.transfers import origins
from ckanext.mlops.transfers.origins import Origin

MAX_PLOTS = 500
_PRIVATE = "private"
_ON_REQUEST = "on-request"
_KEPT = "mlops_plots"
_WRONG = ("not-in-git", "invalid")
Listed = Sequence[tuple[Revision, Plot, list[PlotFile]]]


@dataclass(frozen=True)
class Out:
    """An output of a version of a dataset."""

    package_id: str
    out: dict[str, Any]
    origin: Origin


@dataclass(frozen=True)
class _Outs:
    """Outputs by revision; ``read``: this portal read the repository."""

    at: dict[str, list[Out]]
    read: bool


@dataclass
class Plots:
    """The plots of a repository for one reader.

    :param revisions: by name; a branch hides a tag of its name
    :param whole: nothing of the repository is hidden from the reader
    :param packages: rows of its datasets: while they are held, a check of each finds it in the session
    """

    context: Context
    seen: repositories.Seen
    revisions: dict[str, Revision]
    whole: bool
    packages: Sequence[model.Package] = ()
    _known: _Outs | None = None
    _allowed: dict[str, bool] = field(default_factory=dict)

    def listed(self) -> tuple[list[dict[str, Any]], list[Revision], int]:
        """Plots, the revisions that have any, and how many plots the reader may not see."""
        found: dict[str, dict[str, Any]] = {}
        hidden: set[str] = set()
        having = []
        for revision in self.revisions.values():
            shown = False
            for plot in plots_of(revision):
                if not any(self.state(revision.name, path) != _PRIVATE for path in plot.files):
                    hidden.add(plot.name)
                    continue
                shown = True
                known = found.setdefault(
                    plot.name,
                    {
                        "name": plot.name,
                        "title": str(plot.options.get("title") or plot.name),
                        "template": str(plot.options.get("template") or ""),
                        "files": [path for path in plot.files if self.state(revision.name, path) != _PRIVATE],
                        "revisions": [],
                    },
                )
                known["revisions"].append(revision.name)
            if shown:
                having.append(revision)
        return list(found.values())[:MAX_PLOTS], having, len(hidden - found.keys())

    def state(self, revision: str, path: str) -> str:
        """Whether the reader may see a file at a revision: ``""``, or why not.

        What a stage wrote is shown to who may see its dataset, and take its files; what no stage wrote, to who may see
        all of the repository.
        """
        owner = self.owner(revision, path)
        if owner is None:
            return "" if self.whole else _PRIVATE
        package_id = owner.package_id
        if package_id not in self._allowed:
            reader = same_user(self.context)
            try:
                tk.check_access("mlops_download", reader, {"id": package_id})
                self._allowed[package_id] = True
            except tk.NotAuthorized:
                self._allowed[package_id] = False
        return "" if self._allowed[package_id] else _ON_REQUEST

    def owner(self, revision: str, path: str) -> Out | None:
        """The output that a path is, or is in."""
        covering = [
            found
            for found in self._outs().at.get(revision, ())
            if path == found.out["path"] or path.startswith(found.out["path"] + "/")
        ]
        return max(covering, key=lambda found: len(found.out["path"]), default=None)

    def _outs(self) -> _Outs:
        if self._known is None:
            self._known = _outs(self.seen)
        return self._known

    def show(self, name: str, chosen: Sequence[str], *, worker: bool = False) -> Drawn:
        """One plot at some revisions.

        :param worker: draw it, however long that takes; a request leaves what is large or in a storage to a worker
        :raises ckan.logic.NotFound: no revision has it for this reader
        """
        wanted: list[tuple[Revision, Plot]] = []
        notes: list[Note] = []
        known = False
        for revision in (self.revisions[each] for each in chosen):
            plot = next((each for each in plots_of(revision) if each.name == name), None)
            if plot is None:
                notes.append(Note(revision.name, "", tk._("This revision has no such plot.")))
                continue
            states = {path: self.state(revision.name, path) for path in plot.files}
            known = known or any(state != _PRIVATE for state in states.values())
            if any(state == _ON_REQUEST for state in states.values()):
                notes.append(Note(revision.name, "", tk._("Its files are given on request: ask for access.")))
            wanted.append((revision, _only(plot, [path for path in plot.files if not states[path]])))
        if not known:
            raise tk.ObjectNotFound(tk._("Plot not found"))
        with self._reading() as reading:
            template, unusable = _template(reading, wanted)
            listed = [(revision, plot, reading.listed(revision, plot)) for revision, plot in wanted]
            drawn = self._drawn(reading, name, template, listed, worker=worker)
        notes += unusable + _wrong((revision.name, files) for revision, _, files in listed)
        return replace(drawn, notes=notes + drawn.notes)

    def _drawn(
        self, reading: PlotReading, name: str, template: dict[str, Any] | None, listed: Listed, *, worker: bool
    ) -> Drawn:
        """What is remembered or quickly drawn; what takes long, a worker is asked for."""
        files = [
            (revision, plot, [each for each in found if each.state not in _WRONG]) for revision, plot, found in listed
        ]
        large = sum(cost(each) for _, _, found in files for each in found) > plot_drawing.ALLOWANCE
        content = [
            (revision.name, plot.options, [(each.path, each.state, each.blob) for each in found])
            for revision, plot, found in files
        ]
        key = plot_drawing.key_of(self.seen.id, name, template, content) if large else ""
        kept = plot_drawing.recall(key) if large else None
        if kept is not None:
            return kept
        if large and not worker:
            user = str(self.context.get("user") or "")
            plot_drawing.leave_to_worker(key, user, self.seen.id, name, [revision.name for revision, _, _ in listed])
            return Drawn(waiting=True)
        at = [
            (revision.name, plot, [each for file in found for each in reading.loaded(revision, plot, file)])
            for revision, plot, found in files
        ]
        notes = _wrong((revision, found) for revision, _, found in at)
        failed = any(each.state == "not-in-git" for _, _, found in at for each in found)
        drawn = Drawn(_charts(name, at, template, notes), _images(at), notes, failed)
        if large:
            plot_drawing.remember(key, drawn)
        return drawn

    def image(self, revision: str, path: str) -> tuple[bytes, str]:
        """Content and media type of a picture that a plot shows.

        :raises ckan.logic.NotFound: there is none that the reader may see
        """
        found = self.revisions.get(revision)
        plots = [each for each in plots_of(found) if any(within(path, file) for file in each.files)] if found else []
        if found is None or not plots or self.state(revision, path):
            raise tk.ObjectNotFound(tk._("Plot not found"))
        with self._reading() as reading:
            media_type = plot_data.media_type(path)
            for each in reading.listed(found, Plot(path, (path,))):
                if each.path != path or not media_type:
                    continue
                try:
                    return reading.content(found, each), media_type
                except MlopsError as error:
                    raise tk.ObjectNotFound(str(error)) from error
        raise tk.ObjectNotFound(tk._("Plot not found"))

    @contextmanager
    def _reading(self) -> Iterator[PlotReading]:
        # The copy is of who fetched the repository, and no business of those who only sent records of it.
        git_dir = existing_mirror(self.seen.url, mirrors.mirrors()) if self._outs().read else None
        if git_dir is None:
            yield PlotReading(self, None)
            return
        with GitObjects(git_dir) as objects:
            yield PlotReading(self, objects)


def of_repository(context: Context, repository_id: str) -> Plots:
    """The plots of a repository. A page that shows several gives one context for all: they are looked up once.

    :raises ckan.logic.NotFound: there is none of that id, or the reader may see nothing of it
    """
    kept: Plots | None = context.get(_KEPT)  # type: ignore[assignment]
    if kept is not None and kept.seen.id == repository_id:
        return kept
    seen = repositories.show(context, repository_id)
    session: Session = model.Session()
    found: dict[str, Revision] = {}
    for revision in revisions.of_repository(session, repository_id, seen.sources):
        if revision.plots:
            found.setdefault(revision.name, revision)
    ids = texts(each["id"] for each in seen.datasets)
    packages = session.scalars(sa.select(model.Package).where(model.Package.id == sa.any_(ids))).all()
    plots = Plots(same_user(context), seen, found, seen.whole, packages)
    context[_KEPT] = plots  # type: ignore[literal-required]
    return plots


def plots_of(revision: Revision) -> list[Plot]:
    """The plots that a revision says."""
    return [from_dict(Plot, each) for each in revision.plots]


def _outs(seen: repositories.Seen) -> _Outs:
    """What the datasets wrote, as far as it is proven to be of the repository."""
    columns = (Version.id, Version.package_id, Version.digest, Version.refs, Version.facts["outs"].label("outs"))
    ids = texts(each["id"] for each in seen.datasets)
    rows = model.Session.execute(
        sa.select(*columns, Version.facts["address"].astext.label("address")).where(
            Version.package_id == sa.any_(ids), sa.func.jsonb_array_length(Version.refs) > 0
        )
    ).all()
    proven = origins.of_all(model.Session(), seen.url, [(row, row.address or "") for row in rows])
    read = any(each.read for each in proven.values())
    found: dict[str, list[Out]] = {}
    for row in rows:
        origin = proven[row.id]
        # Where the repository was fetched, what others sent of it covers none of its files.
        if origin.read or (origin.sent and not read):
            outs = [Out(row.package_id, out, origin) for out in row.outs or () if out.get("path")]
            for ref in row.refs:
                found.setdefault(ref["name"], []).extend(outs)
    return _Outs(found, read)


def _only(plot: Plot, files: Sequence[str]) -> Plot:
    """A plot without the files that the reader may not see: their names are in its options, too."""
    options = {
        key: {path: fields for path, fields in value.items() if path in files}
        if key in ("x", "y") and isinstance(value, dict)
        else value
        for key, value in plot.options.items()
    }
    return replace(plot, files=tuple(files), options=options)


def _wrong(files: Iterable[tuple[str, Iterable[PlotFile]]]) -> list[Note]:
    """Why files cannot be shown."""
    return [
        Note(revision, each.path, each.detail) for revision, found in files for each in found if each.state in _WRONG
    ]


def _template(
    reading: PlotReading, wanted: Iterable[tuple[Revision, Plot]]
) -> tuple[dict[str, Any] | None, list[Note]]:
    """The first template of the repository's own that the plot names, and what is wrong with others."""
    notes: list[Note] = []
    for revision, plot in wanted:
        named = str(plot.options.get("template") or "")
        try:
            template = reading.template(revision, named) if named else None
        except ContentError as error:
            notes.append(Note(revision.name, "", error.message))
            continue
        if template is not None:
            return template, notes
    return None, notes


def _charts(
    name: str, at: Sequence[tuple[str, Plot, list[PlotFile]]], template: dict[str, Any] | None, notes: list[Note]
) -> list[Chart]:
    """One chart for a plot of named files; of a folder, one for each table in it."""
    groups: dict[str, list[AtRevision]] = {}
    for revision, plot, files in at:
        tables = {each.path: each.rows for each in files if each.rows}
        if isinstance(plot.options.get("y"), dict):
            groups.setdefault(name, []).append(AtRevision(revision, plot.options, tables))
            continue
        for path, rows in tables.items():
            groups.setdefault(path, []).append(AtRevision(revision, plot.options, {path: rows}))
    charts = []
    for each, series in groups.items():
        try:
            made = chart(each, series, template)
        except ContentError as error:
            notes.append(Note("", each, error.message))
            continue
        notes += [Note(revision, each, why) for revision, why in made.problems.items()]
        if made.rows:
            charts.append(made)
    return charts


def _images(at: Iterable[tuple[str, Plot, list[PlotFile]]]) -> list[Image]:
    found: dict[str, Image] = {}
    for revision, _, files in at:
        for each in files:
            if each.state == "image":
                found.setdefault(each.path, Image(each.path)).revisions[revision] = each.size
    return [found[path] for path in sorted(found)]
