"""What a stage's definition says, whatever file format it is written in, before hashes and Git are looked at."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from . import cache
from .errors import ContentError
from .limits import Limits
from .places import Located, Place
from .records import OutputKind, SourceHint, StageKind
from .said import said
from .untrusted import clean, clean_command, plain

ANNOTATIONS = ("desc", "type", "labels", "meta")
OPTIONS = frozenset({"cache", "persist", "push", "remote", "checkpoint", *ANNOTATIONS})
PLOT = ("x", "y", "x_label", "y_label", "title", "template", "header")
_STAGE_KEYS = frozenset(
    [
        "cmd",
        "deps",
        "outs",
        "params",
        "metrics",
        "plots",
        "desc",
        "meta",
        "frozen",
        "locked",
        "wdir",
        "always_changed",
        "vars",
        "foreach",
        "do",
        "matrix",
        "md5",
    ]
)
# Lists of outputs in dvc.yaml: key, kind, cached. The last five are retired spellings of DVC 1.
_OUT_LISTS: tuple[tuple[str, OutputKind, dict[str, Any]], ...] = (
    ("outs", "data", {}),
    ("metrics", "metrics", {}),
    ("plots", "plots", {}),
    ("outs_no_cache", "data", {"cache": False}),
    ("metrics_no_cache", "metrics", {"cache": False}),
    ("plots_no_cache", "plots", {"cache": False}),
    ("outs_persist", "data", {"persist": True}),
    ("outs_persist_no_cache", "data", {"persist": True, "cache": False}),
)


class OutShape(NamedTuple):
    """An output: where it is, its options, and its hash entry when the same file has it (``*.dvc``)."""

    at: Located
    kind: OutputKind
    options: dict[str, Any]
    info: dict[str, Any] | None = None
    plot: dict[str, Any] | None = None


class DepShape(NamedTuple):
    """A dependency as it is declared; ``raw`` also finds it in the lock."""

    at: Located
    raw: str
    info: dict[str, Any] | None = None


class ParamShape(NamedTuple):
    """Keys of one params file; None for all of them. ``raw`` is the file's name in the lock."""

    file: str
    raw: str
    keys: tuple[str, ...] | None
    values: dict[str, Any] | None = None


@dataclass(eq=False, slots=True)
class Shape:
    """A stage's definition. Equal identity means equal content, so it can be a key of a memo.

    ``looked`` are the paths whose Git objects the stage's record depends on, ``param_files`` those that it also needs
    while it has no lock entry, ``out_paths`` the outputs in the repository, ``metrics`` paths and ``plots`` paths with
    their options. These, its name and its root are asked of every stage of every tree. The rest is asked for when a
    record is made: a shape from the cache unpacks it then, as a :class:`.documents.Block` does.
    """

    address: str
    file: str
    name: str
    root: str
    place: Place
    line: int | None = None
    kind: StageKind = "stage"
    command: str = ""
    wdir: str = ""
    deps: tuple[DepShape, ...] = ()
    outs: tuple[OutShape, ...] = ()
    params: tuple[ParamShape, ...] = ()
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    hints: tuple[SourceHint, ...] = ()
    problems: tuple[str, ...] = ()
    datasets: dict[str, Any] = field(default_factory=dict)
    looked: tuple[str, ...] = field(init=False)
    param_files: tuple[str, ...] = field(init=False)
    out_paths: tuple[str, ...] = field(init=False)
    metrics: tuple[str, ...] = field(init=False)
    plots: tuple[tuple[str, dict[str, Any]], ...] = field(init=False)
    packed: bytes = field(init=False, default=b"", repr=False)

    def __post_init__(self) -> None:
        inside = [out for out in self.outs if not out.at.url and not out.at.outside]
        self.out_paths = tuple(out.at.path for out in inside)
        self.looked = tuple(
            out.at.path for out in inside if out.kind == "metrics" or out.options.get("cache", True) is False
        )
        self.param_files = tuple(item.file for item in self.params if item.values is None)
        self.metrics = tuple(out.at.path for out in self.outs if out.kind == "metrics")
        self.plots = tuple(
            (out.at.path, out.plot or {}) for out in self.outs if out.kind == "plots" and not out.at.outside
        )

    def __reduce__(self) -> tuple[Callable[..., Shape], tuple[Any, ...]]:
        packed = self.packed or cache.pack([getattr(self, name) for name in _PACKED])
        return _packed_shape, (packed, *(getattr(self, name) for name in _AT_HAND))

    def __getattr__(self, name: str) -> Any:
        if name not in _PACKED:
            raise AttributeError(name)
        for each, value in zip(_PACKED, cache.unpack(self.packed), strict=True):
            setattr(self, each, value)
        return getattr(self, name)


_AT_HAND = ("name", "root", "looked", "param_files", "out_paths", "metrics", "plots")
_PACKED = tuple(each.name for each in fields(Shape) if each.name not in (*_AT_HAND, "packed"))


def _packed_shape(packed: bytes, *at_hand: Any) -> Shape:
    shape = Shape.__new__(Shape)
    shape.packed = packed
    for name, value in zip(_AT_HAND, at_hand, strict=True):
        setattr(shape, name, value)
    return shape


@dataclass(eq=False, slots=True)
class Label:
    """What an ``artifacts:`` entry says of the output at ``path``."""

    name: str
    path: str
    notes: dict[str, Any]


def pipeline_shape(name: str, definition: Any, *, file: str, root: str, line: int | None, limits: Limits) -> Shape:
    """The shape of a stage of a ``dvc.yaml``, templates resolved.

    :raises ContentError: the definition is not a mapping
    """
    if not isinstance(definition, dict):
        raise ContentError("its definition is not a mapping", path=file, line=line, remedy="give it at least 'cmd'")
    folder = posixpath.dirname(file)
    place = stage_place(folder, definition.get("wdir"))
    problems: list[str] = []
    outs: list[OutShape] = []
    for key, kind, forced in _OUT_LISTS:
        for raw, options in _entries(definition.get(key), key, problems):
            outs.append(_pipeline_out(place.locate(raw), kind, {**options, **forced}, limits))
    deps = tuple(DepShape(place.locate(raw), raw) for raw, _ in _entries(definition.get("deps"), "deps", problems))
    known = _STAGE_KEYS | {key for key, _, _ in _OUT_LISTS}
    return Shape(
        address=f"{file}:{name}" if folder else name,
        file=file,
        name=name,
        root=root,
        place=place,
        line=line,
        command=clean_command(definition.get("cmd"), limits),
        wdir=place.base if definition.get("wdir") else "",
        deps=deps,
        outs=tuple(outs),
        params=tuple(_params(definition.get("params"), place, root, problems)),
        frozen=definition.get("frozen") is True or definition.get("locked") is True,
        always_changed=definition.get("always_changed") is True,
        desc=clean(definition.get("desc"), 10 * limits.text),
        meta=mapping(definition.get("meta"), limits),
        extra=_unknown(definition, known, limits, problems),
        problems=tuple(problems),
    )


def file_shape(value: Any, *, file: str, root: str, limits: Limits) -> Shape | None:
    """The shape of a ``*.dvc`` or ``Dvcfile``: a tracked file, an import, or a stage of DVC 0.x and 1.x.

    None when the file is empty.

    :raises ContentError: it is not a mapping
    """
    if value is None or value == {}:
        return None
    if not isinstance(value, dict):
        raise ContentError("is not a DVC file: not a mapping", path=file, remedy="see 'dvc add'")
    place = stage_place(posixpath.dirname(file), value.get("wdir"))
    problems: list[str] = []
    outs = tuple(_file_out(place, item, limits, problems) for item in _items(value.get("outs"), "outs", problems))
    deps: list[DepShape] = []
    params: list[ParamShape] = []
    for item in _items(value.get("deps"), "deps", problems):
        raw = item.get("path")
        given = item.get("params")
        if isinstance(given, (dict, list)):
            text = raw if isinstance(raw, str) else _default_params(root)
            values = given if isinstance(given, dict) else None
            keys = tuple(clean(key) for key in given)
            params.append(ParamShape(_param_file(place, root, raw), text, keys or None, values))
        else:
            deps.append(DepShape(place.locate(raw if raw is not None else ""), clean(raw), item))
    known = frozenset(["md5", "cmd", "wdir", "deps", "outs", "desc", "meta", "frozen", "locked", "always_changed"])
    shape = Shape(
        address=file,
        file=file,
        name=posixpath.basename(file),
        root=root,
        place=place,
        command=clean_command(value.get("cmd"), limits),
        wdir=place.base if value.get("wdir") not in (None, ".") else "",
        deps=tuple(deps),
        outs=outs,
        params=tuple(params),
        frozen=value.get("frozen") is True or value.get("locked") is True,
        always_changed=value.get("always_changed") is True,
        desc=clean(value.get("desc"), 10 * limits.text),
        meta=mapping(value.get("meta"), limits),
        extra=_unknown(value, known, limits, problems),
        problems=tuple(problems),
    )
    shape.kind = _kind(value.get("cmd"), shape)
    return shape


def stage_place(folder: str, wdir: Any) -> Place:
    """Where paths of a stage start: its ``wdir`` below the folder of its file; the root when that is outside."""
    if not isinstance(wdir, str) or not wdir:
        return Place(folder)
    base = posixpath.normpath(posixpath.join(folder, wdir.replace("\\", "/")))
    if base == "." or base.startswith(("/", "..")):
        return Place("")
    return Place(clean(base))


def mapping(value: Any, limits: Limits) -> dict[str, Any]:
    """A ``meta`` value as a mapping; another kind of value is kept under ``value``."""
    if value is None:
        return {}
    kept = plain(value, limits)
    return kept if isinstance(kept, dict) else {"value": kept}


def output_notes(options: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """``desc``, ``type``, ``labels``, ``meta`` of an output or artifact as fields of a record."""
    labels = options.get("labels")
    return {
        "desc": clean(options.get("desc", options.get("description")), 10 * limits.text),
        "type": clean(options.get("type"), 100),
        "labels": tuple(clean(label, 200) for label in labels[:200]) if isinstance(labels, list) else (),
        "meta": mapping(options.get("meta"), limits),
    }


def _pipeline_out(at: Located, kind: OutputKind, options: dict[str, Any], limits: Limits) -> OutShape:
    plot = {key: plain(options[key], limits) for key in PLOT if key in options} if kind == "plots" else None
    return OutShape(at, kind, options, None, plot)


def _file_out(place: Place, item: dict[str, Any], limits: Limits, problems: list[str]) -> OutShape:
    raw = item.get("path")
    if raw is None:
        problems.append(said("an output has no path"))
    kind: OutputKind = "data"
    plot = None
    if item.get("metric") or isinstance(item.get("metric"), dict):
        kind = "metrics"
    elif item.get("plot") or isinstance(item.get("plot"), dict):
        kind = "plots"
        plot = plain(item["plot"], limits) if isinstance(item["plot"], dict) else {}
    return OutShape(place.locate(raw if raw is not None else ""), kind, item, item, plot)


def _kind(command: Any, shape: Shape) -> StageKind:
    if command:
        return "stage"
    for dep in shape.deps:
        if dep.info and isinstance(dep.info.get("repo"), dict):
            return "import"
        if dep.info and "db" in dep.info:
            return "import-db"
    if len(shape.deps) == 1 and len(shape.outs) == 1:
        return "import-url"
    return "stage" if shape.deps else "data"


def _items(value: Any, key: str, problems: list[str]) -> Iterator[dict[str, Any]]:
    """The mappings of a list in a ``*.dvc`` file or lock."""
    if value is None:
        return
    if not isinstance(value, list):
        problems.append(said(f"'{key}' is not a list"))
        return
    for item in value:
        if isinstance(item, dict):
            yield item
        elif isinstance(item, str):
            yield {"path": item}
        else:
            problems.append(said(f"an entry of '{key}' is not a mapping"))


def _entries(value: Any, key: str, problems: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """``(path, options)`` of a list in ``dvc.yaml``, whose entries are paths or ``path: options``."""
    if value is None:
        return
    if not isinstance(value, list):
        value = [value] if isinstance(value, (str, dict)) else []
        problems.append(said(f"'{key}' is not a list"))
    for item in value:
        if isinstance(item, str):
            yield item, {}
        elif isinstance(item, dict):
            for path, options in item.items():
                # Several plots of one file come as a list of options; the file is one output.
                first = options[0] if isinstance(options, list) and options else options
                yield str(path), first if isinstance(first, dict) else {}
        elif item is not None:
            yield str(item), {}


def _default_params(root: str) -> str:
    return posixpath.join(root, "params.yaml") if root else "params.yaml"


def _param_file(place: Place, root: str, raw: Any) -> str:
    return place.locate(raw).path if isinstance(raw, str) and raw else _default_params(root)


def _params(value: Any, place: Place, root: str, problems: list[str]) -> Iterator[ParamShape]:
    if value is None:
        return
    if not isinstance(value, list):
        problems.append(said("'params' is not a list"))
        value = [value]
    default: list[str] = []
    files: dict[str, tuple[str, ...] | None] = {}
    for item in value:
        if isinstance(item, dict):
            for file, keys in item.items():
                name = str(file)
                if keys is None or not isinstance(keys, (list, str)):
                    files[name] = None
                elif files.get(name, ()) is not None:
                    more = tuple(clean(key) for key in ([keys] if isinstance(keys, str) else keys))
                    files[name] = (files.get(name) or ()) + more
        else:
            default.append(clean(item))
    if default:
        yield ParamShape(place.locate("params.yaml").path, "params.yaml", tuple(default))
    for name, keys in files.items():
        yield ParamShape(place.locate(name).path, name, keys or None)


def _unknown(value: dict[str, Any], known: Iterable[str], limits: Limits, problems: list[str]) -> dict[str, Any]:
    names = [key for key in value if key not in known]
    if names:
        listed = ", ".join(sorted(clean(name, 60) for name in names))
        problems.append(said(f"unknown key {listed}"))
    return {clean(name, 200): plain(value[name], limits) for name in names}
