"""Plan: what a harvest would do to each dataset, and why. Data only; nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from . import reasons
from .datasets import Dataset, note_move, trace_of
from .drafts import Draft
from .moves import between
from .text import line

ChangeKind = Literal["added", "changed", "unchanged", "retired"]
KINDS: tuple[ChangeKind, ...] = ("added", "changed", "unchanged", "retired")
MAX_FIELDS = 100
_UNCOUNTED = ("dvc_commit", "name", "resources")


@dataclass(frozen=True)
class Known:
    """What the catalog remembers of a dataset since its last harvest; see :class:`Dataset` for the digests."""

    digest: str
    refs_digest: str
    retired: bool = False
    title: str = ""


@dataclass(frozen=True)
class Change:
    """What happens to one dataset.

    :param before: the package dict as last harvested; None when ``added`` or ``unchanged``
    :param after: the dataset to write; None when ``unchanged``
    :param fields: what differs, ``{"field": "resources/model.pkl/hash", "before": …, "after": …}``, values cut short
    :param reason: for people
    :param refs: of an unchanged dataset: version id → refs, when others show them; ``refs_digest`` theirs
    """

    kind: ChangeKind
    guid: str
    title: str = ""
    before: dict[str, Any] | None = None
    after: Dataset | None = None
    fields: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    refs: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    refs_digest: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "kind": self.kind,
            "guid": self.guid,
            "title": self.title,
            "before": self.before,
            "after": self.after.to_dict() if self.after else None,
            "fields": self.fields,
            "reason": self.reason,
            "refs": self.refs,
            "refs_digest": self.refs_digest,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Change:
        """What :meth:`to_dict` wrote."""
        after = data.get("after")
        return cls(**{**data, "after": Dataset.from_dict(after) if after else None})


@dataclass(frozen=True)
class Plan:
    """All changes of one harvest, and the figures of what was read."""

    changes: list[Change]
    stages: int = 0
    outputs: int = 0
    problems: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many datasets are ``added``, ``changed``, ``unchanged`` and ``retired``, and the ``problems``."""
        result: dict[str, int] = dict.fromkeys(KINDS, 0)
        for change in self.changes:
            result[change.kind] += 1
        return result | {"problems": self.problems}

    @property
    def work(self) -> list[Change]:
        """The changes that are to be written."""
        return [change for change in self.changes if change.kind != "unchanged"]

    def summary(self) -> str:
        """One line: ``12 stages, 40 outputs: 3 added, 1 changed, 8 unchanged``."""
        shown = [f"{number:,} {name}" for name, number in self.counts.items() if number or name in KINDS[:3]]
        return f"{_count(self.stages, 'stage')}, {_count(self.outputs, 'output')}: {', '.join(shown)}"

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "changes": [change.to_dict() for change in self.changes],
            "stages": self.stages,
            "outputs": self.outputs,
            "problems": self.problems,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Plan:
        """What :meth:`to_dict` wrote."""
        return cls(**{**data, "changes": [Change.from_dict(each) for each in data["changes"]]})


def plan(
    datasets: Iterable[Dataset | Draft],
    known: Mapping[str, Known],
    before: Callable[[str], Dataset],
    *,
    unread: Iterable[str] = (),
    today: str,
    problems: int = 0,
) -> Plan:
    """Compare what was read with what was harvested last.

    :param known: guid → what the catalog remembers, of this source only
    :param before: gives the dataset as last harvested; called for changed and retired ones only
    :param unread: names of revisions that could not be read completely. Nothing is retired then, and what such a
        revision showed at the last harvest is kept.
    :param today: ISO date that marks a retired dataset
    """
    missing = frozenset(unread)
    changes: list[Change] = []
    seen = set()
    outputs = 0
    for each in datasets:
        seen.add(each.guid)
        outputs += each.outputs
        changes.append(_compare(each, known.get(each.guid), before, missing))
    changes += [_gone(guid, known[guid], before, missing, today) for guid in known.keys() - seen]
    changes = _with_moves(changes)
    changes.sort(key=lambda change: change.guid)
    return Plan(changes, stages=len(seen), outputs=outputs, problems=problems)


def _compare(
    draft: Dataset | Draft, known: Known | None, before: Callable[[str], Dataset], unread: frozenset[str]
) -> Change:
    digest = draft.digest  # of a new one, too: it is remembered for the next time
    if known is not None and not unread and digest == known.digest:
        return _unchanged(draft, known)
    dataset = draft.dataset
    title = dataset.package["title"]
    if known is None:
        return Change("added", dataset.guid, title, after=dataset, reason=_found(dataset))
    old: Dataset | None = None
    if unread and not known.retired:
        old = before(dataset.guid)
        shown = {ref["name"] for version in dataset.versions for ref in version["refs"]}
        if old.package["dvc_revision"] in unread - shown:
            return Change("unchanged", dataset.guid, title, reason=_kept(unread))
        dataset = _with_unread(dataset, old, unread - shown)
    if dataset.digest != known.digest:
        # What it went on from at first stays so: it may be in the catalog only, and not in the repository any more.
        old = old or before(dataset.guid)
        moved = {key: old.package[key] for key in ("dvc_moved_from", "dvc_moved_why") if old.package.get(key)}
        if any(dataset.package.get(key) != value for key, value in moved.items()):
            dataset = replace(dataset, package=dataset.package | moved)
    if dataset.digest == known.digest:
        return _unchanged(dataset, known)
    old = old or before(dataset.guid)
    fields = differences(old, dataset)
    reason = reasons.BACK if known.retired else _reason(fields)
    return Change("changed", dataset.guid, title, old.package, dataset, fields, reason)


def _unchanged(draft: Dataset | Draft, known: Known) -> Change:
    title = known.title or draft.dataset.package["title"]
    digest = draft.refs_digest
    if digest == known.refs_digest:
        return Change("unchanged", draft.guid, title)
    return Change("unchanged", draft.guid, title, reason=reasons.REFS, refs=draft.refs, refs_digest=digest)


def _gone(guid: str, known: Known, before: Callable[[str], Dataset], unread: frozenset[str], today: str) -> Change:
    if known.retired:
        return Change("unchanged", guid, known.title, reason=reasons.RETIRED)
    if unread:
        return Change("unchanged", guid, known.title, reason=_kept(unread))
    old = before(guid)
    after = replace(
        old,
        package=old.package | {"dvc_retired": today},
        versions=[version | {"refs": []} for version in old.versions],
    )
    fields = [{"field": "dvc_retired", "before": "", "after": today}]
    return Change("retired", guid, old.package["title"], old.package, after, fields, reasons.GONE)


def _with_moves(changes: list[Change]) -> list[Change]:
    """What is retired and goes on under an address that is new says so, and so does the new one."""
    gone, new = (
        {each.after.package["dvc_stage"]: each for each in changes if each.after and each.kind == kind}
        for kind in ("retired", "added")
    )
    if not gone or not new:
        return changes
    traces = [[trace_of(change.after) for change in each.values() if change.after] for each in (gone, new)]
    told: dict[str, Change] = {}
    for move in between(*traces):
        before, after = gone[move.before], new[move.after]
        if before.after is None or after.after is None:
            continue
        one, two = dict(before.after.package), dict(after.after.package)
        note_move(one, two, move)
        goes_on = {"field": "dvc_moved_to", "before": "", "after": two["id"]}
        told[before.guid] = replace(
            before,
            after=replace(before.after, package=one),
            fields=[*before.fields, goes_on],
            reason=reasons.GOES_ON_AS.format(reason=before.reason, stage=move.after),
        )
        told[after.guid] = replace(
            after,
            after=replace(after.after, package=two),
            reason=reasons.GOES_ON_FROM.format(reason=after.reason, stage=move.before, evidence=move.evidence()),
        )
    return [told.get(change.guid, change) for change in changes]


def _found(dataset: Dataset) -> str:
    return reasons.FOUND.format(revision=dataset.package["dvc_revision"])


def _kept(unread: frozenset[str]) -> str:
    return reasons.listed(reasons.KEPT, reasons.KEPT_MORE, [line(name, 100) for name in sorted(unread)], 3)


def _with_unread(dataset: Dataset, old: Dataset, unread: frozenset[str]) -> Dataset:
    """``dataset`` with what the unread revisions showed at the last harvest."""
    rows = {version["id"]: version for version in dataset.versions}
    carried = set()
    for version in old.versions:
        refs = [ref for ref in version["refs"] if ref["name"] in unread]
        if not refs:
            continue
        if version["id"] in rows:
            refs = rows[version["id"]]["refs"] + refs
            rows[version["id"]] = rows[version["id"]] | {"refs": refs}
        else:
            rows[version["id"]] = version | {"refs": refs, "current": False}
            carried.add(version["id"])
    ordered = sorted(rows.values(), key=lambda row: (row["committed"], row["digest"]), reverse=True)
    total = len(ordered)
    return replace(
        dataset,
        versions=[row | {"position": total - index} for index, row in enumerate(ordered)],
        edges=dataset.edges + [edge | {"current": False} for edge in old.edges if edge["version_id"] in carried],
    )


def differences(old: Dataset, new: Dataset) -> list[dict[str, Any]]:
    """What differs between two states of a dataset, field by field; at most :data:`MAX_FIELDS`."""
    found = _differences("", old.package, new.package, skip=_UNCOUNTED)
    before = {resource["id"]: resource for resource in old.package["resources"]}
    after = {resource["id"]: resource for resource in new.package["resources"]}
    for key in [*before, *(key for key in after if key not in before)]:
        one, two = before.get(key), after.get(key)
        path = f"resources/{(two or one or {}).get('dvc_path') or key}"
        if one is None or two is None:
            found.append({"field": path, "before": _shown(one and one["name"]), "after": _shown(two and two["name"])})
        else:
            found += _differences(f"{path}/", one, two, skip=("url",))
    known = {version["id"] for version in old.versions}
    added = sum(version["id"] not in known for version in new.versions)
    gone = len(known - {version["id"] for version in new.versions})
    if added or gone:
        found.append({"field": "versions", "before": len(old.versions), "after": len(new.versions)})
    if old.edges != new.edges and not added and not gone:
        found.append({"field": "lineage", "before": len(old.edges), "after": len(new.edges)})
    return found[:MAX_FIELDS]


def _differences(prefix: str, one: dict[str, Any], two: dict[str, Any], skip: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"field": prefix + key, "before": _shown(one.get(key)), "after": _shown(two.get(key))}
        for key in dict.fromkeys([*one, *two])
        if key not in skip and one.get(key) != two.get(key)
    ]


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, list):
        value = ", ".join(
            str(item.get("name") or item.get("label") or item) if isinstance(item, dict) else str(item)
            for item in value
        )
    return line(str(value), 200)


def _reason(fields: list[dict[str, Any]]) -> str:
    names = list(
        dict.fromkeys(each["field"].removeprefix("resources/") for each in fields if each["field"] != "versions")
    )
    if len(names) < len(fields):
        names.append(reasons.VERSIONS)
    return reasons.listed(reasons.CHANGED, reasons.CHANGED_MORE, names, 5) if names else reasons.FACTS


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
