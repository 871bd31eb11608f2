"""The facts that a repository holds, as frozen records.

One record type serves every DVC format from 0.x stage files to ``dvc.yaml`` with a schema-2.0 lock. Paths are
POSIX and relative to the root of the Git repository, whatever the file's own folder or ``wdir``. Dates are ISO 8601
in UTC (``2019-09-02T12:00:00Z``). Sizes are bytes. Text that comes from a repository is untrusted: it is
length-bounded here and must be escaped where it is shown. No record ever holds a credential.

``to_dict``/``from_dict`` turn any record into plain JSON values and back without loss.
"""

from __future__ import annotations

import dataclasses
import types
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

RefKind = Literal["branch", "tag", "experiment", "commit"]
StageKind = Literal["stage", "data", "import", "import-url", "import-db", "lfs"]
OutputKind = Literal["data", "model", "metrics", "plots"]
DependencyKind = Literal["path", "repo", "url", "db", "dataset", "stage"]
HashAlgorithm = Literal["md5", "md5-dos2unix", "sha256", "etag", "checksum"]
MetricState = Literal["in-git", "not-in-git", "invalid", "from-remote"]
#: Metric states that have values.
KNOWN_METRICS: tuple[MetricState, ...] = ("in-git", "from-remote")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Repository:
    """A Git repository.

    :param url: where it was read from, credentials and query removed
    :param name: last part of the URL without ``.git``
    :param default_branch: short name of the branch that HEAD names; ``""`` when HEAD names none
    """

    url: str
    name: str
    default_branch: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """A branch, tag, DVC experiment or plain commit, peeled to its commit.

    ``ref`` is the full reference name (``refs/tags/baseline``), ``""`` for a plain commit, whose name is its full
    id. ``date`` is the committer's; ``note`` is the message of an annotated tag; ``tree`` the id of the root folder:
    revisions with one tree hold the same files.
    """

    name: str
    kind: RefKind
    commit: str
    ref: str = ""
    date: str = ""
    author: str = ""
    message: str = ""
    note: str = ""
    tree: str = ""


@dataclass(frozen=True, slots=True)
class Remote:
    """A DVC remote: ``url`` is fit to be shown (no user info, no query; ``""`` for a private local path)."""

    name: str
    kind: str
    url: str = ""
    default: bool = False
    version_aware: bool = False
    worktree: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """What a stage writes, or a tracked file.

    :param hash: as DVC writes it (directories end in ``.dir``); None when never computed
    :param algorithm: how the hash was made; ``md5-dos2unix`` is DVC 2's and older text-normalised md5
    :param kind: what it is for
    :param cached: False when Git itself holds the content (``cache: false``)
    :param pushed: False when ``push: false`` keeps it from every remote
    :param remote: name of the DVC remote that stores it, ``""`` when there is none
    :param storage: URL of the stored object, credentials removed; for a private local remote only the part below
        the remote's folder (``files/md5/ab/cdef…``); ``""`` when nothing is stored
    :param blob: Git object id when Git holds the content
    :param artifact: name under ``artifacts:`` (the name that GTO tags use)
    :param plot: how it is drawn (``x``, ``y``, ``title``, ...) when it is a plot
    :param extra: what no field has: unknown keys, ``invalid_hash``, ``files`` of a cloud-versioned folder as
        ``[path, md5, size]``, ``outside`` for a path that is not in the
        repository: a digest of it
    """

    path: str
    hash: str | None = None
    algorithm: HashAlgorithm | None = None
    size: int | None = None
    nfiles: int | None = None
    is_dir: bool = False
    kind: OutputKind = "data"
    cached: bool = True
    pushed: bool = True
    persist: bool = False
    remote: str = ""
    storage: str = ""
    version_id: str = ""
    blob: str = ""
    type: str = ""
    desc: str = ""
    labels: tuple[str, ...] = ()
    artifact: str = ""
    plot: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a stage reads.

    :param path: in this repository for kind ``path``; in the other one for ``repo``; else a name
    :param source: URL of the other repository (``repo``) or of the data (``url``), credentials removed
    :param rev: revision asked for, ``rev_lock`` the commit that was used (``repo``)
    """

    path: str
    kind: DependencyKind = "path"
    hash: str | None = None
    algorithm: HashAlgorithm | None = None
    size: int | None = None
    nfiles: int | None = None
    source: str = ""
    rev: str = ""
    rev_lock: str = ""
    version_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceHint:
    """An outside source that a command names (``kaggle competitions download -c titanic``): a hint, not a lock."""

    kind: str
    uri: str
    label: str


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter that a stage was run with: ``value`` as locked, or as the file says when there is no lock."""

    file: str
    key: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Metric:
    """The values of one metrics file.

    ``not-in-git``: DVC stores the file in a remote, Git has only its hash. ``invalid``: Git has it, it cannot be
    parsed; ``detail`` says why. ``from-remote``: somebody asked for what the remote has (:mod:`.stored`).
    """

    file: str
    state: MetricState
    values: Any = None
    detail: str = ""

    @property
    def known(self) -> bool:
        """Whether there are values."""
        return self.state in KNOWN_METRICS


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: what is drawn from which files.

    :param files: paths in the repository; ``name`` is the only one when the plot has no name of its own
    :param blobs: Git object ids of those of them that Git holds, path to id
    :param options: ``x``, ``y``, ``title``, ``x_label``, ``y_label``, ``template`` as text or plain values; files in
        ``x`` and ``y`` are paths in the repository
    """

    name: str
    files: tuple[str, ...] = ()
    blobs: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """A step, or a tracked file.

    :param address: DVC's own: ``train`` (root ``dvc.yaml``), ``sub/dvc.yaml:train``, ``data/raw.csv.dvc``, ``Dvcfile``
    :param file: the file that defines it
    :param root: folder of its DVC root (``""`` = the repository's root)
    :param line: line of the definition in ``file`` where known
    """

    address: str
    file: str
    name: str
    kind: StageKind = "stage"
    root: str = ""
    line: int | None = None
    command: str = ""
    wdir: str = ""
    deps: tuple[Dependency, ...] = ()
    outs: tuple[Output, ...] = ()
    params: tuple[Param, ...] = ()
    metrics: tuple[Metric, ...] = ()
    hints: tuple[SourceHint, ...] = ()
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was not read, or read with doubt. The rest of the revision is unaffected."""

    message: str
    path: str = ""
    line: int | None = None
    revision: str = ""
    stage: str = ""
    remedy: str = ""
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All facts of one distinct tree, with every revision that shows it.

    ``complete`` is False when a part could not be read (a broken file, a limit): what is absent from such a snapshot
    must not be taken for removed.

    :param metrics: of the files that ``dvc.yaml`` names at its top; a stage's own are in :class:`Stage`
    :param params: what the params files say at this revision, all that DVC would show; :attr:`Stage.params` are the
        values that a stage was run with
    :param plots: data files that ``dvc.yaml`` draws, of stages and of its top
    """

    revisions: tuple[Revision, ...]
    stages: tuple[Stage, ...] = ()
    remotes: tuple[Remote, ...] = ()
    problems: tuple[Problem, ...] = ()
    metrics: tuple[Metric, ...] = ()
    params: tuple[Param, ...] = ()
    readme: str = ""
    license: str = ""
    complete: bool = True
    plots: tuple[Plot, ...] = ()


def to_dict(record: Any) -> dict[str, Any]:
    """The record as JSON values; fields at their default are left out."""
    result = {}
    for name, default in _defaults(record.__class__):
        value = getattr(record, name)
        if value != default or value.__class__ is not default.__class__:
            result[name] = _plain(value)
    return result


@cache
def _defaults(kind: type) -> list[tuple[str, Any]]:
    """Names and defaults of a record's fields; the defaults are compared, never handed out."""
    return [
        (item.name, item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default)
        for item in dataclasses.fields(kind)
    ]


def from_dict(kind: type[R], data: dict[str, Any]) -> R:
    """The record of type ``kind`` that :func:`to_dict` wrote. Unknown keys raise TypeError."""
    record_type: type = kind
    hints = _hints(record_type)
    unknown = data.keys() - hints.keys()
    if unknown:
        raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    return kind(**{key: _typed(hints[key], value) for key, value in data.items()})


def _plain(value: Any) -> Any:
    if value.__class__ is str or value is None:
        return value
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _typed(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin is tuple:
        return tuple(_typed(get_args(hint)[0], item) for item in value)
    if origin in (Union, types.UnionType):
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value)
    return value
