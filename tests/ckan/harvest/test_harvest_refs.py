"""Branches and tags that move over datasets which did not change: versions show them, and the search finds them."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.lib import jobs
from ckan.tests import helpers
from ckanext.harvest.model import HarvestSource

from ckanext.mlops.core import naming
from ckanext.mlops.harvesting import approval, settled
from ckanext.mlops.model import Unindexed, Version, revisions
from ckanext.mlops.search import overdue, together


def found(query: str) -> set[str]:
    answer = helpers.call_action("package_search", q=query, fq="dataset_type:dataset")
    return {each["dvc_stage"] for each in answer["results"]}


def names() -> set[str]:
    model.Session.rollback()
    return {ref["name"] for refs in model.Session.scalars(sa.select(Version.refs)) for ref in refs}


def test_the_search_finds_what_a_new_tag_shows(repo: Any, source: Any, harvest: Any) -> None:
    source(repo.path)
    harvest()
    everything = found("branch:main")
    assert len(everything) == 3
    repo.git("tag", "v2")
    assert harvest().counts()["unchanged"] == 3
    assert found("tag:v2") == everything
    repo.git("tag", "--delete", "v2")
    harvest()
    assert found("tag:v2") == set()
    assert found("branch:main") == everything


def test_the_search_finds_what_a_branchs_new_head_shows(repo: Any, source: Any, harvest: Any) -> None:
    source(repo.path)
    harvest()
    repo.commit("Nothing of DVC")
    assert harvest().counts()["unchanged"] == 3
    head = repo.git("rev-parse", "HEAD")
    assert len(found(f"commit:{head}")) == len(found(f"commit:{head[:10]}")) == len(found(head[:10])) == 3
    assert found(f"commit:{'0' * 10}") == set()


def test_what_waits_for_approval_shows_nothing_before(repo: Any, source: Any, harvest: Any, consume: Any) -> None:
    source(repo.path)
    harvest()
    harvested = model.Session.scalars(sa.select(HarvestSource)).one()
    harvested.config = '{"approval": true}'
    model.Session.commit()
    repo.edit("dvc.lock", "seed: 2", "seed: 3")
    repo.commit("Another seed")
    repo.git("tag", "v3")
    report = harvest()
    assert approval.held(model.Session(), str(report.job)) == 1
    slug = naming.repository_slug(str(repo.path))
    assert "v3" not in names() | {row.name for row in revisions.of_repository(model.Session(), slug, [harvested.id])}
    assert found("tag:v3") == set()
    approval.release(str(report.job))
    consume("fetch")
    assert "v3" in names() & {row.name for row in revisions.of_repository(model.Session(), slug, [harvested.id])}
    assert len(found("tag:v3")) == 3
    assert harvest().counts()["unchanged"] == 3


def noted() -> set[str]:
    model.Session.rollback()
    return set(model.Session.scalars(sa.select(Unindexed.package_id)))


def test_a_tag_over_many_datasets_is_indexed_apart_from_the_harvest(
    repo: Any, source: Any, show: Any, harvest: Any, consume: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(repo.path)
    harvest()
    everything = found("branch:main")
    repo.git("tag", "v2")
    monkeypatch.setattr(overdue, "BATCH", 1)
    helpers.call_action("harvest_job_create", {"user": "root"}, source_id=show("titanic")["id"], run=True)
    consume("gather")
    assert len(noted()) == 2
    assert len(found("tag:v2")) == 1
    model.Session.rollback()
    assert [each.func_name for each in jobs.get_queue().jobs if each.func_name.endswith("overdue.job")]
    overdue.job()
    assert not noted()
    assert found("tag:v2") == everything


def test_what_was_not_indexed_is_indexed_later(
    repo: Any, source: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(repo.path)
    harvest()
    repo.git("tag", "v2")
    index = together.index_together

    def away(package_ids: Any) -> None:
        raise together.IndexAway("no answer")

    monkeypatch.setattr(together, "index_together", away)
    monkeypatch.setattr(overdue, "PATIENCE", 0)
    with pytest.raises(together.IndexAway):
        harvest()
    assert "v2" in names()  # nothing of the harvest is lost
    assert len(noted()) == 3
    refused = sorted(noted())[0]

    def refuse(package_ids: Any) -> None:
        if refused in package_ids:
            raise together.NotIndexed("Solr refuses it")
        index(package_ids)

    monkeypatch.setattr(together, "index_together", refuse)
    assert overdue.run() == 3
    assert not noted()
    assert len(found("tag:v2")) == 2  # the one that is refused does not keep the others from it


def test_another_planner_plans_anew() -> None:
    assert settled.program_files()
