"""Options of a source that say what its datasets are like, through a harvest."""

from __future__ import annotations

from typing import Any

from ckan.tests import helpers


def test_titles_and_storage_are_what_the_source_says(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    repo.write(
        ".dvc/config", (repo.path / ".dvc/config").read_text() + "['remote \"mirror\"']\n    url = s3://mirror/m\n"
    )
    repo.commit("A second remote")
    source(repo.path, title_template="{stage} of {project}", remote="mirror", branches=["main"], git_tags=["!*"])
    report = harvest()
    train = show("titanic-train")
    assert train["title"] == "train of Titanic"
    model = next(each for each in train["resources"] if each["dvc_path"] == "model.pkl")
    digest = model["hash"]
    assert model["dvc_storage_path"] == f"s3://mirror/m/files/md5/{digest[:2]}/{digest[2:]}"
    assert report.counts()["problems"] == 0


def test_a_remote_that_a_revision_lacks_is_told_and_the_default_one_taken(
    repo: Any, source: Any, harvest: Any, show: Any
) -> None:
    source(repo.path, remote="mirror")
    report = harvest()
    assert report.counts()["added"] == 3
    [model] = [each for each in show("titanic-train")["resources"] if each["dvc_path"] == "model.pkl"]
    assert model["dvc_storage_path"].startswith("s3://lab-data/titanic/")
    shown = helpers.call_action("mlops_harvest_report", {"user": "root"}, id=str(report.job))
    assert any("there is no DVC remote mirror" in each for each in shown["warnings"])


def test_a_stage_that_is_renamed_at_two_harvests_is_one_chain(
    repo: Any, source: Any, harvest: Any, show: Any, api: Any
) -> None:
    source(repo.path)
    harvest()
    for before, after in (("train", "fit"), ("fit", "learn")):
        for file in ("dvc.yaml", "dvc.lock"):
            repo.edit(file, f"  {before}:\n", f"  {after}:\n")
        repo.commit(f"{before} is {after}")
        assert harvest().counts()["failed"] == 0
    chain = api("mlops_version_list", id="titanic-learn")
    addresses = {each["facts"]["address"] for each in chain["results"]}
    assert [each["stage"] for each in chain["chain"]] == ["fit", "train"]
    assert addresses >= {"learn", "train"}
    learn = show("titanic-learn")["id"]
    assert show("titanic-fit")["dvc_moved_to"] == learn
    # The tag v1 still shows it, and no revision shows what it was called in between.
    assert show("titanic-train")["dvc_moved_to"] == learn
    assert harvest().counts()["unchanged"] == 5
    # The repository has forgotten what it was called in between; the catalog has not.
    fit = show("titanic-fit")["id"]
    assert show("titanic-learn")["dvc_moved_from"] == fit
    repo.write("notes.txt", "of a later commit")
    repo.commit("Notes")
    assert harvest().counts()["unchanged"] == 5
    assert show("titanic-learn")["dvc_moved_from"] == fit
