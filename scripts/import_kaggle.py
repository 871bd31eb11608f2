#!/usr/bin/env python3
"""A dataset or competition of Kaggle into a DVC-tracked folder and the catalog, with licence and source.

    python3 scripts/import_kaggle.py titanic --folder data -r https://portal.example -o lab
    python3 scripts/import_kaggle.py heptapod/titanic --folder data -r https://portal.example -o lab --upload

Needs `pip install '.[client,kaggle]'`, and DVC unless `--no-dvc`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from ckanext.mlops.client import from_kaggle, upload
from ckanext.mlops.client.portal import ClientError
from ckanext.mlops.client.records import BadRecord
from ckanext.mlops.tool.portal import Stopped, open_portal, portal_options


@click.command()
@click.argument("reference")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("data"), show_default=True)
@portal_options
@click.option("--organization", "-o", default="", help="Owner of the dataset.")
@click.option("--private/--public", default=None, help="Visibility of the dataset.")
@click.option("--no-dvc", is_flag=True, help="Do not have DVC track the folder.")
@click.option("--upload", "send", is_flag=True, help="Also send the files to the portal.")
def import_kaggle(
    reference: str,
    folder: Path,
    remote: str,
    apikey: str,
    retries: int,
    jobs: int,
    organization: str,
    private: bool | None,
    no_dvc: bool,
    send: bool,
) -> None:
    """Download REFERENCE (owner/dataset, or a competition's name), track it with DVC, and register it."""
    portal = open_portal(remote, apikey, retries)
    try:
        if not no_dvc:
            from_kaggle.check_trackable(folder)
        record = from_kaggle.download(reference, folder)
        contents = record.files
        if not no_dvc:
            record = from_kaggle.track(record, (folder / record.name).resolve())
        if send or no_dvc:
            paths = {each.name: each.path for each in contents}
            record = replace(record, files=tuple(replace(each, path=paths[each.name]) for each in record.files))
        record = record.with_defaults(owner_org=organization)
        (result,) = upload(portal, [record if private is None else replace(record, private=private)], jobs=jobs)
    except (ClientError, BadRecord) as error:
        raise Stopped(str(error)) from None
    click.echo(f"{result.status} {result.url}" + (f": {result.error}" if result.error else ""))
    if result.error:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    import_kaggle()
