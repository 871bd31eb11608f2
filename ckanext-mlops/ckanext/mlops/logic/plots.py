"""The plots of a repository as one reader may see them: which there are, and what their files hold at revisions.

Git's part is read from the portal's own mirror, the rest from storages that the operator named; DVC is never asked.
"""

from __future__ import annotations

import posixpath
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
from ckanext.mlops.core.limits import DEFAULTS
from ckanext.mlops.core.mirror import existing_mirror
from ckanext.mlops.core.plot_charts import MAX_TEMPLATE, AtRevision, Chart, chart, is_builtin, read_template
from ckanext.mlops.core.plot_data import PlotFile
from ckanext.mlops.core.records import Plot, from_dict
from ckanext.mlops.core.revision_files import RevisionFiles
from ckanext.mlops.harvesting import repositories as mirrors
from ckanext.mlops.logic import repositories
from ckanext.mlops.logic.reader import same_user
from ckanext.mlops.model import Revision, Version, revisions
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.transfers import delivery

MAX_PLOTS = 500
MAX_FILES = 200
MAX_STORED = 100
MAX_IMAGE = 16_000_000
_PRIVATE = "private"
_ON_REQUEST = "on-request"
_KEPT = "mlops_plots"


@dataclass(frozen=True)
class Note:
    """Why something of a plot is not shown."""

    revision: str
    path: str
    why: str


@dataclass(frozen=True)
class Image:
    """A picture at the revisions that have it: revision → bytes in it, None where that is not known."""

    path: str
    revisions: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What one plot shows."""

    charts: list[Chart]
    images: list[Image]
    notes: list[Note]


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
    _outs: dict[str, list[tuple[str, dict[str, Any]]]] | None = None
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
        package_id = owner[0]
        if package_id not in self._allowed:
            reader = same_user(self.context)
            try:
                tk.check_access("mlops_download", reader, {"id": package_id})
                self._allowed[package_id] = True
            except tk.NotAuthorized:
                self._allowed[package_id] = False
        return "" if self._allowed[package_id] else _ON_REQUEST

    def owner(self, revision: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """Dataset and output that a path is, or is in."""
        if self._outs is None:
            self._outs = _outs([each["id"] for each in self.seen.datasets])
        covering = [
            found
            for found in self._outs.get(revision, ())
            if path == found[1]["path"] or path.startswith(found[1]["path"] + "/")
        ]
        return max(covering, key=lambda found: len(found[1]["path"]), default=None)

    def show(self, name: str, chosen: Sequence[str]) -> Shown:
        """One plot at some revisions.

        :raises ckan.logic.NotFound: no revision has it for this reader
        """
        at: list[tuple[str, Plot, list[PlotFile]]] = []
        notes: list[Note] = []
        template: dict[str, Any] | None = None
        known = False
        with self._reading() as reading:
            for revision in (self.revisions[each] for each in chosen):
                plot = next((each for each in plots_of(revision) if each.name == name), None)
                if plot is None:
                    notes.append(Note(revision.name, "", tk._("This revision has no such plot.")))
                    continue
                states = {path: self.state(revision.name, path) for path in plot.files}
                plot = _only(plot, [path for path in plot.files if not states[path]])
                known = known or any(state != _PRIVATE for state in states.values())
                if any(state == _ON_REQUEST for state in states.values()):
                    notes.append(Note(revision.name, "", tk._("Its files are given on request: ask for access.")))
                files = list(reading.files(revision, plot))
                at.append((revision.name, plot, files))
                notes += [
                    Note(revision.name, each.path, each.detail)
                    for each in files
                    if each.state in ("not-in-git", "invalid")
                ]
                wanted = str(plot.options.get("template") or "")
                if wanted and template is None:
                    try:
                        template = reading.template(revision, wanted)
                    except ContentError as error:
                        notes.append(Note(revision.name, "", error.message))
        if not known:
            raise tk.ObjectNotFound(tk._("Plot not found"))
        return Shown(_charts(name, at, template, notes), _images(at), notes)

    def image(self, revision: str, path: str) -> tuple[bytes, str]:
        """Content and media type of a picture that a plot shows.

        :raises ckan.logic.NotFound: there is none that the reader may see
        """
        found = self.revisions.get(revision)
        plots = [each for each in plots_of(found) if any(_within(path, file) for file in each.files)] if found else []
        if found is None or not plots or self.state(revision, path):
            raise tk.ObjectNotFound(tk._("Plot not found"))
        with self._reading() as reading:
            for each in reading.files(found, Plot(path, (path,))):
                if each.path == path and each.state == "image":
                    try:
                        return reading.content(found, each), each.media_type
                    except MlopsError as error:
                        raise tk.ObjectNotFound(str(error)) from error
        raise tk.ObjectNotFound(tk._("Plot not found"))

    @contextmanager
    def _reading(self) -> Iterator[_Reading]:
        git_dir = existing_mirror(self.seen.url, mirrors.mirrors())
        if git_dir is None:
            yield _Reading(self, None)
            return
        with GitObjects(git_dir) as objects:
            yield _Reading(self, objects)


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
    for revision in revisions.of_repository(session, repository_id):
        if revision.plots:
            found.setdefault(revision.name, revision)
    ids = texts(each["id"] for each in seen.datasets)
    packages = session.scalars(sa.select(model.Package).where(model.Package.id == sa.any_(ids))).all()
    plots = Plots(same_user(context), seen, found, not seen.hidden and seen.count == len(seen.datasets), packages)
    context[_KEPT] = plots  # type: ignore[literal-required]
    return plots


def plots_of(revision: Revision) -> list[Plot]:
    """The plots that a revision says."""
    return [from_dict(Plot, each) for each in revision.plots]


def _outs(package_ids: Iterable[str]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Revision → (dataset, output) of all that these datasets wrote there."""
    rows = model.Session.execute(
        sa.select(Version.package_id, Version.refs, Version.facts["outs"].label("outs")).where(
            Version.package_id == sa.any_(texts(package_ids)), sa.func.jsonb_array_length(Version.refs) > 0
        )
    )
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for row in rows:
        outs = [(row.package_id, out) for out in row.outs or () if out.get("path")]
        for ref in row.refs:
            found.setdefault(ref["name"], []).extend(outs)
    return found


def _only(plot: Plot, files: Sequence[str]) -> Plot:
    """A plot without the files that the reader may not see: their names are in its options, too."""
    options = {
        key: {path: fields for path, fields in value.items() if path in files}
        if key in ("x", "y") and isinstance(value, dict)
        else value
        for key, value in plot.options.items()
    }
    return replace(plot, files=tuple(files), options=options)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


@dataclass
class _Reading:
    """What files hold: in Git, else in a storage."""

    plots: Plots
    objects: GitObjects | None
    _trees: dict[str, RevisionFiles] = field(default_factory=dict)
    _stored: int = 0

    def files(self, revision: Revision, plot: Plot) -> Iterator[PlotFile]:
        """The files of a plot at a revision, a folder's one by one."""
        for path in plot.files[:MAX_FILES]:
            tree = self._tree(revision)
            one = replace(plot, files=(path,))
            found = list(plot_data.plot_files(one, tree)) if tree else [PlotFile(path, "not-in-git", detail=_gone())]
            for each in found[:MAX_FILES]:
                yield from self._from_storage(revision, plot, each) if each.state == "not-in-git" else [each]

    def content(self, revision: Revision, file: PlotFile) -> bytes:
        """Content of a picture.

        :raises MlopsError: it cannot be had
        """
        if file.blob and self.objects is not None:
            found = next(self.objects.read([file.blob], MAX_IMAGE), None)
            if found is None or found.kind != "blob":
                raise ContentError(f"larger than {MAX_IMAGE} bytes")
            return found.data
        for path, content in self._contents(revision, file.path):
            if path == file.path:
                return _bounded(content, MAX_IMAGE)
        raise ContentError("it is not there")

    def template(self, revision: Revision, name: str) -> dict[str, Any] | None:
        """A template of the repository's own, which goes before DVC's of that name; None for DVC's.

        :raises ContentError: there is none
        """
        tree = self._tree(revision)
        for path in map(posixpath.normpath, (f".dvc/plots/{name}", f".dvc/plots/{name}.json", name)):
            seen = path.startswith(".dvc/plots/") or not self.plots.state(revision.name, path)
            data = tree.read(path, MAX_TEMPLATE) if tree and seen else None
            if data is not None:
                return read_template(data, name)
        return None if is_builtin(name) else read_template(None, name)

    def _tree(self, revision: Revision) -> RevisionFiles | None:
        if self.objects is None:
            return None
        if revision.commit not in self._trees:
            _, commit, _ = next(self.objects.commits([revision.commit]))
            if commit is None:
                return None
            self._trees[revision.commit] = RevisionFiles(self.objects, commit.tree)
        return self._trees[revision.commit]

    def _from_storage(self, revision: Revision, plot: Plot, missing: PlotFile) -> Iterator[PlotFile]:
        header = plot.options.get("header") is not False
        try:
            for path, content in self._contents(revision, missing.path):
                media_type = plot_data.media_type(path)
                if media_type:
                    yield PlotFile(path, "image", media_type=media_type)
                    continue
                rows = plot_data.data_points(_bounded(content, DEFAULTS.value_bytes), path, header=header)
                yield PlotFile(path, "from-remote", tuple(rows))
        except MlopsError as error:
            yield replace(missing, detail=str(error))

    def _contents(self, revision: Revision, wanted: str) -> Iterator[tuple[str, delivery.Content]]:
        """The file, or the files of the folder, from the storage of the output that it is in."""
        owner = self.plots.owner(revision.name, wanted)
        if owner is None:
            raise ContentError(tk._("Neither Git nor a stage of this revision has it."))
        out = owner[1]
        opened = delivery.open_out(self.plots.seen.url, out)
        if opened.public:
            raise ContentError(tk._("It lies openly on the web; this portal does not look there."))
        if opened.content is None:
            return
        found = [(out["path"], opened.content)] if not out.get("is_dir") else []
        for member in opened.members:
            path = f"{out['path']}/{member.path}"
            if _within(path, wanted):
                found.append((path, opened.member(member)))
        if not found:
            raise ContentError(tk._("The folder that the stage wrote has no such file."))
        for path, content in found:
            self._stored += 1
            if self._stored > MAX_STORED:
                raise ContentError(tk._("More than {n} files of storages are not read at once.").format(n=MAX_STORED))
            yield path, content


def _gone() -> str:
    return tk._("The portal has no copy of the repository any more; harvest it again.")


def _bounded(content: delivery.Content, limit: int) -> bytes:
    size = content.stat().size
    if size > limit:
        raise ContentError(f"is {size} bytes, more than the limit of {limit}")
    return b"".join(content.read(0, size))


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
