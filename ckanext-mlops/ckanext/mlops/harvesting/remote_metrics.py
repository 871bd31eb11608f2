"""Metrics that only a storage holds, fetched for a source that asks for it: each content once, and within bounds.

Only storages that the operator gave to the repository are read (:mod:`.transfers.storages`). What was fetched is part
of the versions that show it, so that a later reading has it without the storage.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckanext.harvest.model import HarvestObject
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.core.errors import ContentError
from ckanext.mlops.core.limits import Limits
from ckanext.mlops.core.records import Metric, Output, Problem, Snapshot, to_dict
from ckanext.mlops.core.storage import ObjectMissing, StorageError, read_all
from ckanext.mlops.core.stored import filled, proven, values_of
from ckanext.mlops.logic.auth.files import ON_REQUEST
from ckanext.mlops.model import Version
from ckanext.mlops.transfers import storages

_THREADS = 8
Key = tuple[str, str]


@dataclass(frozen=True)
class Filled:
    """Snapshots with what was fetched, one problem for each file at each revision that was not to be had.

    :param settled: asking again would give the same
    """

    snapshots: list[Snapshot]
    problems: list[Problem] = field(default_factory=list)
    settled: bool = True


@dataclass(frozen=True)
class _Failure:
    message: str
    remedy: str = ""
    settled: bool = False


def on_request(session: Session, source_id: str) -> frozenset[str]:
    """The guids of a source's datasets whose files are given on request."""
    rows = session.scalars(
        sa.select(HarvestObject.guid)
        .join(model.Package, model.Package.id == HarvestObject.package_id)
        .where(
            HarvestObject.harvest_source_id == source_id,
            HarvestObject.current,
            model.Package.extras["data_access"].astext == ON_REQUEST,
        )
    )
    return frozenset(map(str, rows))


def fill(
    known: dict[Key, Any], repository: str, snapshots: Sequence[Snapshot], limits: Limits, hidden: frozenset[str]
) -> Filled:
    """Fetch what is missing, and put it into the snapshots.

    :param known: what was fetched before, by path and hash
    :param repository: its URL
    :param hidden: guids of datasets that are left out
    """
    wanted = _wanted(repository, snapshots, hidden)
    found: dict[Key, Any] = {key: known[key] for key in wanted if key in known}
    failed: dict[Key, _Failure] = {}
    _fetch(repository, {key: out for key, out in wanted.items() if key not in found}, limits, found, failed)

    def value(metric: Metric, out: Output) -> Metric:
        key = _key(out)
        return Metric(metric.file, "from-remote", found[key]) if key in found else metric

    memo: dict[int, Any] = {}
    settled = all(each.settled for each in failed.values())
    return Filled([filled(each, value, memo) for each in snapshots], _problems(snapshots, failed), settled)


def _wanted(repository: str, snapshots: Iterable[Snapshot], hidden: frozenset[str]) -> dict[Key, Output]:
    wanted: dict[Key, Output] = {}
    left_out: set[Key] = set()
    for snapshot in snapshots:
        files = {metric.file for metric in snapshot.metrics if metric.state == "not-in-git"}
        for stage in snapshot.stages:
            own = files | {metric.file for metric in stage.metrics if metric.state == "not-in-git"}
            mine = (
                {_key(out): out for out in stage.outs if out.path in own and out.hash and not out.is_dir} if own else {}
            )
            if mine and naming.dataset_guid(repository, stage.address) in hidden:
                left_out |= mine.keys()
            wanted |= mine
    return {key: out for key, out in wanted.items() if key not in left_out}


def _key(out: Output) -> Key:
    return out.path, out.hash or ""


def _fetch(
    repository: str, wanted: dict[Key, Output], limits: Limits, found: dict[Key, Any], failed: dict[Key, _Failure]
) -> None:
    places: list[tuple[Key, Output, storages.Place]] = []
    for key, out in wanted.items():
        place = _place(repository, out)
        if isinstance(place, _Failure):
            failed[key] = place
        elif len(places) >= limits.stored_files:
            why = f"more than {limits.stored_files:,} files would be fetched at once (limit: stored_files)"
            failed[key] = _Failure(why, "the next harvest goes on")
        else:
            places.append((key, out, place))
    deadline = time.monotonic() + limits.stored_seconds
    with ThreadPoolExecutor(_THREADS) as pool:
        values = pool.map(lambda job: _read(job[1], job[2], limits, deadline), places)
        for (key, _, _), value in zip(places, values, strict=True):
            if isinstance(value, _Failure):
                failed[key] = value
            else:
                found[key] = value


def _place(repository: str, out: Output) -> storages.Place | _Failure:
    choice = storages.choose(repository, to_dict(out))
    if choice is None or choice.public:
        remote = f' "{out.remote}"' if out.remote else ""
        return _Failure(
            f"this portal is not told how to read the DVC remote{remote}",
            "ask its operator for a storage, or push there",
        )
    try:
        return storages.place(choice)
    except StorageError as error:
        return _Failure(str(error))


def _read(out: Output, place: storages.Place, limits: Limits, deadline: float) -> Any:
    """The values in a file, or why there are none. Runs in a thread: nothing of CKAN is used."""
    if time.monotonic() > deadline:
        why = f"fetching took more than {limits.stored_seconds:g} seconds (limit: stored_seconds)"
        return _Failure(why, "the next harvest goes on")
    try:
        if out.size is not None and out.size > limits.stored_bytes:
            return _too_large(limits)
        found = place.store.stat(place.key, place.version)
        if found is None:
            raise ObjectMissing
        if found.size > limits.stored_bytes:
            return _too_large(limits)
        data = read_all(place.store, place.key, limits.stored_bytes, place.version)
        if not proven(out, data):
            return _Failure("the storage has something else under that hash", "push it again")
        return values_of(data, out.path, limits)
    except ObjectMissing:
        return _Failure("the storage does not have it", "run 'dvc push'")
    except StorageError as error:
        return _Failure(str(error))
    except ContentError as error:
        return _Failure(error.message, settled=True)


def _too_large(limits: Limits) -> _Failure:
    why = f"larger than {limits.stored_bytes:,} bytes (limit: stored_bytes); its values are not fetched"
    return _Failure(why, settled=True)


def _problems(snapshots: Iterable[Snapshot], failed: dict[Key, _Failure]) -> list[Problem]:
    problems = []
    for snapshot in snapshots if failed else ():
        for stage in snapshot.stages:
            for out in stage.outs:
                failure = failed.get(_key(out))
                if failure is not None:
                    problems += [
                        Problem(failure.message, out.path, None, each.name, stage.name, failure.remedy, "warning")
                        for each in snapshot.revisions
                    ]
    return problems


def fetched(session: Session, source_id: str) -> dict[Key, Any]:
    """What earlier readings of a source fetched: (path, hash) → values."""
    mine = sa.select(HarvestObject.package_id).where(
        HarvestObject.harvest_source_id == source_id, HarvestObject.current
    )
    rows = session.execute(
        sa.select(Version.facts["metrics"], Version.facts["outs"]).where(
            Version.package_id.in_(mine), Version.facts.contains({"metrics": [{"state": "from-remote"}]})
        )
    )
    found: dict[Key, Any] = {}
    for metrics, outs in rows:
        hashes = {str(out.get("path")): str(out.get("hash") or "") for out in outs}
        found |= {
            (metric["file"], hashes.get(metric["file"], "")): metric.get("values")
            for metric in metrics
            if metric.get("state") == "from-remote"
        }
    return found
