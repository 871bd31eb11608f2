"""Upload: datasets and files into a portal, only what differs from what is there.

Many datasets go in one request (``mlops_dataset_load``), small files with them; larger files are streamed one by one
and hashed on the way. Everything is found again by its name and hash, so an upload that broke is simply run again: it
sends what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from ckanext.mlops.client.hashing import file_md5
from ckanext.mlops.client.portal import ClientError, Portal, sentence
from ckanext.mlops.client.records import DatasetRecord, FileRecord

#: Files up to this size travel with their dataset's metadata.
TINY = 64 * 1024
#: Files up to this size are hashed before anything is sent; larger ones while they are sent, when they are new.
HASHED_FIRST = 64 * 1024 * 1024
#: Files larger than this are sent in parts, so that a break costs one part only.
IN_PARTS = 64 * 1024 * 1024
BATCH = 50
BATCH_BYTES = 8 * 1024 * 1024
Progress = Callable[[int], None]


@dataclass
class Result:
    """What happened to one record: ``created``, ``updated``, ``unchanged`` or ``failed``.

    :param changed: fields and resources that differ
    :param uploaded: names of the files that were sent (in a plan: that would be)
    """

    place: str
    name: str
    status: str
    id: str = ""
    url: str = ""
    changed: list[str] = field(default_factory=list)
    uploaded: list[str] = field(default_factory=list)
    bytes: int = 0
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def plan(portal: Portal, records: Iterable[DatasetRecord], *, jobs: int = 4) -> Iterator[Result]:
    """What :func:`upload` would do. Nothing is written."""
    yield from _run(portal, records, jobs=jobs, dry_run=True, progress=None, stop=False)


def upload(
    portal: Portal,
    records: Iterable[DatasetRecord],
    *,
    jobs: int = 4,
    progress: Progress | None = None,
    stop_at_error: bool = False,
) -> Iterator[Result]:
    """Register the datasets and send their files; a result for each, as they end.

    :param jobs: requests at the same time
    :param progress: called with the number of bytes that went out, also from other threads
    :param stop_at_error: begin nothing more after the first failure
    """
    yield from _run(portal, records, jobs=jobs, dry_run=False, progress=progress, stop=stop_at_error)


def _run(
    portal: Portal,
    records: Iterable[DatasetRecord],
    *,
    jobs: int,
    dry_run: bool,
    progress: Progress | None,
    stop: bool,
) -> Iterator[Result]:
    batches = _batches(iter(records))
    # One pool for batches and one for files: a batch that waits for its files does not keep them from starting.
    with ThreadPoolExecutor(jobs) as pool, ThreadPoolExecutor(jobs) as senders:
        waiting: set[Future[list[Result]]] = set()
        failed = False
        while True:
            room = jobs + 1 - len(waiting)
            for batch in islice(batches, 0 if failed and stop else room):
                waiting.add(pool.submit(_batch, portal, batch, senders, dry_run, progress))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                for result in future.result():
                    failed = failed or result.status == "failed"
                    yield result


def _batches(records: Iterator[DatasetRecord]) -> Iterator[list[DatasetRecord]]:
    batch: list[DatasetRecord] = []
    size = 0
    for record in records:
        own = sum(file_size(each) for each in record.files if file_size(each) <= TINY)
        if batch and (len(batch) >= BATCH or size + own > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += own
    if batch:
        yield batch


def file_size(file: FileRecord) -> int:
    """Bytes of a file, 0 for one that is elsewhere or gone."""
    try:
        return file.path.stat().st_size if file.path is not None else 0
    except OSError:
        return 0


def _batch(
    portal: Portal,
    records: Sequence[DatasetRecord],
    senders: ThreadPoolExecutor,
    dry_run: bool,
    progress: Progress | None,
) -> list[Result]:
    packages: list[dict[str, Any]] = []
    contents: dict[str, tuple[str, bytes]] = {}
    results: list[Result] = []
    ready: list[DatasetRecord] = []
    for record in records:
        try:
            package, own = _package(record, len(contents))
        except OSError as error:
            results.append(Result(record.place, record.name, "failed", error=f"{record.place}: {error}"))
            continue
        packages.append(package)
        contents.update(own)
        ready.append(record)
    if not ready:
        return results
    files = {} if dry_run else contents
    data = {"datasets": json.dumps(packages), "dry_run": json.dumps(dry_run)}
    try:
        answers = portal.action("mlops_dataset_load", files=files or None, **data)["results"]
    except ClientError as error:
        return results + [Result(each.place, each.name, "failed", error=str(error)) for each in ready]
    if progress is not None:
        progress(sum(len(content) for _, content in files.values()))
    sent = {package["name"]: _sent(package, files) for package in packages}
    futures = [
        (record, answer, _send_files(portal, record, answer, senders, dry_run, progress))
        for record, answer in zip(ready, answers, strict=True)
    ]
    return results + [
        _result(portal, record, answer, sent[record.name], [each.result() for each in waiting])
        for record, answer, waiting in futures
    ]


def _package(record: DatasetRecord, offset: int) -> tuple[dict[str, Any], dict[str, tuple[str, bytes]]]:
    package = record.package()
    resources: list[dict[str, Any]] = []
    contents: dict[str, tuple[str, bytes]] = {}
    for file in record.files:
        resource = file.resource()
        if file.path is not None:
            size = file.path.stat().st_size
            resource["content"] = "later"
            if size <= max(HASHED_FIRST, TINY):
                resource |= {"hash": file_md5(file.path), "hash_algorithm": "md5", "size": size}
            if size <= TINY:
                key = resource["content"] = f"content-{offset + len(contents)}"
                contents[key] = (file.path.name, file.path.read_bytes())
        resources.append(resource)
    if resources:
        package["resources"] = resources
    return package, contents


def _sent(package: dict[str, Any], files: dict[str, Any]) -> dict[str, str]:
    """Name of a resource → hash, of those whose content went along."""
    return {each["name"]: each.get("hash", "") for each in package.get("resources", ()) if each.get("content") in files}


@dataclass(frozen=True)
class _Sent:
    name: str
    bytes: int = 0
    error: str = ""
    skipped: bool = False


def _send_files(
    portal: Portal,
    record: DatasetRecord,
    answer: dict[str, Any],
    senders: ThreadPoolExecutor,
    dry_run: bool,
    progress: Progress | None,
) -> list[Future[_Sent]]:
    if answer["status"] == "failed":
        return []
    files = {each.name: each for each in record.files}
    return [
        senders.submit(_send, portal, files[each["name"]], each, dry_run, progress)
        for each in answer["resources"]
        if each["needed"]
    ]


def _send(portal: Portal, file: FileRecord, there: dict[str, Any], dry_run: bool, progress: Progress | None) -> _Sent:
    path = file.path
    if path is None:
        return _Sent(file.name, skipped=True)
    try:
        size = path.stat().st_size
        if there["hash"] and size > HASHED_FIRST and file_md5(path) == there["hash"]:
            return _Sent(file.name, skipped=True)
        if not dry_run:
            if size > IN_PARTS:
                done = portal.append_file(there["id"], path, progress=progress)
            else:
                fields = {"id": there["id"], "hash_algorithm": "md5", "size": str(size)}
                done = portal.send_file("resource_patch", path, fields, progress=progress)
            if done.get("hash") != done["sent_hash"]:
                return _Sent(file.name, error=f"{path}: the portal has hash {done.get('hash')}; send it again")
        return _Sent(file.name, size)
    except (OSError, ClientError) as error:
        return _Sent(file.name, error=str(error))


def _result(
    portal: Portal, record: DatasetRecord, answer: dict[str, Any], along: dict[str, str], sent: list[_Sent]
) -> Result:
    status = answer["status"]
    error = sentence(answer["errors"]) if answer["errors"] else ""
    error = "; ".join(filter(None, [error, *(each.error for each in sent)]))
    there = {each["name"]: each["hash"] for each in answer["resources"]}
    went = [name for name, digest in along.items() if there.get(name) != digest] if status != "failed" else []
    went += [each.name for each in sent if not each.error and not each.skipped]
    if error:
        status = "failed"
    elif went and status == "unchanged":
        status = "updated"
    sizes = {each.name: file_size(each) for each in record.files}
    return Result(
        record.place,
        record.name,
        status,
        answer["id"],
        f"{portal.url}/dataset/{record.name}",
        answer["changed"],
        went,
        sum(sizes[name] for name in went),
        error,
    )
