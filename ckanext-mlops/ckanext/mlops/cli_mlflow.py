"""``ckan mlops mlflow``: copying facts from MLflow, for people and for cron."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from ckan.plugins import toolkit as tk

from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.tracking import sync as mlflow_sync


@click.group(short_help="MLflow servers and the facts that are copied from them.")
def mlflow() -> None:
    """MLflow servers and the facts that are copied from them."""


@mlflow.command()
@click.argument("server", required=False)
@click.option("--full", is_flag=True, help="Read every run again, not only what is new.")
@click.option("--due", is_flag=True, help="Only servers that a webhook asked for, or that are due by the clock.")
@click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
def sync(server: str | None, full: bool, due: bool, quiet: bool) -> None:
    """Copy the facts of all experiments, runs and models.

    SERVER is a name in the option ckanext.mlops.mlflow.servers; all of them when it is left out. Ends with exit code 1
    when a server refused or failed; what was read is kept.
    """
    names = [server] if server else mlflow_servers.names()
    if not names:
        raise click.ClickException("no MLflow server is configured; see the option ckanext.mlops.mlflow.servers")
    failed = False
    for name in names:
        with _progress(quiet):
            report = _sync(name, full, due)
        if report is None:
            continue
        failed = failed or bool(report["errors"])
        if report["busy"]:
            click.secho(f"{name}: another sync of this server is under way; it was left to that one", err=True)
        elif not quiet:
            click.echo(
                f"{name}: {report['experiments']} experiments, {report['runs']} runs, {report['models']} models, "
                f"{report['model_versions']} versions read in {report['seconds']:.1f} s; {report['deleted']} deleted, "
                f"{report['gone']} no longer there"
            )
            for problem in report["problems"]:
                click.secho(f"  {problem}", fg="yellow")
        for error in report["errors"]:
            click.secho(f"error: {error}", fg="red", err=True)
    if failed:
        raise SystemExit(1)


def _sync(name: str, full: bool, due: bool) -> dict[str, Any] | None:
    """The report; None for a server that is not due."""
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    try:
        answer = tk.get_action("mlops_mlflow_sync")({"user": user}, {"server": name, "full": full, "due": due})
    except tk.ValidationError as error:
        raise click.ClickException("; ".join(error.error_summary.values())) from None
    return answer["servers"][0] if answer["servers"] else None


@contextmanager
def _progress(quiet: bool) -> Iterator[None]:
    """Shows the sync's log on the terminal."""
    logger, handler = mlflow_sync.log, _Echo()
    level, propagate, disabled = logger.level, logger.propagate, logger.disabled
    if not quiet:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.disabled = False  # a logging configuration that was read later disables loggers that it does not name
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)
