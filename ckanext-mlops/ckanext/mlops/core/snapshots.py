"""From trees to snapshots: windows of revisions, each distinct folder, file, block and stage handled once."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

from .documents import Block, Document, DocumentParser
from .errors import ContentError
from .gitobjects import GitObject, GitObjects
from .ignore import Ignored
from .limits import Limits
from .memo import Memo
from .pipelines import Pipeline, PipelineReader, labels, merge_params
from .places import Place
from .pointers import PointerReader
from .records import Metric, Param, Plot, Problem, Revision, Snapshot, Stage
from .remotes import Remotes, parse_config
from .shapes import Label, Shape, file_shape
from .stages import StageBuilder
from .trees import Found, TooManyFolders, Trees
from .untrusted import clean
from .values import ValueReader, decode, nest

Group = tuple[str, tuple[Revision, ...]]
_WINDOW = 32
_FOLDER = "/"
_MAX_LISTED = 200
_COMMIT = "commit the file that DVC wrote"


@dataclass(slots=True)
class _Work:
    """One tree on its way to a snapshot."""

    tree: str
    revisions: tuple[Revision, ...]
    found: Found = field(default_factory=Found)
    parts: list[tuple[Shape, Block, tuple[str, ...], tuple[Label, ...], Remotes]] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)
    labels: dict[str, Label] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remotes: list[Remotes] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    pointers: list[Stage] = field(default_factory=list)
    singles: list[Shape] = field(default_factory=list)


class SnapshotReader:
    """Reads snapshots of one repository; keep one for all of its revisions."""

    def __init__(
        self,
        objects: GitObjects,
        repository_url: str,
        limits: Limits,
        hints: Callable[[str], tuple[Any, ...]],
    ) -> None:
        self.objects = objects
        self.limits = limits
        self.trees = Trees(objects, limits)
        self._documents = DocumentParser(limits)
        self._value_reader = ValueReader(limits)
        self._pipelines = PipelineReader(limits, hints)
        self._hints = hints
        # Entries of memos are compared by identity, these too.
        self._no_lock = Block(None)
        self._no_remotes = Remotes({})
        #: Stages that were not remembered, and the most that one snapshot has.
        self.built = self.largest = 0
        self._pointers = PointerReader(objects, self.trees, limits)
        self._ignored: Memo[tuple[tuple[str, str], ...], Ignored] = Memo(64)
        self._builder = StageBuilder(repository_url, limits, self.values)
        self._texts: Memo[str, str | ContentError] = Memo(64)
        self._parsed: Memo[str, Document | ContentError] = Memo(64)
        self._values: Memo[tuple[str, str], Any] = Memo(512)
        self._configs: Memo[str, Remotes] = Memo(256)
        self._made: Memo[tuple[str, str, str], list[Pipeline]] = Memo(256)
        self._files: Memo[tuple[str, str, str], Shape | ContentError | bool] = Memo(512)
        self._stages: Memo[tuple[Any, ...], tuple[Stage, tuple[str, ...]]] = Memo(512)

    def save(self) -> list[Any]:
        """What a warm start needs. Identity stands for content in it, so it has to be kept as one whole."""
        return [self._no_lock, self._no_remotes, *(memo.items() for memo in self._memory())]

    def warm(self, saved: list[Any]) -> None:
        """Start with what another reader of the same repository and limits remembered."""
        self._no_lock, self._no_remotes, *memos = saved
        for memo, items in zip(self._memory(), memos, strict=True):
            memo.fill(items)

    def _memory(self) -> list[Memo[Any, Any]]:
        return [
            self._documents.blocks,
            self._value_reader.blocks,
            self._pipelines.shapes,
            self._texts,
            self._parsed,
            self._values,
            self._configs,
            self._made,
            self._files,
            self._stages,
        ]

    def read(self, groups: Iterable[Group]) -> Iterator[Snapshot]:
        """One snapshot per group, in order."""
        source = iter(groups)
        while window := list(islice(source, _WINDOW)):
            yield from self._window(window)

    def values(self, oid: str, path: str) -> Any:
        """Parsed values of a params or metrics file.

        :raises ContentError: it is not readable
        """
        key = (oid, posixpath.splitext(path)[1].lower())
        value = self._values.get(key)
        if value is None:
            for item in self.objects.read([oid], self.limits.value_bytes):
                value = self._parse_values(item, path)
            self._values[key] = value
        if isinstance(value, ContentError):
            raise value
        return cast(tuple[Any], value)[0]

    def _window(self, window: Sequence[Group]) -> Iterator[Snapshot]:
        self.trees.missing.clear()
        work = [_Work(tree, revisions) for tree, revisions in window]
        try:
            self.trees.load(item.tree for item in work)
        except TooManyFolders as error:
            if len(window) > 1:
                for group in window:
                    yield from self._window([group])
                return
            yield self._refused(work[0], str(error))
            return
        for item in work:
            try:
                item.found = self.trees.find(item.tree)
            except TooManyFolders as error:
                item.problems.append(Problem(str(error), remedy="the revision is not read"))
        self._load(work)
        for item in work:
            self._plan(item)
        self._prefetch(work)
        for item in work:
            yield self._snapshot(item)

    def _refused(self, item: _Work, message: str) -> Snapshot:
        problem = Problem(message, revision=item.revisions[0].name, remedy="the revision is not read")
        return Snapshot(item.revisions, problems=(problem,), complete=False)

    def _load(self, work: Sequence[_Work]) -> None:
        """Read and parse the DVC files of a window that are not known yet."""
        wanted: dict[str, str] = {}
        total = 0
        for item in work:
            total = max(total, len(item.found.files))
            for path, oid in item.found.files:
                if oid not in wanted and self._parsed.get(oid) is None:
                    wanted[oid] = path
        self._parsed.reserve(2 * total + len(wanted))
        self._files.reserve(2 * total)
        for blob in self.objects.read(wanted, self.limits.dvc_bytes):
            path = wanted[blob.oid]
            self._parsed[blob.oid] = self._parse(blob, path)

    def _parse(self, blob: GitObject, path: str) -> Document | ContentError:
        try:
            data = self._data(blob, self.limits.dvc_bytes)
            name = posixpath.basename(path)
            if path.endswith(".dvc/config") or name in (".dvcignore", ".gitattributes") or _is_text(name):
                return Document(data.decode("utf-8", "replace"))
            text = decode(data)
            document = self._documents.parse(text)
            if name == "dvc.yaml":
                self._texts[blob.oid] = text
            return document
        except ContentError as error:
            return error

    def _data(self, blob: GitObject, limit: int) -> bytes:
        if blob.kind == "blob":
            return blob.data
        if blob.kind == "large":
            raise ContentError(
                f"is {blob.size} bytes, more than the limit of {limit}", remedy="split it, or raise the limit"
            )
        if blob.kind == "missing" and self.objects.partial:
            raise ContentError("was left on the server because of its size", remedy="raise the size limit of mirrors")
        raise ContentError(f"its Git object {blob.oid[:12]} is {blob.kind}", remedy="fetch the repository anew")

    def _parse_values(self, blob: GitObject, path: str) -> Any:
        try:
            return (self._value_reader.read(self._data(blob, self.limits.value_bytes), path),)
        except ContentError as error:
            return error

    def _look(self, tree: str, path: str) -> str:
        """Object id of the file at ``path``, ``/`` and the id of a folder, or ``""``."""
        return self.trees.blob(tree, path) or (_FOLDER + found if (found := self.trees.tree(tree, path)) else "")

    def _plan(self, item: _Work) -> None:
        files = dict(item.found.files)
        item.roots = sorted(item.found.roots, key=len, reverse=True)
        pairs: list[tuple[Pipeline, dict[str, Block], Remotes]] = []
        singles: list[tuple[Shape, Remotes]] = []
        for path in item.found.odd:
            item.problems.append(
                Problem("is a symbolic link or submodule, not a file; it is not read", path=path, severity="warning")
            )
        ignored = self._ignore(item)
        attributes = []
        for path, oid in item.found.files:
            name = posixpath.basename(path)
            if ignored and not _is_text(name) and ignored.hides(path):
                continue
            if name == "dvc.yaml":
                pairs.append(self._pipeline(item, files, path, oid))
            elif name == "dvc.lock":
                if path[:-4] + "yaml" not in files:
                    pairs.append(self._orphan(item, path, oid))
            elif name == "Dvcfile" or name.endswith(".dvc"):
                shape = self._file(item, path, oid)
                if shape is not None:
                    singles.append((shape, self._remotes(item, files, shape.root)))
            elif name == ".gitattributes":
                text = self._parsed.get(oid)
                if isinstance(text, Document) and "filter=lfs" in str(text.top):
                    attributes.append(path)
            elif name == "artifacts.yaml":
                document = self._parsed.get(oid)
                if isinstance(document, Document):
                    place = Place(posixpath.dirname(path))
                    item.labels.update({label.path: label for label in labels(document.top, place, self.limits)})
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
        item.singles = [shape for shape, _ in singles]
        for shape, remotes in singles:
            self._part(item, shape, self._no_lock, remotes)
        for root in item.found.roots:
            remotes = self._remotes(item, files, root)
            if remotes not in item.remotes:
                item.remotes.append(remotes)
        # What one snapshot needs must be remembered until the next one asks for it.
        for memo in (self._stages, self._documents.blocks, self._pipelines.shapes):
            memo.reserve(2 * len(item.parts))
        self._values.reserve(2 * sum(len(part[2]) for part in item.parts))

    def _ignore(self, item: _Work) -> Ignored | None:
        """The tree's ``.dvcignore`` files, None when they hide nothing."""
        files = tuple((path, oid) for path, oid in item.found.files if posixpath.basename(path) == ".dvcignore")
        if not files:
            return None
        ignored = self._ignored.get(files)
        if ignored is None:
            texts = [(posixpath.dirname(path), self._parsed.get(oid)) for path, oid in files]
            ignored = Ignored((folder, str(text.top)) for folder, text in texts if isinstance(text, Document))
            self._ignored[files] = ignored
        return ignored

    def _part(self, item: _Work, shape: Shape, block: Block, remotes: Remotes) -> None:
        paths = shape.looked if block is not self._no_lock else shape.looked + shape.param_files
        tree = item.tree
        oids = tuple([self._look(tree, path) for path in paths])
        known = item.labels
        marks = tuple([known[path] for path in shape.out_paths if path in known]) if known else ()
        item.parts.append((shape, block, oids, marks, remotes))

    def _root(self, item: _Work, path: str) -> str:
        for root in item.roots:
            if not root or path.startswith(root + "/"):
                return root
        return ""

    def _remotes(self, item: _Work, files: Mapping[str, str], root: str) -> Remotes:
        oid = files.get(posixpath.join(root, ".dvc/config"))
        if oid is None:
            return self._no_remotes
        remotes = self._configs.get(oid)
        if remotes is None:
            document = self._parsed.get(oid)
            remotes = parse_config(document.top, self.limits) if isinstance(document, Document) else self._no_remotes
            self._configs[oid] = remotes
        return remotes

    def _pipeline(
        self, item: _Work, files: Mapping[str, str], path: str, oid: str
    ) -> tuple[Pipeline, dict[str, Block], Remotes]:
        root = self._root(item, path)
        remotes = self._remotes(item, files, root)
        lock_path = path[:-4] + "lock"
        lock = self._lock(item, lock_path, files.get(lock_path))
        document = self._parsed.get(oid)
        if isinstance(document, ContentError):
            item.problems.append(_problem(document, path))
            return self._pipelines.lock_only(path, root, lock), lock, remotes
        known = self._made.get((oid, path, root)) or []
        for pipeline in known:
            if not pipeline.problems and all(
                self.trees.blob(item.tree, at) == seen for at, seen in pipeline.looked.items()
            ):
                return pipeline, lock, remotes
        text = self._texts.get(oid)
        if document is None or text is None or isinstance(text, ContentError):
            for blob in self.objects.read([oid], self.limits.dvc_bytes):
                document = self._parse(blob, path)
                self._parsed[oid] = document
            text = self._texts.get(oid)
        try:
            if not isinstance(document, Document) or not isinstance(text, str):
                raise document if isinstance(document, ContentError) else ContentError("cannot be read")
            tree = item.tree
            pipeline = self._pipelines.read(
                text, document, path, root, lambda at: self.trees.blob(tree, at), self.values, lock
            )
        except ContentError as error:
            item.problems.append(_problem(error, path))
            return self._pipelines.lock_only(path, root, lock), lock, remotes
        self._made[(oid, path, root)] = [pipeline, *known[:20]]
        return pipeline, lock, remotes

    def _orphan(self, item: _Work, path: str, oid: str) -> tuple[Pipeline, dict[str, Block], Remotes]:
        """A lock without its pipeline: DVC ignores it, and so do we, with a word."""
        del oid
        item.problems.append(
            Problem(
                "has no dvc.yaml beside it; it is not read", path=path, remedy="commit dvc.yaml", severity="warning"
            )
        )
        return Pipeline(), {}, self._no_remotes

    def _lock(self, item: _Work, path: str, oid: str | None) -> dict[str, Block]:
        document = self._parsed.get(oid) if oid else None
        if isinstance(document, ContentError):
            item.problems.append(_problem(document, path, _COMMIT))
            return {}
        if document is None or (document.top is None and not document.stages):
            return {}
        if not isinstance(document.top, dict):
            item.problems.append(Problem("is not a lock: not a mapping", path=path, remedy=_COMMIT))
            return {}
        if "schema" in document.top or document.stages:
            return document.stages
        return {str(name): Block(value) for name, value in document.top.items()}

    def _file(self, item: _Work, path: str, oid: str) -> Shape | None:
        root = self._root(item, path)
        key = (oid, path, root)
        shape = self._files.get(key)
        if shape is None:
            shape = self._file_shape(path, oid, root)
            self._files[key] = shape
        if isinstance(shape, ContentError):
            item.problems.append(_problem(shape, path))
            return None
        return shape if isinstance(shape, Shape) else None

    def _file_shape(self, path: str, oid: str, root: str) -> Shape | ContentError | bool:
        document = self._parsed.get(oid)
        if document is None:
            for blob in self.objects.read([oid], self.limits.dvc_bytes):
                document = self._parse(blob, path)
        if not isinstance(document, Document):
            return document or ContentError("cannot be read")
        try:
            value = document.top
            if isinstance(value, dict) and document.stages:
                value = {**value, "stages": {name: block.value for name, block in document.stages.items()}}
            shape = file_shape(value, file=path, root=root, limits=self.limits)
        except ContentError as error:
            return error
        if shape is None:
            return False
        shape.hints = self._hints(shape.command) if shape.command else ()
        if document.duplicates:
            shape.problems += tuple(f"key given twice: {key}; the last one counts" for key in document.duplicates)
        return shape

    def _prefetch(self, work: Sequence[_Work]) -> None:
        """Read the values files that new stages of a window need, in one go."""
        wanted: dict[str, str] = {}
        for item in work:
            for part in item.parts:
                shape, block, oids, _, _ = part
                if oids and self._stages.get(part) is None:
                    paths = shape.looked if block is not self._no_lock else shape.looked + shape.param_files
                    kinds = {out.at.path for out in shape.outs if out.kind == "metrics"} | set(shape.param_files)
                    pairs = zip(oids, paths, strict=True)
                    wanted.update((oid, path) for oid, path in pairs if oid and oid[0] != _FOLDER and path in kinds)
            for path in self._params_files(item):
                oid = self.trees.blob(item.tree, path)
                if oid:
                    wanted[oid] = path
        missing = [
            oid for oid, path in wanted.items() if self._values.get((oid, posixpath.splitext(path)[1].lower())) is None
        ]
        self._values.reserve(len(missing))
        for blob in self.objects.read(missing, self.limits.value_bytes):
            path = wanted[blob.oid]
            self._values[(blob.oid, posixpath.splitext(path)[1].lower())] = self._parse_values(blob, path)

    def _snapshot(self, item: _Work) -> Snapshot:
        revision = item.revisions[0].name
        stages: list[Stage] = []
        problems = [_at(problem, revision) for problem in item.problems]
        for pipeline in item.pipelines:
            problems.extend(_at(problem, revision) for problem in pipeline.problems)
        for part in item.parts:
            made = self._stages.get(part)
            if made is None:
                made = self._stage(item, *part)
                self.built += 1
                self._stages[part] = made
            stages.append(made[0])
            stage, messages = made
            problems.extend(
                Problem(message, stage.file, stage.line, revision, stage.address, severity="warning")
                for message in messages
            )
        self.largest = max(self.largest, len(item.parts))
        stages.extend(item.pointers)
        if len(stages) > self.limits.stages:
            problems.append(Problem(f"more than {self.limits.stages} stages; the rest is not read", revision=revision))
            stages = stages[: self.limits.stages]
        readme, license_ = self._text(item, "readme"), self._text(item, ("license", "licence", "copying"))
        remotes = [remote for one in item.remotes for remote in one.by_name.values()]
        return Snapshot(
            revisions=item.revisions,
            stages=tuple(stages),
            remotes=tuple(remotes),
            problems=tuple(problems),
            metrics=tuple(self._top_metrics(item, problems)),
            params=tuple(self._params(item)),
            readme=readme,
            license=license_,
            complete=not any(problem.severity == "error" for problem in problems),
            plots=tuple(self._plots(item)),
        )

    def _stage(
        self,
        item: _Work,
        shape: Shape,
        block: Block,
        oids: tuple[str, ...],
        marks: tuple[Label, ...],
        remotes: Remotes,
    ) -> tuple[Stage, tuple[str, ...]]:
        paths = shape.looked if block is not self._no_lock else shape.looked + shape.param_files
        held = dict(zip(paths, oids, strict=True))
        for path, oid in list(held.items()):
            if oid[:1] == _FOLDER:
                held.update((f"{path}/{name}", child) for name, child in self.trees.walk(oid[1:], _MAX_LISTED))
        return self._builder.build(shape, block.value, held, remotes, {label.path: label for label in marks})

    def _top_metrics(self, item: _Work, problems: list[Problem]) -> Iterator[Metric]:
        mine = {
            path for shape, *_ in item.parts for out in shape.outs if out.kind == "metrics" for path in [out.at.path]
        }
        cached = None
        for path in dict.fromkeys(path for pipeline in item.pipelines for path in pipeline.metrics):
            if path in mine:
                continue
            oid = self._look(item.tree, path)
            held = {}
            if oid[:1] == _FOLDER:
                held = {f"{path}/{name}": child for name, child in self.trees.walk(oid[1:], _MAX_LISTED)}
            elif not oid:
                if cached is None:
                    cached = [path for shape, *_ in item.parts for path in shape.out_paths]
                inside = any(path == out or path.startswith(out + "/") for out in cached)
                yield from self._builder.metrics(path, "", inside, {}, [])
                continue
            messages: list[str] = []
            yield from self._builder.metrics(path, oid, False, held, messages)
            problems.extend(
                Problem(message, path, revision=item.revisions[0].name, severity="warning") for message in messages
            )

    def _params_files(self, item: _Work) -> dict[str, tuple[str, ...] | None]:
        """Params files and the keys that are asked of them, None for all: as ``dvc params show`` does."""
        asked: list[tuple[str, tuple[str, ...] | None]] = []
        for pipeline in item.pipelines:
            asked += pipeline.param_files.items()
        asked += [(posixpath.join(root, "params.yaml"), None) for root in item.found.roots or ("",)]
        files = merge_params(asked, item.singles)
        for pipeline in item.pipelines:
            for path, keys in pipeline.used.items():
                if not path.endswith("]"):
                    files.setdefault(path, keys)
        return files

    def _params(self, item: _Work) -> Iterator[Param]:
        for path, keys in self._params_files(item).items():
            oid = self.trees.blob(item.tree, path)
            if not oid:
                continue
            found = self._builder.file_params(path, oid, keys)
            if keys is not None:
                values: dict[str, Any] = {}
                for param in found:
                    nest(values, param.key, param.value)
                found = [Param(path, key, value) for key, value in values.items()]
            yield from found

    def _plots(self, item: _Work) -> Iterator[Plot]:
        for shape, *_ in item.parts:
            for out in shape.outs:
                if out.kind == "plots" and not out.at.outside:
                    oid = self._look(item.tree, out.at.path)
                    yield Plot(out.at.path, (out.at.path,), _held(out.at.path, oid), out.plot or {})
        for pipeline in item.pipelines:
            for name, files, options in pipeline.plots:
                blobs: dict[str, str] = {}
                for path in files:
                    blobs.update(_held(path, self._look(item.tree, path)))
                yield Plot(name, files, blobs, options)

    def _text(self, item: _Work, prefix: str | tuple[str, ...]) -> str:
        best = ""
        for path, oid in item.found.files:
            if "/" not in path and _is_text(path) and path.lower().startswith(prefix):
                document = self._parsed.get(oid)
                if isinstance(document, Document) and (not best or path.lower().endswith(".md")):
                    best = clean(document.top, self.limits.text_bytes)
        return best


def _held(path: str, oid: str) -> dict[str, str]:
    return {path: oid} if oid and oid[0] != _FOLDER else {}


def _is_text(name: str) -> bool:
    return name.lower().startswith(("readme", "licen", "copying")) and not name.endswith(".dvc")


def _problem(error: ContentError, path: str, remedy: str = "") -> Problem:
    return Problem(error.message, path=error.path or path, line=error.line, remedy=error.remedy or remedy)


def _at(problem: Problem, revision: str) -> Problem:
    return Problem(
        problem.message, problem.path, problem.line, revision, problem.stage, problem.remedy, problem.severity
    )
