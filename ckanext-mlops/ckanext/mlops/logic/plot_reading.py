"""What the files of plots hold: in Git, else in a storage. Listing is cheap; reading is not, and may be a worker's."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ckan.plugins import toolkit as tk

from ckanext.mlops.core import plot_data
from ckanext.mlops.core.errors import ContentError, MlopsError
from ckanext.mlops.core.gitobjects import GitObjects
from ckanext.mlops.core.limits import DEFAULTS
from ckanext.mlops.core.plot_charts import MAX_TEMPLATE, is_builtin, read_template
from ckanext.mlops.core.plot_data import PlotFile
from ckanext.mlops.core.records import Plot
from ckanext.mlops.core.revision_files import RevisionFiles
from ckanext.mlops.model import Revision, contents
from ckanext.mlops.transfers import delivery

if TYPE_CHECKING:
    from ckanext.mlops.logic.plots import Plots

MAX_FILES = 200
MAX_STORED = 100
MAX_IMAGE = 16_000_000
#: YAML takes so many times longer to read than CSV.
_SLOW = 10
_QUICK = (".csv", ".tsv", ".json")


@dataclass
class PlotReading:
    """Reads plots for one reader.

    :param objects: of the portal's copy of the repository; None when there is none any more
    """

    plots: Plots
    objects: GitObjects | None
    _trees: dict[str, RevisionFiles] = field(default_factory=dict)
    _stored: int = 0

    def listed(self, revision: Revision, plot: Plot) -> list[PlotFile]:
        """The files of a plot at a revision, a folder's one by one, none of them opened.

        What a storage has is ``from-remote``, a folder of it as one; its content's hash stands in ``blob``.
        """
        found: list[PlotFile] = []
        tree = self._tree(revision)
        for path in plot.files[:MAX_FILES]:
            one = replace(plot, files=(path,))
            here = plot_data.listed_files(one, tree) if tree else [PlotFile(path, "not-in-git", detail=_gone())]
            found += [self._stored_file(revision, each) if each.state == "not-in-git" else each for each in here]
            if len(found) >= MAX_FILES:
                break
        return found[:MAX_FILES]

    def loaded(self, revision: Revision, plot: Plot, file: PlotFile) -> Iterator[PlotFile]:
        """A listed file with its rows; of a folder in a storage the files in it."""
        tree = self._tree(revision)
        if file.state == "in-git" and tree is not None:
            file = plot_data.loaded(file, plot, tree)
            if file.state == "not-in-git":  # a pointer of Git LFS
                file = self._stored_file(revision, file)
        if file.state == "from-remote":
            yield from self._from_storage(revision, plot, file)
        else:
            yield file

    def content(self, revision: Revision, file: PlotFile) -> bytes:
        """Content of a picture.

        :raises MlopsError: it cannot be had
        """
        if file.state == "image" and file.blob and self.objects is not None:
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

    def _stored_file(self, revision: Revision, missing: PlotFile) -> PlotFile:
        """A file that Git does not have: where the operator says how, its storage is asked later."""
        try:
            out, _ = self._opened(revision, missing.path, members=False)
        except MlopsError as error:
            return replace(missing, detail=str(error))
        return replace(missing, state="from-remote", blob=contents.key(out))

    def _from_storage(self, revision: Revision, plot: Plot, file: PlotFile) -> Iterator[PlotFile]:
        try:
            for path, content in self._contents(revision, file.path):
                media_type = plot_data.media_type(path)
                if media_type:
                    yield PlotFile(path, "image", media_type=media_type)
                    continue
                data = _bounded(content, DEFAULTS.value_bytes)
                rows = plot_data.data_points(data, path, header=plot_data.has_header(plot))
                yield PlotFile(path, "from-remote", tuple(rows))
        except MlopsError as error:
            yield replace(file, state="not-in-git", detail=str(error))

    def _contents(self, revision: Revision, wanted: str) -> Iterator[tuple[str, delivery.Content]]:
        """The file, or the files of the folder, from the storage of the output that it is in."""
        out, opened = self._opened(revision, wanted, members=True)
        if opened.content is None:
            return
        found = [(out["path"], opened.content)] if not out.get("is_dir") else []
        for member in opened.members:
            path = f"{out['path']}/{member.path}"
            if within(path, wanted):
                found.append((path, opened.member(member)))
        if not found:
            raise ContentError("the folder that the stage wrote has no such file")
        for path, content in found:
            self._stored += 1
            if self._stored > MAX_STORED:
                raise ContentError(f"more than {MAX_STORED} files of storages are not read at once")
            yield path, content

    def _opened(self, revision: Revision, path: str, *, members: bool) -> tuple[dict[str, Any], delivery.Opened]:
        owner = self.plots.owner(revision.name, path)
        if owner is None:
            raise ContentError(tk._("Neither Git nor a stage of this revision has it."))
        opened = delivery.open_out(owner.origin, owner.out, members=members)
        if opened.public:
            raise ContentError(tk._("It lies openly on the web; this portal does not look there."))
        return owner.out, opened


def cost(file: PlotFile) -> float:
    """What reading a listed file takes: bytes of CSV in Git; without end where a storage has to be asked."""
    if file.state == "from-remote":
        return float("inf")
    quick = file.path.lower().endswith(_QUICK)
    return (file.size or 0) * (1 if quick else _SLOW) if file.state == "in-git" else 0


def within(path: str, folder: str) -> bool:
    """Whether a path is another one, or below it."""
    return path == folder or path.startswith(folder + "/")


def _gone() -> str:
    return tk._("The portal has no copy of the repository any more; harvest it again.")


def _bounded(content: delivery.Content, limit: int) -> bytes:
    size = content.stat().size
    if size > limit:
        raise ContentError(f"is {size} bytes, more than the limit of {limit}")
    return b"".join(content.read(0, size))
