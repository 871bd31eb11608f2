"""The report of a harvest is mailed to whoever created the source, through a mail server."""

from __future__ import annotations

from typing import Any

from ckan.tests import helpers

from ckanext.mlops.harvesting import approval


def test_the_report_is_mailed_once(repo: Any, source: Any, harvest: Any, mails: list[Any]) -> None:
    source(repo.path, mail_reports=True)
    report = harvest()
    [mail] = mails
    assert "root@portal.test" in mail["To"]
    assert "Titanic: 3 stages, 4 outputs: 3 added" in mail["Subject"]
    text = mail.get_body().get_content()
    for each in (
        "The source has 3, the catalog has 3 datasets of it.",
        "added: Titanic: train (found at main)",
        f"http://portal.test/harvest/titanic/job/{report.job}",
    ):
        assert each in text
    harvest()
    assert len(mails) == 1, "nothing happened"
    repo.edit("dvc.yaml", "A forest.", "A tree & <more>.")
    repo.commit()
    harvest()
    assert "changed: Titanic: train (changed: notes, model.pkl/description)" in mails[1].get_body().get_content()


def test_a_failure_and_a_plan_that_waits_are_mailed(
    root: Any, repo: Any, source: Any, harvest: Any, mails: Any
) -> None:
    source(root / "nothing", name="nothing", mail_reports=True)
    harvest("nothing")
    source(repo.path, mail_reports=True, approval=True)
    harvest()
    assert "failed" in mails[0]["Subject"]
    assert "nothing" in mails[0].get_body().get_content()
    assert "waits for approval" in mails[1]["Subject"]


def test_an_approved_plan_is_mailed_again_when_it_is_written(
    repo: Any, source: Any, harvest: Any, consume: Any, mails: Any
) -> None:
    source(repo.path, mail_reports=True, approval=True)
    job = str(harvest().job)
    approval.release(job)
    consume("fetch")
    helpers.call_action("harvest_jobs_run", {"user": "root"})
    waits, written = mails
    assert "The source has 3, the catalog has 0 datasets of it." in waits.get_body().get_content()
    assert "3 added" in written["Subject"]
    assert "The source has 3, the catalog has 3 datasets of it." in written.get_body().get_content()


def test_nobody_is_mailed_who_did_not_ask(repo: Any, source: Any, harvest: Any, mails: list[Any]) -> None:
    source(repo.path)
    harvest()
    assert mails == []


def test_without_a_mail_server_the_harvest_is_fine(repo: Any, source: Any, harvest: Any) -> None:
    source(repo.path, mail_reports=True)
    assert harvest().counts()["added"] == 3
