"""A repository as its datasets show it: what the reader may see of it, and how much there is besides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckanext.harvest.model import HarvestObject

from ckanext.mlops.core import naming
from ckanext.mlops.logic.reader import Reader, same_user
from ckanext.mlops.search.document import REPOSITORY

MAX_DATASETS = 1000


@dataclass(frozen=True)
class Seen:
    """What one reader sees of a repository.

    :param id: :func:`naming.repository_slug`, the part of its pages' addresses
    :param datasets: package dicts, by stage; at most :data:`MAX_DATASETS` of ``count``
    :param hidden: harvested datasets that the reader may not see
    :param sources: ids of the harvest sources that these datasets are of: the reader may know what these read. Who only
        names the repository in a field of a dataset may not
    """

    id: str
    url: str
    name: str
    count: int
    datasets: list[dict[str, Any]] = field(default_factory=list)
    hidden: int = 0
    sources: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether nothing of the repository is hidden from the reader."""
        return bool(self.sources) and not self.hidden and self.count == len(self.datasets)


def show(context: Context, repository_id: str) -> Seen:
    """The repository, as the user of ``context`` may see it.

    :raises ckan.logic.NotFound: there is none of that id, or the reader may see nothing of it
    """
    reader = same_user(context)
    found = tk.get_action("package_search")(
        reader,
        {
            "fq": f'{REPOSITORY}:"{naming.slug(repository_id)}" -dataset_type:harvest',
            "sort": "title_string asc",
            "rows": MAX_DATASETS,
            "include_private": True,
        },
    )
    datasets = [each for each in found["results"] if each.get("dvc_repository")]
    if not datasets:
        raise tk.ObjectNotFound(tk._("Repository not found"))
    guids = {f"{naming.repository_key(str(each['dvc_repository']))}#" for each in datasets}
    rows = model.Session.execute(
        sa.select(HarvestObject.package_id, HarvestObject.harvest_source_id).where(
            HarvestObject.current,
            HarvestObject.package_id.is_not(None),
            sa.or_(*(HarvestObject.guid.startswith(each, autoescape=True) for each in sorted(guids))),
        )
    ).all()
    source_of = {row.package_id: str(row.harvest_source_id) for row in rows}
    hidden = len(Reader(context).look(list(source_of)).hidden)
    datasets.sort(key=lambda each: str(each.get("dvc_stage") or ""))
    harvested = [each for each in datasets if each["id"] in source_of]
    # What people write of other datasets does not say where a harvested one is from.
    url = str((harvested or datasets)[0]["dvc_repository"])
    sources = frozenset(source_of[each["id"]] for each in harvested)
    return Seen(repository_id, url, naming.repository_name(url), found["count"], datasets, hidden, sources)
