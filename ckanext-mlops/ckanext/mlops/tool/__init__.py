"""``ckan-mlops``: read any Git repository with DVC from the command line, without CKAN.

Every command takes a URL, a folder, a bare folder or a bundle. It is mirrored first (below ``--mirrors``) and only
Git objects of the mirror are read: nothing of the repository is ever run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ckanext.mlops.core import Reading, Selection, read_repository
from ckanext.mlops.core.differences import compare
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.mirror import update_mirror
from ckanext.mlops.core.mlflow_committed import committed_stores
from ckanext.mlops.core.plot_data import plot_files
from ckanext.mlops.core.records import Snapshot, to_dict
from ckanext.mlops.core.stored import stores_of
from ckanext.mlops.core.tables import Table, metrics_table, params_table, value_changes
from ckanext.mlops.tool.mirrors import default_mirrors, local_address, mirrors_folder
from ckanext.mlops.tool.render import (
    changes_text,
    dag_text,
    differences_text,
    plots_text,
    read_json,
    runs_text,
    stored_text,
    summary_text,
    table_text,
)

PORTAL_COMMANDS = ("get", "link", "push", "upload")
F = TypeVar("F", bound=Callable[..., Any])


class _Group(click.Group):
    """The commands for a portal are imported when one of them is asked for: reading a repository needs no client."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted([*super().list_commands(context), *PORTAL_COMMANDS])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in PORTAL_COMMANDS:
            return super().get_command(context, name)
        try:
            from ckanext.mlops.tool import portal as tool_client
        except ImportError as error:
            raise click.ClickException(
                f"{name} needs the client: pip install 'ckanext-mlops[client]' ({error})"
            ) from None
        return next(each for each in tool_client.COMMANDS if each.name == name)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--mirrors",
    type=click.Path(file_okay=False, path_type=Path),
    default=mirrors_folder,
    help="Folder that keeps mirrors.",
)
@click.option("--insecure-network", is_flag=True, help="Also allow http and hosts in private networks.")
@click.version_option(package_name="ckanext-mlops")
@click.pass_context
def main(context: click.Context, mirrors: Path, insecure_network: bool) -> None:
    """Read the data, stages, lineage, params and metrics of a Git repository with DVC or git-lfs."""
    context.obj = default_mirrors(mirrors, insecure_network=insecure_network)


def _open(context: click.Context, repository: str, selection: Selection) -> Reading:
    folder, policy = context.obj
    mirror = update_mirror(local_address(repository), folder, policy=policy)
    return read_repository(mirror.git_dir, url=mirror.url, selection=selection)


def _guarded(command: F) -> F:
    """Errors of ours as one line and exit code 1."""
    import functools

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except MlopsError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return None

    return run  # type: ignore[return-value]


def _snapshots(reading: Reading, *names: str | None) -> list[Snapshot]:
    """The snapshots of branches, tags, experiments or commits; the default branch's without a name."""
    found = []
    for name in names:
        wanted = name or reading.repository.default_branch
        revision = reading.find(wanted)
        if revision is None:
            raise click.ClickException(
                f"{reading.repository.name} has no branch, tag or commit {wanted!r}; "
                "'ckan-mlops read' lists what it has"
            )
        found.append(next(iter(reading.only(revision))))
    return found


EVERY_REF = Selection(experiments=True)


@main.command()
@click.argument("repository")
@click.option("--revisions", "globs", multiple=True, help="Branches and tags to read, by glob; repeatable.")
@click.option("--all-commits", is_flag=True, help="Read every commit.")
@click.option("--last", type=click.IntRange(1), help="Also read this many commits of the default branch.")
@click.option("--experiments", is_flag=True, help="Also read DVC experiments.")
@click.option("--json", "as_json", is_flag=True, help="All facts as JSON (docs/reading.md describes it).")
@click.pass_context
@_guarded
def read(
    context: click.Context,
    repository: str,
    globs: tuple[str, ...],
    all_commits: bool,
    last: int | None,
    experiments: bool,
    as_json: bool,
) -> None:
    """Read REPOSITORY and print what is in it."""
    selection = Selection(globs or ("*",), globs or ("*",), experiments, "all" if all_commits else last or "")
    reading = _open(context, repository, selection)
    if not as_json:
        for line in summary_text(reading):
            click.echo(line)
        return
    for part in read_json(reading):
        click.echo(part, nl=False)


def _table_options(command: Callable[..., Any]) -> Any:
    for option in reversed(
        (
            click.argument("repository"),
            click.option("-a", "--all-branches", is_flag=True, help="All branches."),
            click.option("-T", "--all-tags", is_flag=True, help="All tags."),
            click.option("-A", "--all-commits", is_flag=True, help="All commits."),
            click.option("-n", "--last", type=click.IntRange(1), help="The newest commits of the default branch."),
            click.option("--diff", "pair", nargs=2, metavar="A B", help="What differs between two revisions."),
            click.option("--json", "form", flag_value="json", help="JSON in the shape of DVC's."),
            click.option("--csv", "form", flag_value="csv", help="Comma-separated values."),
            click.option("--markdown", "--md", "form", flag_value="markdown", help="A Markdown table."),
            click.pass_context,
        )
    ):
        command = option(command)
    return command


class _Address(click.ParamType):
    """``NAME=ADDRESS`` of a DVC remote."""

    name = "NAME=ADDRESS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name, equals, address = value.partition("=")
        if not equals or not name or not address:
            self.fail("write NAME=ADDRESS, as in storage=/mnt/dvc or storage=s3://bucket/folder", param, ctx)
        return name, address if "://" in address else str(Path(address).resolve())


REMOTES = click.option(
    "--remote",
    "remotes",
    type=_Address(),
    multiple=True,
    help="Where the repository's DVC remote NAME can be read: a folder or URL; repeatable.",
)


@dataclass(frozen=True)
class _Asked:
    """What the options of a table ask for."""

    repository: str
    all_branches: bool = False
    all_tags: bool = False
    all_commits: bool = False
    last: int | None = None
    pair: tuple[str, str] | None = None
    form: str | None = None

    def show(self, context: click.Context, make: Callable[[Iterable[Snapshot]], Table]) -> None:
        """Print the table that ``make`` makes."""
        if self.pair:
            reading = _open(context, self.repository, EVERY_REF)
            sides = [next(iter(make([one]).values()))["data"] for one in _snapshots(reading, *self.pair)]
            click.echo(changes_text(value_changes(*sides), self.pair, self.form or "text"))
        else:
            click.echo(table_text(make(self._selected(context)), self.form or "text"))

    def _selected(self, context: click.Context) -> Reading:
        every = ("*",)
        if self.all_commits:
            return _open(context, self.repository, Selection(commits="all"))
        if self.all_branches or self.all_tags or self.last:
            branches, tags = every if self.all_branches else (), every if self.all_tags else ()
            return _open(context, self.repository, Selection(branches, tags, commits=self.last or ""))
        reading = _open(context, self.repository, Selection())
        default = reading.repository.default_branch
        return reading.only(*(one for one in reading.revisions if one.kind == "branch" and one.name == default))


@main.command()
@_table_options
@REMOTES
@_guarded
def metrics(context: click.Context, remotes: tuple[tuple[str, str], ...], **options: Any) -> None:
    """Metrics of REPOSITORY, of the default branch or of all that is asked for.

    With --remote also those whose values Git does not hold: small files only, and their hash must fit.
    """
    stores = stores_of(remotes)
    _Asked(**options).show(context, lambda snapshots: metrics_table(map(stores.with_values, snapshots)))


@main.command()
@_table_options
@_guarded
def params(context: click.Context, **options: Any) -> None:
    """Params of REPOSITORY: what the params files say."""
    _Asked(**options).show(context, params_table)


@main.command()
@click.argument("repository")
@click.option("--rev", "revision", help="Branch, tag or commit; the default branch without it.")
@click.option("--json", "form", flag_value="json", help="All data points.")
@click.option("--csv", "form", flag_value="csv", help="All data points, one row each.")
@click.pass_context
@_guarded
def plots(context: click.Context, repository: str, revision: str | None, form: str | None) -> None:
    """What the plots of REPOSITORY draw: tables and lists that Git holds, images by their Git object."""
    reading = _open(context, repository, EVERY_REF)
    (snapshot,) = _snapshots(reading, revision)
    with reading.files(snapshot.revisions[0]) as files:
        click.echo(plots_text(((plot.name, plot_files(plot, files)) for plot in snapshot.plots), form or "text"))


@main.command()
@click.argument("repository")
@click.option("--rev", "revision", help="Branch, tag or commit; the default branch without it.")
@click.option("--json", "form", flag_value="json", help="All facts of the runs.")
@click.pass_context
@_guarded
def runs(context: click.Context, repository: str, revision: str | None, form: str | None) -> None:
    """MLflow runs of a file store (mlruns/) that was committed to REPOSITORY."""
    reading = _open(context, repository, EVERY_REF)
    (snapshot,) = _snapshots(reading, revision)
    with reading.files(snapshot.revisions[0]) as files:
        click.echo(runs_text(committed_stores(files, reading.repository.name), form or "text"))


@main.command()
@click.argument("repository")
@click.option("--rev", "revision", help="Branch, tag or commit; the default branch without it.")
@click.option("--outs", is_flag=True, help="Outputs in place of stages.")
@click.option("--dot", "form", flag_value="dot", help="For Graphviz.")
@click.option("--mermaid", "form", flag_value="mermaid", help="For Mermaid.")
@click.pass_context
@_guarded
def dag(context: click.Context, repository: str, revision: str | None, outs: bool, form: str | None) -> None:
    """What is made from what in REPOSITORY."""
    (snapshot,) = _snapshots(_open(context, repository, EVERY_REF), revision)
    click.echo(dag_text(snapshot, outs=outs, form=form or "text"), nl=False)


@main.command()
@click.argument("repository")
@click.option("--rev", "revision", help="Branch, tag or commit; the default branch without it.")
@REMOTES
@click.option("--files", "path", metavar="PATH", help="The files of this output folder, with sizes.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.pass_context
@_guarded
def stored(
    context: click.Context,
    repository: str,
    revision: str | None,
    remotes: tuple[tuple[str, str], ...],
    path: str | None,
    as_json: bool,
) -> None:
    """Whether the DVC remotes of REPOSITORY have its outputs: pushed, missing or unknown. Downloads no data."""
    (snapshot,) = _snapshots(_open(context, repository, EVERY_REF), revision)
    stores = stores_of(remotes)
    if path is None:
        found: list[Any] = list(stores.presence(snapshot))
    else:
        out = next((out for stage in snapshot.stages for out in stage.outs if out.path == path.rstrip("/")), None)
        if out is None:
            raise click.ClickException(f"{path} is no output at that revision; 'ckan-mlops stored' lists them")
        found = list(stores.manifest(out, snapshot.remotes))
    click.echo(json.dumps([to_dict(item) for item in found], indent=1) if as_json else stored_text(found))


@main.command()
@click.argument("repository")
@click.argument("before")
@click.argument("after")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@click.pass_context
@_guarded
def diff(context: click.Context, repository: str, before: str, after: str, as_json: bool) -> None:
    """What differs between two revisions: stages, outputs, commands, params and metrics."""
    found = compare(*_snapshots(_open(context, repository, EVERY_REF), before, after))
    if as_json:
        click.echo(json.dumps([to_dict(item) for item in found], indent=1, ensure_ascii=False))
    else:
        click.echo(differences_text(found))


if __name__ == "__main__":
    main()
