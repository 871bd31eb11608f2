"""``ckan mlops look``: whether files are in their storage, and what is in them, from a terminal or a timer."""

from __future__ import annotations

import click
import sqlalchemy as sa
from ckan import model
from ckanext.harvest.model import HarvestObject, HarvestSource

from ckanext.mlops.harvesting import source_config
from ckanext.mlops.transfers import looking


@click.command()
@click.argument("datasets", nargs=-1)
def look(datasets: tuple[str, ...]) -> None:
    """Look whether the files of DATASETS are in their storage, and make previews of them.

    Without DATASETS: those of all harvest sources with the option "previews". Contents that are known by their hash are
    not read again.
    """
    ids = list(datasets) or chosen()
    for number, reference in enumerate(ids, start=1):
        package = model.Package.get(reference)
        if package is None:
            raise click.ClickException(f"There is no dataset {reference}.")
        click.echo(f"{number}/{len(ids)} {package.name}: {looking.look(package.id)}")
    if not ids:
        click.echo('No harvest source has the option "previews": true.')
    model.Session.remove()


def chosen() -> list[str]:
    """Ids of the datasets of sources whose owner wants previews."""
    rows = model.Session.execute(
        sa.select(HarvestObject.package_id, HarvestSource.config)
        .join(HarvestSource, HarvestSource.id == HarvestObject.harvest_source_id)
        .where(HarvestObject.current, HarvestSource.active, HarvestSource.type == "dvc")
        .order_by(HarvestObject.package_id)
    ).all()
    return [package_id for package_id, config in rows if package_id and _wants(config)]


def _wants(config: str | None) -> bool:
    try:
        return source_config.parse(config).previews
    except source_config.ConfigError:
        return False
