"""From trees to snapshots: windows of revisions, each distinct folder, file, block and stage handled once."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from .collecting import paused
from .documents import Block, Document
from .errors import ContentError
from .files import FileReader, is_text
from .gitobjects import GitObjects
from .ignore import Ignored
from .limits import Limits
from .memo import Memo
from .pipelines import Pipeline, PipelineReader, labels
from .places import Place
from .pointers import PointerReader
from .records import Problem, Revision, Snapshot, Stage
from .remotes import Remotes, parse_config
from .said import said
from .sections import SectionReader
from .shapes import Shape, file_shape
from .stages import StageBuilder
from .trees import TooManyFolders, Trees
from .work import Part, Work, looked

Group = tuple[str, tuple[Revision, ...]]
_WINDOW = 32
_FOLDER = "/"
_MAX_LISTED = 200
_COMMIT = said("commit the file that DVC wrote")


class SnapshotReader:
    """Reads snapshots of one repository; keep one for all of its revisions."""

    def __init__(
        self, objects: GitObjects, repository_url: str, limits: Limits, hints: Callable[[str], tuple[Any, ...]]
    ) -> None:
        self.limits = limits
        self.trees = Trees(objects, limits)
        self.files = FileReader(objects, limits)
        self._pipelines = PipelineReader(limits, hints)
        self._hints = hints
        self._pointers = PointerReader(objects, self.trees, limits)
        self._builder = StageBuilder(repository_url, limits, self.files.values)
        self._sections = SectionReader(self.trees, self.files, self._builder)
        # Members of parts are compared by identity, these too.
        self._no_lock = Block(None)
        self._no_remotes = Remotes({})
        self._ignored: Memo[tuple[tuple[str, str], ...], Ignored] = Memo(64)
        self._configs: Memo[str, Remotes] = Memo(256)
        self._made: Memo[tuple[str, str, str], list[Pipeline]] = Memo(256)
        self._shapes: Memo[tuple[str, str, str], Shape | ContentError | bool] = Memo(512)
        self._stages: Memo[Part, tuple[Stage, tuple[str, ...]]] = Memo(512)
        #: Stages that were not remembered, and the most that one snapshot has.
        self.built = self.largest = 0

    def save(self) -> list[Any]:
        """What a warm start needs. Identity stands for content in it, so it has to be kept as one whole."""
        return [self._no_lock, self._no_remotes, *(memo.items() for memo in self._memory())]

    def warm(self, saved: list[Any]) -> None:
        """Start with what another reader of the same repository and limits remembered."""
        self._no_lock, self._no_remotes, *memos = saved
        for memo, items in zip(self._memory(), memos, strict=True):
            memo.fill(items)

    def _memory(self) -> list[Memo[Any, Any]]:
        own: list[Memo[Any, Any]] = [self._configs, self._made, self._shapes, self._stages]
        return [*self.files.memory(), self._pipelines.shapes, *own]

    def read(self, groups: Iterable[Group]) -> Iterator[Snapshot]:
        """One snapshot per group, in order."""
        source = iter(groups)
        while window := list(islice(source, _WINDOW)):
            yield from self._window(window)

    def _window(self, window: Sequence[Group]) -> Iterator[Snapshot]:
        work = [Work(tree, revisions) for tree, revisions in window]
        try:
            self.trees.load(item.tree for item in work)
        except TooManyFolders as error:
            if len(window) > 1:
                for group in window:
                    yield from self._window([group])
                return
            problem = Problem(str(error), revision=work[0].revisions[0].name, remedy="the revision is not read")
            yield Snapshot(work[0].revisions, problems=(problem,), complete=False)
            return
        with paused():
            self._prepare(work)
        for item in work:
            with paused():
                snapshot = self._snapshot(item)
            yield snapshot

    def _prepare(self, work: Sequence[Work]) -> None:
        """Read and parse all that the snapshots are made of."""
        for item in work:
            try:
                item.found = self.trees.find(item.tree)
            except TooManyFolders as error:
                item.problems.append(Problem(str(error), remedy="the revision is not read"))
        most = max(len(item.found.files) for item in work)
        self.files.load((file for item in work for file in item.found.files), most)
        self._shapes.reserve(2 * most)
        for item in work:
            self._plan(item)
        self.files.load_values(pair for item in work for pair in self._value_files(item))

    def _plan(self, item: Work) -> None:
        """Find the parts of the tree's stages."""
        files = dict(item.found.files)
        item.roots = sorted(item.found.roots, key=len, reverse=True)
        for path, why, remedy in item.found.unread:
            item.problems.append(Problem(why, path=path, remedy=remedy))
        for path in item.found.odd:
            message = said("is a symbolic link or submodule, not a file; it is not read")
            item.problems.append(Problem(message, path=path, severity="warning"))
        pairs: list[tuple[Pipeline, Mapping[str, Block], Remotes]] = []
        attributes = []
        ignored = self._ignore(item)
        for path, oid in item.found.files:
            name = posixpath.basename(path)
            if ignored and not is_text(name) and ignored.hides(path):
                continue
            if name == "dvc.yaml":
                pairs.append(self._pipeline(item, files, path, oid))
            elif name == "dvc.lock":
                if path[:-4] + "yaml" not in files:
                    message = said("has no dvc.yaml beside it; it is not read")
                    item.problems.append(Problem(message, path, remedy="commit dvc.yaml", severity="warning"))
            elif name == "Dvcfile" or name.endswith(".dvc"):
                shape = self._file(item, path, oid)
                if shape is not None:
                    item.singles.append(shape)
            elif name == ".gitattributes":
                if "filter=lfs" in str(self._top(oid, path)):
                    attributes.append(path)
            elif name == "artifacts.yaml":
                entries = labels(self._top(oid, path), Place(posixpath.dirname(path)), self.limits)
                item.labels.update({label.path: label for label in entries})
        try:
            item.pointers = self._pointers.stages(item.tree, attributes, "") if attributes else []
        except TooManyFolders as error:
            item.problems.append(Problem(f"git-lfs pointers are not read: {error}"))
        for pipeline, _, _ in pairs:
            item.labels.update({label.path: label for label in pipeline.labels})
            item.pipelines.append(pipeline)
        for pipeline, lock, remotes in pairs:
            for shape in pipeline.shapes:
                self._part(item, shape, lock.get(shape.name, self._no_lock), remotes)
        for shape in item.singles:
            self._part(item, shape, self._no_lock, self._remotes(files, shape.root))
        for root in item.found.roots:
            remotes = self._remotes(files, root)
            if remotes not in item.remotes:
                item.remotes.append(remotes)
        for memo in (self._stages, self._pipelines.shapes):
            memo.reserve(2 * len(item.parts))
        self.files.reserve(len(item.parts), sum(len(part.oids) for part in item.parts))

    def _top(self, oid: str, path: str) -> Any:
        """What a file says, None when it cannot be read."""
        document = self.files.document(oid, path)
        return document.top if isinstance(document, Document) else None

    def _ignore(self, item: Work) -> Ignored | None:
        """The tree's ``.dvcignore`` files, None when there are none."""
        files = tuple((path, oid) for path, oid in item.found.files if posixpath.basename(path) == ".dvcignore")
        if not files:
            return None
        ignored = self._ignored.get(files)
        if ignored is None:
            ignored = Ignored((posixpath.dirname(path), str(self._top(oid, path) or "")) for path, oid in files)
            self._ignored[files] = ignored
        return ignored

    def _part(self, item: Work, shape: Shape, lock: Block, remotes: Remotes) -> None:
        tree, known = item.tree, item.labels
        oids = tuple([self.trees.look(tree, path) for path in looked(shape, lock)])
        marks = tuple([known[path] for path in shape.out_paths if path in known]) if known else ()
        item.parts.append(Part(shape, lock, oids, marks, remotes))

    def _remotes(self, files: Mapping[str, str], root: str) -> Remotes:
        path = posixpath.join(root, ".dvc/config")
        oid = files.get(path)
        if oid is None:
            return self._no_remotes
        remotes = self._configs.get(oid)
        if remotes is None:
            remotes = parse_config(str(self._top(oid, path) or ""), self.limits)
            self._configs[oid] = remotes
        return remotes

    def _pipeline(
        self, item: Work, files: Mapping[str, str], path: str, oid: str
    ) -> tuple[Pipeline, Mapping[str, Block], Remotes]:
        root = item.root(path)
        remotes = self._remotes(files, root)
        lock = self._lock(item, path[:-4] + "lock", files.get(path[:-4] + "lock"))
        tree = item.tree
        known = self._made.get((oid, path, root)) or []
        for pipeline in known:
            if pipeline.holds(lock, lambda at: self.trees.blob(tree, at)):
                return pipeline, lock, remotes
        try:
            document = self.files.document(oid, path)
            if isinstance(document, ContentError):
                raise document
            text = self.files.text(oid, path)
            blob = self.trees.blob
            pipeline = self._pipelines.read(
                text, document, path, root, lambda at: blob(tree, at), self.files.values, lock
            )
        except ContentError as error:
            item.problems.append(_problem(error, path))
            return self._pipelines.lock_only(path, root, lock), lock, remotes
        self._made[(oid, path, root)] = [pipeline, *known[:20]]
        return pipeline, lock, remotes

    def _lock(self, item: Work, path: str, oid: str | None) -> Mapping[str, Block]:
        if oid is None:
            return {}
        document = self.files.document(oid, path)
        if isinstance(document, ContentError):
            item.problems.append(_problem(document, path, _COMMIT))
            return {}
        if document.top is not None and not isinstance(document.top, dict):
            item.problems.append(Problem("is not a lock: not a mapping", path=path, remedy=_COMMIT))
        return document.stages

    def _file(self, item: Work, path: str, oid: str) -> Shape | None:
        root = item.root(path)
        key = (oid, path, root)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._file_shape(path, oid, root)
            self._shapes[key] = shape
        if isinstance(shape, ContentError):
            item.problems.append(_problem(shape, path))
            return None
        return shape if isinstance(shape, Shape) else None

    def _file_shape(self, path: str, oid: str, root: str) -> Shape | ContentError | bool:
        """The shape of a ``*.dvc`` file, what is wrong with it, or False when it is empty."""
        document = self.files.document(oid, path)
        if isinstance(document, ContentError):
            return document
        value = document.top
        if isinstance(value, dict) and document.stages:
            value = {**value, "stages": {name: block.value for name, block in document.stages.items()}}
        try:
            shape = file_shape(value, file=path, root=root, limits=self.limits)
        except ContentError as error:
            return error
        if shape is None:
            return False
        shape.hints = self._hints(shape.command) if shape.command else ()
        shape.problems += tuple(f"key given twice: {key}; the last one counts" for key in document.duplicates)
        return shape

    def _value_files(self, item: Work) -> Iterator[tuple[str, str]]:
        """Object ids and paths of the values files that stages not remembered and the params need."""
        for part in item.parts:
            if part.oids and self._stages.get(part) is None:
                wanted = {*part.shape.metrics, *part.shape.param_files}
                for oid, path in zip(part.oids, part.paths(), strict=True):
                    if oid and oid[0] != _FOLDER and path in wanted:
                        yield oid, path
        for path, _, _ in self._sections.params_files(item):
            oid = self.trees.blob(item.tree, path)
            if oid:
                yield oid, path

    def _snapshot(self, item: Work) -> Snapshot:
        revision = item.revisions[0].name
        stages: list[Stage] = []
        problems = [replace(problem, revision=revision) for problem in item.problems]
        for pipeline in item.pipelines:
            problems.extend(replace(problem, revision=revision) for problem in pipeline.problems)
        for part in item.parts:
            made = self._stages.get(part)
            if made is None:
                made = self._stage(part)
                self.built += 1
                self._stages[part] = made
            stage, messages = made
            stages.append(stage)
            if messages:
                place = (stage.file, stage.line, revision, stage.address)
                problems.extend(Problem(message, *place, severity="warning") for message in messages)
        self.largest = max(self.largest, len(item.parts))
        stages.extend(item.pointers)
        if len(stages) > self.limits.stages:
            problems.append(
                Problem(
                    f"more than {self.limits.stages} stages (limit: stages); the rest is not read", revision=revision
                )
            )
            stages = stages[: self.limits.stages]
        metrics = tuple(self._sections.metrics(item, problems))
        return Snapshot(
            revisions=item.revisions,
            stages=tuple(stages),
            remotes=tuple(remote for one in item.remotes for remote in one.by_name.values()),
            problems=tuple(problems),
            metrics=metrics,
            params=tuple(self._sections.params(item)),
            readme=self._sections.text(item, "readme"),
            license=self._sections.text(item, "license", "licence", "copying"),
            complete=not any(problem.severity == "error" for problem in problems),
            plots=tuple(self._sections.plots(item)),
        )

    def _stage(self, part: Part) -> tuple[Stage, tuple[str, ...]]:
        held = dict(zip(part.paths(), part.oids, strict=True))
        for path, oid in list(held.items()):
            if oid[:1] == _FOLDER:
                held.update((f"{path}/{name}", child) for name, child in self.trees.walk(oid[1:], _MAX_LISTED))
        marks = {label.path: label for label in part.labels}
        return self._builder.build(part.shape, part.lock.value, held, part.remotes, marks)


def _problem(error: ContentError, path: str, remedy: str = "") -> Problem:
    return Problem(error.message, path=error.path or path, line=error.line, remedy=error.remedy or remedy)
