"""The commands of ``ckan-mlops`` that speak with a portal: ``upload``, ``get`` and ``link``.

Exit codes: 0 all is done, 1 something failed and the rest is done, 2 the call is wrong, 3 nothing or not all was tried.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from tqdm import tqdm

from ckanext.mlops.client import download, folders, links, spreadsheets, uploads
from ckanext.mlops.client import push as pushing
from ckanext.mlops.client.portal import ClientError, Portal
from ckanext.mlops.client.records import BadRecord, DatasetRecord
from ckanext.mlops.core import Selection, read_repository
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.mirror import update_mirror
from ckanext.mlops.tool.mirrors import default_mirrors, local_address
from ckanext.mlops.tool.render import read_json

F = TypeVar("F", bound=Callable[..., Any])
FAILED, STOPPED = 1, 3


class Stopped(click.ClickException):
    """Not all was tried."""

    exit_code = STOPPED


def portal_options(command: F) -> F:
    """The options that say which portal, and as whom; called as ckanapi calls them."""
    for option in reversed(
        (
            click.option(
                "-r", "--remote", envvar="CKAN_URL", required=True, help="Address of the portal (or $CKAN_URL)."
            ),
            click.option(
                "-a",
                "--apikey",
                envvar="CKAN_API_TOKEN",
                default="",
                help="API token, @FILE to read it from a file (or $CKAN_API_TOKEN, which no other user sees).",
            ),
            click.option(
                "--retries",
                type=click.IntRange(0, 100),
                default=5,
                show_default=True,
                help="Further attempts when the portal is away.",
            ),
            click.option(
                "-p",
                "--processes",
                "jobs",
                type=click.IntRange(1, 64),
                default=4,
                show_default=True,
                help="Requests at the same time.",
            ),
        )
    ):
        command = option(command)
    return command


def open_portal(remote: str, apikey: str, retries: int) -> Portal:
    """The portal of the options.

    :raises UsageError: they cannot be meant so
    """
    if apikey.startswith("@"):
        try:
            apikey = Path(apikey[1:]).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--apikey: {error}") from None
    try:
        return Portal(remote, apikey, retries=retries)
    except ClientError as error:
        raise click.UsageError(str(error)) from None


def _moved(bar: Any) -> Callable[[int], None]:
    def move(size: int) -> None:
        bar.update(size)

    return move


class _Report:
    """Where results go: a line each for people, the file ``--results`` for programs, and the exit code."""

    def __init__(self, results: Path | None, quiet: bool) -> None:
        try:
            self._file = results.open("a", encoding="utf-8") if results else None
        except OSError as error:
            raise click.UsageError(f"--results: {error}") from None
        self._quiet = quiet
        self.counts: Counter[str] = Counter()

    def __call__(self, result: Any, text: str) -> None:
        self.counts[result.status] += 1
        if self._file is not None:
            print(json.dumps(result.to_dict(), ensure_ascii=False), file=self._file, flush=True)
        failed = result.status == "failed"
        if failed or not self._quiet:
            tqdm.write(text, file=click.get_text_stream("stderr" if failed else "stdout"))

    def end(self) -> None:
        """The summary; ends the program when something failed."""
        if self._file is not None:
            self._file.close()
        said = ", ".join(f"{number:,} {status}" for status, number in sorted(self.counts.items())) or "nothing to do"
        click.echo(said)
        if self.counts["failed"]:
            raise click.exceptions.Exit(FAILED)


def _good(items: Iterable[Any], report: _Report, make: Callable[[BadRecord], Any], on_error: str) -> Iterator[Any]:
    """The usable records. The bad ones are reported; with ``stop`` they end the program before anything is sent."""
    if on_error == "stop":
        items = list(items)
        bad = [each for each in items if isinstance(each, BadRecord)]
        if bad:
            raise Stopped("nothing was sent:\n" + "\n".join(map(str, bad)))
    for each in items:
        if isinstance(each, BadRecord):
            report(make(each), f"failed     {each}")
        else:
            yield each


_results = click.option(
    "--results", type=click.Path(dir_okay=False, path_type=Path), help="File that gets one JSON line a record."
)
_on_error = click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    show_default=True,
    help="Bad rows: skip them, or send nothing while there is one; stop also ends at the first refusal.",
)
_dry_run = click.option("--dry-run", "-n", is_flag=True, help="Say what would be done; send nothing.")
_quiet = click.option("--quiet", "-q", is_flag=True, help="Only failures and the summary.")


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@portal_options
@click.option("--organization", "-o", default="", help="Owner of datasets that name none.")
@click.option("--group", "groups", multiple=True, help="Group of datasets that name none; repeatable.")
@click.option("--private/--public", default=None, help="Visibility of datasets that say nothing of it.")
@click.option("--license", "license_id", default="", help="Licence of datasets that name none.")
@_dry_run
@_on_error
@_results
@_quiet
def upload(
    source: Path,
    remote: str,
    apikey: str,
    retries: int,
    jobs: int,
    organization: str,
    groups: tuple[str, ...],
    private: bool | None,
    license_id: str,
    dry_run: bool,
    on_error: str,
    results: Path | None,
    quiet: bool,
) -> None:
    """Register datasets and upload their files.

    SOURCE is a folder with a metadata file beside the data (dataset-metadata.json of Kaggle, datapackage.json of
    Frictionless, croissant.json), a folder of such folders, or a table with a dataset a row (.csv, .tsv, .jsonl,
    .xlsx). Run it again at any time: only what differs is sent.
    """
    portal = open_portal(remote, apikey, retries)
    report = _Report(results, quiet)
    try:
        found: Iterable[DatasetRecord | BadRecord] = (
            folders.read_folder(source) if source.is_dir() else spreadsheets.read_table(source)
        )
        bad = _failed_upload
        records = list(_good(found, report, bad, on_error))
    except BadRecord as error:
        raise Stopped(str(error)) from None
    defaults = {"owner_org": organization, "groups": groups, "private": private, "license_id": license_id}
    records = [each.with_defaults(**defaults) for each in records]
    total = sum(uploads.file_size(each) for record in records for each in record.files)
    with tqdm(total=total, unit="B", unit_scale=True, disable=None if not quiet else True, leave=False) as bar:
        if dry_run:
            done = uploads.plan(portal, records, jobs=jobs)
        else:
            done = uploads.upload(
                portal,
                records,
                jobs=jobs,
                progress=_moved(bar),
                stop_at_error=on_error == "stop",
            )
        for result in done:
            report(result, _upload_line(result, dry_run))
    left = len(records) - (report.counts.total() - report.counts["failed"])
    if on_error == "stop" and report.counts["failed"]:
        raise Stopped(f"stopped after a failure; {left:,} records are not done. Run it again when it is mended.")
    report.end()


def _failed_upload(bad: BadRecord) -> uploads.Result:
    return uploads.Result(bad.place, "", "failed", error=str(bad))


def _upload_line(result: uploads.Result, dry_run: bool) -> str:
    if result.status == "failed":
        return f"failed     {result.name}: {result.error}"
    word = {"created": "create", "updated": "update"}.get(result.status, result.status) if dry_run else result.status
    parts = [", ".join(result.changed)] if result.changed else []
    if result.uploaded:
        parts.append(f"{len(result.uploaded)} files, {result.bytes:,} bytes")
    return f"{word:10} {result.name}" + (f" ({'; '.join(parts)})" if parts else "")


@click.command()
@click.argument("dataset")
@portal_options
@click.option(
    "--output", "-O", type=click.Path(file_okay=False, path_type=Path), help="Folder; the dataset's name without it."
)
@click.option("--file", "only", default="", help="One file or folder of it.")
@_quiet
def get(
    dataset: str, remote: str, apikey: str, retries: int, jobs: int, output: Path | None, only: str, quiet: bool
) -> None:
    """Download DATASET[@VERSION] through the portal.

    VERSION is a branch, tag, commit or version id. What broke is continued, what is there is left alone, and every
    file is checked against its hash.
    """
    portal = open_portal(remote, apikey, retries)
    name, _, version = dataset.partition("@")
    failed = 0
    with tqdm(unit="B", unit_scale=True, disable=None if not quiet else True, leave=False) as bar:
        try:
            for item in download.get(
                portal,
                name,
                output or Path(os.path.basename(name) or "data"),  # noqa: PTH119 a name, not a path
                version=version,
                only=only,
                jobs=jobs,
                progress=_moved(bar),
            ):
                failed += item.status == "failed"
                if item.status == "failed":
                    tqdm.write(f"failed     {item.error}", file=click.get_text_stream("stderr"))
                elif not quiet:
                    note = "" if item.checked else " (no hash to check it against)"
                    tqdm.write(f"{item.status:10} {item.path} {item.size:,} bytes{note}")
        except ClientError as error:
            raise Stopped(str(error)) from None
    if failed:
        raise click.exceptions.Exit(FAILED)


@click.command()
@click.argument("table", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@portal_options
@click.option("--dataset", "-d", default="", help="Dataset of rows that name none.")
@click.option("--server", "-s", default="", help="MLflow server, as the portal calls it.")
@click.option("--kind", default="", help="run (default) or experiment.")
@click.option("--relation", default="", help="produced, trained_on, evaluated_on or used (default).")
@click.option("--version", default="", help="Version of the dataset.")
@click.option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", default="", help="MLflow server for --search.")
@click.option("--search", default=None, help="In place of a table: runs that match, in MLflow's search language.")
@click.option("--experiment", "experiments", multiple=True, help="Where to search; repeatable.")
@_dry_run
@_on_error
@_results
@_quiet
def link(
    table: Path | None,
    remote: str,
    apikey: str,
    retries: int,
    jobs: int,
    dataset: str,
    server: str,
    kind: str,
    relation: str,
    version: str,
    tracking_uri: str,
    search: str | None,
    experiments: tuple[str, ...],
    dry_run: bool,
    on_error: str,
    results: Path | None,
    quiet: bool,
) -> None:
    """Link datasets to MLflow runs and experiments, in bulk.

    TABLE (.csv, .tsv, .jsonl, .xlsx) has the columns id (or dataset), server, target (or run, experiment), kind,
    relation, version and note. Or --search among the runs of a server:

        ckan-mlops link --search "metrics.accuracy > 0.8" --experiment titanic -s lab -d titanic-train
    """
    if (table is None) == (search is None):
        raise click.UsageError("give either a TABLE or --search")
    values = {"id": dataset, "server": server, "kind": kind, "relation": relation, "version": version}
    defaults = {key: value for key, value in values.items() if value}
    portal = open_portal(remote, apikey, retries)
    report = _Report(results, quiet)
    try:
        found: Iterable[links.LinkRecord | BadRecord]
        if table is not None:
            found = links.read_links(table, defaults)
        else:
            missing = [f"--{name}" for name in ("dataset", "server", "tracking-uri", "experiment")
                       if not {"dataset": dataset, "server": server, "tracking-uri": tracking_uri,
                               "experiment": experiments}[name]]  # fmt: skip
            if missing:
                raise click.UsageError(f"--search needs {', '.join(missing)}")
            user = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
            auth = (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None
            runs = links.search_runs(tracking_uri, search or "", experiments, auth=auth)
            found = (links.LinkRecord(**defaults, target=run, place=f"run {run}") for run in runs)
        records = list(_good(found, report, _failed_link, on_error))
    except (BadRecord, ClientError) as error:
        raise Stopped(str(error)) from None
    stop = on_error == "stop"
    for result in links.link(portal, records, jobs=jobs, dry_run=dry_run, stop_at_error=stop):
        said = f": {result.error} ({result.place})" if result.error else ""
        report(result, f"{result.status:10} {result.dataset} {result.target}{said}")
    if stop and report.counts["failed"]:
        left = len(records) - (report.counts.total() - report.counts["failed"])
        raise Stopped(f"stopped after a failure; {left:,} links are not made. Run it again when it is mended.")
    report.end()


def _failed_link(bad: BadRecord) -> links.LinkResult:
    return links.LinkResult(bad.place, "", "", "failed", error=str(bad))


@click.command()
@click.argument("repository", default=".")
@click.option("-s", "--source", required=True, help="Name or id of the harvest source; it has the option push.")
@click.option("--url", default="", help="Address of the repository; without it, that of the source.")
@click.option("--revisions", "globs", multiple=True, help="Branches and tags to send, by glob; repeatable.")
@click.option("--experiments", is_flag=True, help="DVC experiments, too.")
@portal_options
@click.pass_context
def push(
    context: click.Context,
    repository: str,
    source: str,
    url: str,
    globs: tuple[str, ...],
    experiments: bool,
    remote: str,
    apikey: str,
    retries: int,
    jobs: int,
) -> None:
    """Send the records of REPOSITORY (a folder or an address) to a portal that cannot reach it, and harvest them.

    In a CI job: check out with all branches and tags (``fetch-depth: 0``), and give the token as $CKAN_API_TOKEN.
    """
    portal = open_portal(remote, apikey, retries)
    folder, policy = context.obj or default_mirrors()
    if ":" not in repository and not Path(repository).exists():
        raise click.UsageError(f"there is no folder {repository!r}; give a checkout, or the address of a repository")
    try:
        url = url or pushing.source_url(portal, source)
        mirror = update_mirror(local_address(repository), folder, policy=policy)
        selection = Selection(globs or ("*",), globs or ("*",), experiments)
        reading = read_repository(mirror.git_dir, url=url, selection=selection)
        answer = pushing.push(portal, source, read_json(reading))
    except MlopsError as error:
        raise Stopped(str(error)) from None
    job = f"harvest job {answer['job']}" if answer["job"] else "a harvest is on its way, another one follows it"
    click.echo(f"{answer['revisions']:,} revisions, {answer['stages']:,} stages sent: {job}")


COMMANDS = (upload, get, link, push)
