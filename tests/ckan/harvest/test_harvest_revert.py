"""One harvest is taken back: what it wrote is as before, and what others changed since is not lost."""

from __future__ import annotations

from typing import Any

import pytest
from ckan import model
from ckan.tests import helpers

from ckanext.mlops.core import naming
from ckanext.mlops.harvesting import revert
from ckanext.mlops.model import Link


@pytest.fixture
def harvested(repo: Any, source: Any, harvest: Any) -> Any:
    source(repo.path)
    harvest()
    return repo


def patch(dataset: str, **values: Any) -> None:
    helpers.call_action("package_patch", {"user": "root"}, id=dataset, **values)


def take_back(report: Any, **options: Any) -> revert.Outcome:
    model.Session.remove()
    outcome = revert.run(report.job, "root", **options)
    model.Session.remove()
    return outcome


def everything_changes(repo: Any, show: Any) -> None:
    """One dataset changed, one retired, one added, and a tag moved over the third."""
    repo.edit("dvc.lock", show("titanic-train")["resources"][0]["hash"], "0" * 32)
    repo.edit("dvc.yaml", "A forest.", "A tree.")
    repo.write("more.csv.dvc", "outs:\n- md5: 11111111111111111111111111111111\n  path: more.csv\n")
    repo.git("rm", "--quiet", "data/raw.csv.dvc")
    repo.git("tag", "--delete", "v1")
    repo.commit("Everything")
    repo.git("tag", "v2")


def test_the_catalog_is_as_before(harvested: Any, harvest: Any, show: Any, catalog: Any) -> None:
    patch("titanic-prepare", title="By hand", tags=[{"name": "mine"}])
    before = catalog()
    everything_changes(harvested, show)
    report = harvest()
    assert report.counts()["added"] == 1
    assert report.counts()["retired"] == 1
    assert catalog() != before
    outcome = take_back(report)
    assert not outcome.refused
    assert catalog() == before


def test_branches_are_where_they_were(harvested: Any, harvest: Any, show: Any, api: Any, people: Any) -> None:
    """What leads from a commit to its datasets must not say that the new commit shows the old version."""

    def said() -> list[Any]:
        listed = api("mlops_version_list", people.admin, id="titanic-train")["results"]
        refs = api("mlops_repository_show", people.admin, id=repository)["refs"]
        return [[(version["id"], version["refs"]) for version in listed], refs]

    def found(commit: str) -> int:
        return int(helpers.call_action("package_search", q=f"commit:{commit}")["count"])

    repository = naming.repository_slug(show("titanic-train")["dvc_repository"])
    harvested.git("branch", "older")
    harvest()
    before, old = said(), harvested.git("rev-parse", "HEAD").strip()
    assert found(old)
    everything_changes(harvested, show)
    harvested.git("branch", "--delete", "--force", "older")
    harvested.git("branch", "newer")
    report, new = harvest(), harvested.git("rev-parse", "HEAD").strip()
    assert found(new)
    assert said() != before
    take_back(report)
    assert found(old)
    assert not found(new)
    assert said() == before


def test_the_next_harvest_writes_it_again(harvested: Any, harvest: Any, show: Any, catalog: Any) -> None:
    everything_changes(harvested, show)
    report = harvest()
    after = catalog()
    take_back(report)
    again = harvest()
    assert again.counts() == report.counts()
    assert catalog() == after
    take_back(again)
    assert harvest().counts() == report.counts()


def test_the_first_harvest_leaves_nothing(repo: Any, source: Any, harvest: Any, catalog: Any) -> None:
    source(repo.path)
    report = harvest()
    assert len(take_back(report).reverted) == 3
    found = catalog()
    assert (found["packages"], found["indexed"], found["versions"], found["edges"]) == ([], [], [], [])
    assert harvest().counts()["added"] == 3


def test_doing_it_twice_is_doing_it_once(harvested: Any, harvest: Any, show: Any, catalog: Any) -> None:
    everything_changes(harvested, show)
    report = harvest()
    take_back(report)
    before = catalog(exact=True)
    assert take_back(report).reverted == []
    assert catalog(exact=True) == before


def test_what_a_person_changed_since_stands_in_the_way(harvested: Any, harvest: Any, show: Any, catalog: Any) -> None:
    everything_changes(harvested, show)
    report = harvest()
    resources = show("titanic-train")["resources"]
    resources[0]["description"] = "Mine."
    patch("titanic-train", resources=resources)
    before = catalog(exact=True)
    with pytest.raises(revert.NotReverted, match=r"Titanic: train \(changed since: model.pkl: description\)"):
        take_back(report)
    assert catalog(exact=True) == before
    outcome = take_back(report, partly=True)
    assert list(outcome.refused) == ["Titanic: train"]
    assert show("titanic-train")["resources"][0]["description"] == "Mine."
    assert not show("titanic-data-raw-csv").get("dvc_retired")


def test_what_stands_in_the_way_is_told_in_the_language_of_the_page(
    harvested: Any, harvest: Any, show: Any, page: Any, people: Any
) -> None:
    everything_changes(harvested, show)
    report = harvest()
    patch("titanic-train", notes="Mine.")
    revert.in_background(report.job, "admin", partly=False)
    job = helpers.call_action("mlops_harvest_report", {"user": "root"}, id=report.job)
    assert job["revert"]["why"] == "Not reverted, for one dataset is not as this harvest left it."
    assert job["revert"]["refused"] == {"Titanic: train": "changed since: notes"}
    source = helpers.call_action("package_show", {"user": "root"}, id=job["source"])["name"]
    body = page(f"/de/harvest/{source}/job/{report.job}", people.sysadmin, status=200).body
    assert "Nicht zurückgenommen, denn ein Datensatz ist nicht" in body
    assert "Titanic: train: seither geändert: notes" in body


def test_an_edit_of_what_the_harvest_left_alone_stays(harvested: Any, harvest: Any, show: Any) -> None:
    everything_changes(harvested, show)
    report = harvest()
    patch("titanic-train", title="Mine")
    take_back(report)
    train = show("titanic-train")
    assert (train["title"], train["resources"][0]["description"]) == ("Mine", "A forest.")


def test_what_a_later_harvest_changed_stands_in_the_way(harvested: Any, harvest: Any, show: Any) -> None:
    everything_changes(harvested, show)
    report = harvest()
    harvested.edit("dvc.yaml", "A tree.", "Two trees.")
    harvested.commit()
    later = harvest()
    with pytest.raises(revert.NotReverted, match=r"Titanic: train \(a later harvest changed it\)"):
        take_back(report)
    take_back(later)
    take_back(report)
    assert show("titanic-train")["resources"][0]["description"] == "A forest."


def test_links_of_people_to_what_is_new_stand_in_the_way(harvested: Any, harvest: Any, show: Any) -> None:
    everything_changes(harvested, show)
    report = harvest()
    package_id = show("titanic-more-csv")["id"]
    values = {"server": "lab", "kind": "run", "target": "1", "relation": "used"}
    model.Session.add(Link(id="x", package_id=package_id, origin="asserted", **values))
    model.Session.commit()
    with pytest.raises(revert.NotReverted, match="people linked it to MLflow"):
        take_back(report)


def test_a_conflict_is_as_it_was(harvested: Any, harvest: Any, show: Any, catalog: Any) -> None:
    patch("titanic-prepare", notes="By hand.")
    before = catalog()
    harvested.edit("dvc.yaml", "Leaves out passengers without an age.", "Leaves out nobody.")
    harvested.commit()
    take_back(harvest())
    assert catalog() == before
    assert show("titanic-prepare")["notes"] == "By hand."


def test_a_killed_revert_goes_on(harvested: Any, harvest: Any, show: Any, catalog: Any) -> None:
    before = catalog()
    everything_changes(harvested, show)
    report = harvest()

    def killed(number: int, total: int, title: str) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_back(report, step=killed)
    model.Session.remove()
    assert catalog() != before
    take_back(report)
    assert catalog() == before
