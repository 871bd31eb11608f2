"""The demo: the Titanic project is built, harvested and linked, and its addresses are printed.

``python3 scripts/portal.py demo`` runs it on the embedded portal; :func:`run_demo` takes any portal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table

from embedded.demo.portal_steps import ORGANIZATION, SOURCE, Portal, Published, publish
from embedded.demo.project import Project, build_project
from embedded.demo.workspace import DemoError

__all__ = ["DemoError", "DemoSettings", "run_demo"]


class DemoSettings(Protocol):
    """What the demo must know about the portal.

    ``home`` is the portal's folder (the project goes into ``home/demo``, a folder that the portal must allow to be
    harvested), ``python`` the interpreter of its environment, ``api_token`` a sysadmin's. ``ckan_url`` is what people
    open, ``local_ckan_url`` the same portal as this machine reaches it.
    """

    @property
    def home(self) -> Path: ...  # noqa: D102
    @property
    def python(self) -> Path: ...  # noqa: D102
    @property
    def ckan_url(self) -> str: ...  # noqa: D102
    @property
    def local_ckan_url(self) -> str: ...  # noqa: D102
    @property
    def mlflow_url(self) -> str: ...  # noqa: D102
    @property
    def api_token(self) -> str: ...  # noqa: D102


def run_demo(
    settings: DemoSettings, console: Console, *, mlflow_credentials: Mapping[str, str] | None = None
) -> Published:
    """Build the project, harvest and link it, print the addresses to open.

    :param mlflow_credentials: ``MLFLOW_TRACKING_USERNAME`` and ``_PASSWORD``, or ``MLFLOW_TRACKING_TOKEN``, for an
        MLflow server that asks for them
    :raises DemoError: a step failed; the message says which, and what to do
    """
    console.print("[bold]The Titanic project[/bold]: Git, DVC, scikit-learn, MLflow")
    project = build_project(
        settings.home / "demo",
        mlflow_uri=settings.mlflow_url,
        python=settings.python,
        console=console,
        mlflow_credentials=mlflow_credentials,
        portal_url=settings.ckan_url.rstrip("/"),
    )
    if not project.built:
        console.print(f"  [green]✓[/green] It is there already, in {project.folder}", highlight=False)
    shown = settings.ckan_url.rstrip("/")
    portal = Portal(settings.local_ckan_url, settings.api_token)
    console.print(f"[bold]The portal[/bold]: {shown}", highlight=False)
    published = publish(portal, project, console)
    console.print(_summary(shown, settings.mlflow_url.rstrip("/"), project, published))
    return published


def _summary(portal: str, mlflow: str, project: Project, published: Published) -> Table:
    dataset = f"{portal}/dataset/{published.datasets[project.trainings[-1].result.train]}"
    table = Table(title="Open", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, address in (
        ("Portal", portal),
        ("All datasets", f"{portal}/organization/{ORGANIZATION['name']}"),
        ("Training", dataset),
        ("  Lineage", f"{dataset}/lineage"),
        ("  Versions", f"{dataset}/versions"),
        ("  Experiments", f"{dataset}/experiments"),
        ("Harvest source", f"{portal}/harvest/{SOURCE['name']}"),
        ("MLflow", f"{mlflow}/#/experiments/{project.experiment_id}"),
        ("Sign in", f"{portal}/user/login"),
        ("Repository", f"git clone {project.url}"),
    ):
        table.add_row(name, address)
    return table
