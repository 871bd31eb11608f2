"""``ckan mlops``: harvest and preview DVC repositories, keep lineage and MLflow facts, from a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from ckan import model

from ckanext.mlops import cli_harvest
from ckanext.mlops.cli_look import look
from ckanext.mlops.cli_mlflow import mlflow
from ckanext.mlops.core.errors import MlopsError

__all__ = ["mlops"]


@click.group(short_help="Data catalog of machine learning.")
def mlops() -> None:
    """Harvest DVC repositories, look at what a harvest would do, rebuild the lineage index."""


mlops.add_command(look)
mlops.add_command(mlflow)
for _command in (cli_harvest.approve, cli_harvest.reject, cli_harvest.report, cli_harvest.revert):
    mlops.add_command(_command)


@mlops.command()
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def harvest(source: str, as_json: bool) -> None:
    """Harvest SOURCE (id, name or URL of a harvest source) here and now.

    What an interrupted harvest left is finished first. Ends with 1 when the repository could not be read, or a dataset
    could not be written.
    """
    from ckanext.mlops.harvesting import foreground

    try:
        found = foreground.find_source(source)
        report = foreground.harvest(found, progress=_say, step=_step)
    except (MlopsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        model.Session.remove()
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        rows = [
            (each.kind, each.name, each.reason + (f" (kept: {', '.join(each.kept)})" if each.kept else ""))
            for each in report.results
        ]
        _table(("what", "dataset", "why"), rows)
        _problems("Not read", report.problems)
        click.echo(report.summary)
        click.echo(f"Harvest job {report.job}: 'ckan mlops report' shows it, 'ckan mlops revert' takes it back.")
    if not report.read or report.counts()["failed"]:
        sys.exit(1)


@mlops.command()
@click.argument("source")
@click.option("--config", metavar="JSON", help="Configuration to try; of a source, in place of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def preview(source: str, config: str | None, as_json: bool) -> None:
    """Show what harvesting SOURCE would do, without writing.

    SOURCE is the id, name or URL of a harvest source, or the address of any repository that this portal may read.
    """
    from ckanext.mlops.harvesting import foreground, planning, reading

    try:
        try:
            prepared = planning.preview(foreground.find_source(source), _say, config_text=config)
        except foreground.NoSource:
            if "/" not in source and ":" not in source:
                raise
            settings = reading.configuration(config)
            prepared = planning.prepare(model.Session(), source, settings, source_id=None, progress=_say)
    except (MlopsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        model.Session.remove()
    plan = prepared.plan
    if as_json:
        changes = [{**change.to_dict(), "before": None, "after": None, "refs": {}} for change in plan.changes]
        answer = {
            "summary": plan.summary(),
            "counts": plan.counts,
            "changes": changes,
            "problems": prepared.errors,
            "warnings": prepared.warnings,
        }
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    _table(("what", "dataset", "why"), [(each.kind, each.title, each.reason) for each in plan.changes])
    for change in plan.changes:
        if change.kind == "changed":
            click.echo(f"\n{change.title}")
            _table(("field", "before", "after"), [(f["field"], f["before"], f["after"]) for f in change.fields])
    _problems("Not read", prepared.errors)
    _problems("Read with doubt", prepared.warnings)
    click.echo(plan.summary())


@mlops.group()
def lineage() -> None:
    """The index of lineage edges."""


@lineage.command()
def rebuild() -> None:
    """Write the lineage index again, from the harvests, from equal content and from what people asserted."""
    from ckanext.mlops import lineage_index

    counts = lineage_index.rebuild(model.Session())
    click.echo(f"{counts['edges']:,} edges of {counts['datasets']:,} datasets, {counts['inferred']:,} by equal content")


def _say(message: str) -> None:
    click.echo(message, err=True)


def _step(number: int, total: int, guid: str) -> None:
    """Progress of the import: one line that moves on a terminal, a line in a hundred elsewhere."""
    if sys.stderr.isatty():
        done = number == total
        width = 30 * number // total
        shown = guid.split("#", 1)[-1][:60]
        click.echo(f"\r\033[K[{'#' * width:<30}] {number:,}/{total:,} {shown}", nl=done, err=True)
    elif number == total or number % 100 == 0:
        click.echo(f"{number:,} of {total:,} datasets written", err=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    texts = [[_cell(value) for value in row] for row in (head, *rows)]
    widths = [min(60, max(len(row[column]) for row in texts)) for column in range(len(head) - 1)]
    for row in texts:
        cells = [f"{text:<{width}}" for text, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("\n", " ")


def _problems(title: str, messages: Sequence[str]) -> None:
    if messages:
        click.echo(f"\n{title}:")
        for message in messages:
            click.echo(f"  - {message}")
        click.echo()
