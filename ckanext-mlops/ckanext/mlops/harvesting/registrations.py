"""Data that lives in DVC, read for a person's dataset form: a worker reads one revision of a repository.

The rules are those of harvest sources (:mod:`repositories`): which addresses may be read, how much, with which
credential. What was read waits in ``mlops_plan`` for the person who asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from sqlalchemy.orm import Session

from ckanext.mlops.catalog import problems, registration
from ckanext.mlops.catalog.edges import imports
from ckanext.mlops.catalog.registration import NoSuchStep
from ckanext.mlops.core.address import shown
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.repository import read_repository
from ckanext.mlops.harvesting import follow, memory, reading, repositories
from ckanext.mlops.harvesting.batches import sentence
from ckanext.mlops.harvesting.source_config import SourceConfig
from ckanext.mlops.model import plans

log = logging.getLogger(__name__)
KIND = "registration"
_CLOSE = 10


class NoSuchRevision(MlopsError):
    """The repository has no such branch, tag or commit."""


def run(plan_id: str) -> None:
    """Read what the registration that waits under that id asks for."""
    session: Session = model.Session()
    row = plans.get(session, plan_id)
    if row is None:
        return
    owner, asked = str(row.source_id), dict(row.facts["asked"])
    follow.note(plan_id, owner, KIND, state="reading")
    try:
        found = read(session, asked, follow.progress(plan_id, owner, log.info, KIND), _organizations(row.user_id))
    except Exception as error:
        session.rollback()
        follow.note(plan_id, owner, KIND, state="failed", progress=sentence(error))
        return
    plans.write_now(plan_id, owner, KIND, state="planned", progress="", facts=found)


def _organizations(user_id: str | None) -> set[str]:
    """Ids and names of the organizations in which a person may create datasets."""
    user = model.User.get(user_id)
    if user is None:
        return set()
    asked = {"id": user.id, "permission": "create_dataset"}
    found = tk.get_action("organization_list_for_user")({"user": user.name, "auth_user_obj": user}, asked)
    return {str(each[key]) for each in found for key in ("id", "name")}


def read(
    session: Session, asked: Mapping[str, str], progress: Callable[[str], None], organizations: Collection[str]
) -> dict[str, Any]:
    """What the revision has at the path: ``choices``, and ``found`` (a :class:`Registration`) when it is one step.

    :param organizations: on whose behalf, as :func:`repositories.credential` takes them
    :raises MlopsError: it cannot be read, or there is no such thing
    """
    mirror = reading.fetch(asked["url"], SourceConfig(credential=asked["credential"]), progress, organizations)
    opened = read_repository(mirror.git_dir, url=mirror.url, limits=repositories.limits(), cache=mirror.cache)
    wanted = asked["revision"] or opened.repository.default_branch
    revision = opened.find(wanted) if wanted else next(iter(opened.revisions), None)
    if revision is None:
        names = [each.name for each in opened.revisions[:_CLOSE]]
        raise NoSuchRevision(
            f"{shown(asked['url'])} has no branch, tag or commit {wanted[:200]}; it has {', '.join(names) or 'none'}"
        )
    progress(f"{opened.repository.name}: reading {revision.name}")
    snapshot = next(iter(opened.only(revision)))
    warnings = problems.bounded(problems.sentences([snapshot], []))
    try:
        stages = registration.find(snapshot, asked["path"])
    except NoSuchStep as error:
        raise NoSuchStep(" ".join([str(error), *warnings[:3]])) from error
    found = None
    if len(stages) == 1:
        upstreams = memory.upstreams(session, imports([snapshot]))
        found = asdict(registration.registration(opened.repository, snapshot, stages[0], upstreams))
    return {
        "revision": revision.name,
        "commit": revision.commit,
        "choices": [asdict(each) for each in registration.choices(stages)],
        "steps": len(stages),
        "found": found,
        "warnings": warnings,
    }
