"""MLflow's webhooks make the portal read a server soon: once, when they are MLflow's, and not too often."""

from __future__ import annotations

import datetime
import time
import uuid

import pytest
from ckan import model
from ckan.lib import jobs
from ckan.tests import helpers

from ckanext.mlops import webhooks
from ckanext.mlops.core.mlflow_webhook import signature
from ckanext.mlops.model import mlflow, mlflow_models
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import schedule as mlflow_schedule

SECRET = "webhook-secret"
BODY = b'{"entity": "registered_model", "action": "created"}'


@pytest.fixture
def send(app, people, tracking, configure):
    """Send a message as MLflow does."""
    configure("lab", webhook_secret=f"{SECRET} old-secret")

    def post(server="lab", delivery="", secret=SECRET, body=BODY, **changes):
        delivery, timestamp = delivery or str(uuid.uuid4()), str(int(time.time()))
        headers = {
            "X-MLflow-Delivery-Id": delivery,
            "X-MLflow-Timestamp": timestamp,
            "X-MLflow-Signature": signature(secret, delivery, timestamp, body),
            **changes,
        }
        return helpers.CKANTestApp(app.app).post(f"/mlops/mlflow/{server}/webhook", data=body, headers=headers)

    return post


def waiting():
    return [job for job in jobs.get_queue().jobs if job.func_name.startswith("ckanext.mlops.tracking.schedule")]


def test_a_message_brings_what_is_new_in_the_registry(send, tracking):
    name = f"hooked-{uuid.uuid4().hex[:8]}"
    tracking.call("registered-models/create", name=name)
    response = send()
    assert (response.status_code, response.json) == (200, {"received": True, "repeated": False})
    [job] = waiting()
    job.perform()
    assert ("lab", name) in mlflow_models.registered_models(model.Session(), [("lab", name)])
    assert mlflow_schedule.due(model.Session(), utc_now()) == []


def test_many_messages_are_one_job_and_a_repeated_one_is_none(send):
    assert [send(delivery="same").json["repeated"] for _ in range(2)] == [False, True]
    send()
    assert len(waiting()) == 1


def test_a_message_that_comes_during_the_sync_makes_another_one(send):
    send()
    [first] = waiting()
    first.perform()
    jobs.get_queue().empty()
    send()
    assert len(waiting()) == 1
    assert mlflow_schedule.due(model.Session(), utc_now()) == ["lab"]


def test_what_mlflow_did_not_sign_is_refused_and_silences_nobody_else(send, monkeypatch):
    monkeypatch.setattr(webhooks, "REFUSED_PER_MINUTE", 4)
    wrong = [send(secret="guess"), send("nowhere"), send(**{"X-MLflow-Timestamp": "1"}), send(body=b"x" * 2**20 + b"x")]
    assert [response.status_code for response in wrong] == [401] * 4
    slowed = send(secret="guess")
    assert (slowed.status_code, slowed.headers["Retry-After"]) == (429, "60")
    assert waiting() == []
    assert send().status_code == 200


def test_the_secret_of_before_still_counts_while_it_is_replaced(send):
    assert send(secret="old-secret").status_code == 200


def test_too_many_messages_wait(send, monkeypatch):
    monkeypatch.setattr(mlflow_schedule, "PER_MINUTE", 2)
    assert [send().status_code for _ in range(3)][-1] == 429


def test_a_server_without_a_secret_takes_no_message(send, configure):
    configure("lab", webhook_secret="")
    assert send(secret="").status_code == 401


def test_servers_are_due_by_the_clock_when_asked_for_and_after_a_failure(people, configure):
    session, now = model.Session(), utc_now()
    for name in ("never", "fresh", "old", "failed"):
        configure(name, uri="http://127.0.0.1:1")
    for name, minutes in (("fresh", 5), ("old", 15), ("failed", 5)):
        then = now - datetime.timedelta(minutes=minutes)
        mlflow.record_contact(session, name, then, "no answer" if name == "failed" else "")
        if name != "failed":
            mlflow.sync_began(session, name, then)
    assert mlflow_schedule.due(session, now) == ["never", "old"]
    assert mlflow_schedule.due(session, now + datetime.timedelta(minutes=6)) == ["never", "fresh", "old", "failed"]
    mlflow.ask_for_sync(session, "fresh", now)
    assert "fresh" in mlflow_schedule.due(session, now)


def test_the_timer_gives_each_server_to_the_workers_once(people, tracking):
    now = utc_now()
    assert mlflow_schedule.enqueue_due(model.Session(), now) == ["lab"]
    assert mlflow_schedule.enqueue_due(model.Session(), now) == []
    assert len(waiting()) == 1
