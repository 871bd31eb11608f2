"""A repository whose refs did not move is answered without reading it, unless something else asks for it."""

from __future__ import annotations

from typing import Any

import pytest
from ckan import model
from ckan.tests import helpers

from ckanext.mlops.harvesting import foreground, planning, reading


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read from now on; reading works as ever."""
    found: list[str] = []
    read = reading.read

    def noted(mirror: Any, *arguments: Any) -> Any:
        found.append(mirror.url)
        return read(mirror, *arguments)

    monkeypatch.setattr(reading, "read", noted)
    return found


@pytest.fixture
def harvested(repo: Any, source: Any, harvest: Any) -> Any:
    source(repo.path)
    assert harvest().counts()["added"] == 3
    return repo


def test_the_answer_is_that_of_a_reading(
    harvested: Any, harvest: Any, unread: list[str], catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = catalog(exact=True)
    short = harvest()
    assert unread == []
    assert catalog(exact=True) == before
    monkeypatch.setattr(planning.settled, "recall", lambda *arguments: None)
    full = harvest()
    assert len(unread) == 1
    assert (short.summary, short.results, short.problems) == (full.summary, full.results, full.problems)


def test_problems_are_told_again(repo: Any, source: Any, harvest: Any, unread: list[str]) -> None:
    repo.write("odd/dvc.lock", "schema: '2.0'\n")
    repo.commit("A lock without a pipeline")
    source(repo.path)
    harvest()
    first = planning.preview(foreground.find_source("titanic"))
    assert len(unread) == 1
    assert "has no dvc.yaml beside it" in first.warnings[0]


def test_a_new_commit_is_read(harvested: Any, harvest: Any, unread: list[str]) -> None:
    harvested.commit("Nothing of DVC")
    assert harvest().counts()["unchanged"] == 3
    assert len(unread) == 1
    harvest()
    assert len(unread) == 1


def test_another_configuration_is_read(harvested: Any, harvest: Any, unread: list[str]) -> None:
    source = foreground.find_source("titanic")
    source.config = '{"tags_added": ["survival"]}'
    source.save()
    assert harvest().counts()["changed"] == 3
    assert len(unread) == 1


def test_what_the_catalog_lost_is_written_anew(harvested: Any, harvest: Any, unread: list[str]) -> None:
    helpers.call_action("dataset_purge", {"user": "root"}, id="titanic-train")
    model.Session.remove()
    assert harvest().counts()["added"] == 1
    assert len(unread) == 1
    harvest()
    assert len(unread) == 1


def test_an_incomplete_reading_is_done_again(harvested: Any, harvest: Any, unread: list[str]) -> None:
    harvested.write("dvc.yaml", "stages:\n  prepare: [this is no stage\n")
    harvested.commit("Broken")
    for number in (1, 2):
        assert harvest().counts()["retired"] == 0
        assert len(unread) == number
