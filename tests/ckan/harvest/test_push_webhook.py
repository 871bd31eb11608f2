"""Webhooks of GitHub, GitLab and Gitea start harvests of the sources that name their secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from ckan import model
from ckan.common import config as ckan_settings
from ckan.tests import helpers
from ckanext.harvest import queue
from ckanext.harvest.model import HarvestJob

from ckanext.mlops import webhooks
from ckanext.mlops.harvesting import triggers

SECRET = "correct-horse"


@pytest.fixture
def send(app: Any, repo: Any, source: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Send a message as GitHub does; status and answer."""
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.webhook.lab.secret", f"older {SECRET}")
    source(repo.path, webhook="lab", branches=["main", "release/*"], git_tags=["!nightly*"])
    count = iter(range(1000))

    def deliver(
        ref: str = "refs/heads/main", *, to: str = "titanic", event: str = "push", delivery: str = "", **values: Any
    ) -> tuple[int, dict[str, Any]]:
        number = next(count)
        body = json.dumps({"ref": ref, "number": number, **values}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or f"delivery-{number}",
            "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
        }
        answer = app.post(f"/mlops/source/{to}/webhook", data=body, headers=headers)
        return answer.status_code, answer.json

    return deliver


def jobs() -> int:
    model.Session.remove()
    return int(model.Session.query(HarvestJob).count())


def test_a_push_starts_a_harvest(send: Any) -> None:
    status, answer = send()
    assert (status, answer["done"]) == (200, "a harvest is on its way")
    assert jobs() == 1
    consumer = queue.get_gather_consumer()
    assert consumer.basic_get(queue=None)[2] is not None


def test_only_what_the_source_reads_counts(send: Any) -> None:
    for ref in ("refs/heads/feature", "refs/tags/nightly-1", "refs/pull/3/head"):
        assert send(ref)[0] == 200
    assert send(event="ping") == (200, {"received": True, "done": "nothing was pushed"})
    assert jobs() == 0
    assert send("refs/tags/v2")[1]["done"] == "a harvest is on its way"
    assert jobs() == 1


def test_a_message_counts_once(send: Any) -> None:
    send(delivery="same")
    assert send(delivery="same")[1]["done"] == "received before"


def test_a_push_during_a_harvest_is_harvested_after_it(send: Any, show: Any) -> None:
    send()
    send()
    assert jobs() == 1
    source_id = show("titanic")["id"]
    job = model.Session.query(HarvestJob).one()
    triggers.answered(model.Session(), source_id)  # the gather begins
    model.Session.commit()
    send()
    job = model.Session.query(HarvestJob).one()
    job.status = "Finished"
    model.Session.commit()
    helpers.call_action("harvest_jobs_run", {"user": "root"})
    assert jobs() == 2


@pytest.mark.parametrize("to", ["titanic", "nothing", "other"])
def test_who_does_not_know_the_secret_learns_nothing(app: Any, send: Any, source: Any, repo: Any, to: str) -> None:
    source("https://example.org/other.git", "other")
    answers = []
    for headers in ({}, {"X-Gitlab-Token": "guess"}, {"X-Hub-Signature-256": "sha256=" + "0" * 64}):
        answer = app.post(f"/mlops/source/{to}/webhook", data=b"{}", headers=headers)
        answers.append(answer.status_code)
    assert answers == [401, 401, 401]
    assert jobs() == 0


def test_guessing_is_slowed_down_and_silences_nobody_else(app: Any, send: Any) -> None:
    for _ in range(webhooks.REFUSED_PER_MINUTE + 1):
        guess = app.post("/mlops/source/titanic/webhook", data=b"{}", headers={"X-Gitlab-Token": "guess"})
    assert (guess.status_code, guess.headers["Retry-After"]) == (429, "60")
    assert "Too many" in guess.json["message"]
    # Behind a proxy the forge has the address of the one who guesses.
    assert send()[0] == 200


def test_many_messages_of_a_source_are_too_many(send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "PER_MINUTE", 2)
    assert [send()[0] for _ in range(3)] == [200, 200, 429]


def test_a_large_message_is_not_read(app: Any, send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckanext.mlops.core import push_webhook

    monkeypatch.setattr(push_webhook, "MAX_BYTES", 1000)
    status, answer = send(padding="x" * 2000)
    assert (status, "too large" in answer["message"]) == (401, True)
