"""Whose a dataset is: a harvest takes over nothing that another source or organization owns.

Ids are computed from a repository's address, which anybody may name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from ckan import model
from ckanext.harvest.model import HarvestObject, HarvestSource
from sqlalchemy.orm import Session

from ckanext.mlops.core.said import said

Row = tuple[HarvestObject, HarvestSource]


def last(session: Session, package_ids: Collection[str]) -> dict[str, list[Row]]:
    """The harvest objects that the datasets are of now, the newest first, with their sources."""
    rows = session.execute(
        sa.select(HarvestObject, HarvestSource)
        .join(HarvestSource, HarvestSource.id == HarvestObject.harvest_source_id)
        .where(HarvestObject.package_id.in_(list(package_ids)), HarvestObject.current)
        .order_by(HarvestObject.gathered.desc())
    ).all()
    found: dict[str, list[Row]] = {}
    for each, source in rows:
        found.setdefault(str(each.package_id), []).append((each, source))
    return found


def refusal(guid: str, source_id: str, owner_org: str, rows: Collection[Row], portal_org: str | None) -> str:
    """Why the source may not write the dataset; ``""`` when it may.

    What another organization owns is not taken over, also when its source is gone; the sentence tells nothing of it.

    :param rows: of :func:`last`
    :param portal_org: the organization that the dataset has in the portal, ``""`` for none; None when it has none yet
    """
    other = next((source for _, source in rows if source.id != source_id and source.active), None)
    own = any(source.id == source_id for _, source in rows)
    if (other is not None or not own) and portal_org not in (None, owner_org):
        return said(
            f"{guid} is in this portal already, and not a dataset of this source's organization. Ask a "
            f"sysadmin of the portal to hand it over, or leave it out here with the option exclude."
        )
    if other is not None:
        return said(
            f'{guid} is harvested by the source "{other.title or other.id}". '
            f"Leave it out here with the option exclude, or delete that source."
        )
    return ""


def refusals(session: Session, source_id: str, owner_org: str, guids: Mapping[str, str]) -> dict[str, str]:
    """The sentences of :func:`refusal` for datasets that are new to the source: guid → why, for those refused.

    :param guids: package id → guid
    """
    package = model.Package
    there = session.execute(sa.select(package.id, package.owner_org).where(package.id.in_(list(guids)))).tuples().all()
    owners = {str(package_id): str(org or "") for package_id, org in there}
    rows = last(session, owners) if owners else {}
    told = {
        guids[key]: refusal(guids[key], source_id, owner_org, rows.get(key, ()), org) for key, org in owners.items()
    }
    return {guid: why for guid, why in told.items() if why}
