"""A harvest notes the revisions of the repository, with what they say besides their stages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.mlops.core import naming
from ckanext.mlops.model import Revision, revisions


def seen(repo: Any) -> dict[str, Any]:
    sources = set(model.Session.scalars(sa.select(Revision.source_id)))
    rows = revisions.of_repository(model.Session(), naming.repository_slug(str(repo.path)), sources)
    return {f"{row.kind} {row.name}": row for row in rows}


def test_branches_and_tags_are_noted_and_forgotten_with_the_repositorys(repo: Any, source: Any, harvest: Any) -> None:
    source(repo.path)
    harvest()
    found = seen(repo)
    assert list(found) == ["branch main", "tag v1"]
    assert found["tag v1"].params == {"params.yaml": {"seed": 1}}
    assert found["branch main"].params == {"params.yaml": {"seed": 2}}
    assert found["branch main"].commit == repo.git("rev-parse", "HEAD")
    assert found["branch main"].message == "Another seed"
    repo.git("tag", "v2")
    repo.git("tag", "--delete", "v1")
    model.Session.expunge_all()
    harvest()
    assert list(seen(repo)) == ["branch main", "tag v2"]


def test_metrics_that_no_stage_has_are_kept(repo: Any, source: Any, harvest: Any) -> None:
    repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text() + "metrics: [live.json]\n")
    repo.write("live.json", '{"loss": 0.25, "step": {"n": 3}}')
    repo.commit()
    source(repo.path)
    harvest()
    assert seen(repo)["branch main"].metrics == {"live.json": {"data": {"loss": 0.25, "step": {"n": 3}}}}
