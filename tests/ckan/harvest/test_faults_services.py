"""Services that are away for a while, workers that are killed, and several of them at once."""

from __future__ import annotations

import datetime
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from ckan import model
from ckan.common import config as ckan_settings
from ckan.tests import helpers
from ckanext.harvest import queue
from ckanext.harvest.model import HarvestJob, HarvestObject

from ckanext.mlops.harvesting import apply, batches, gather, locks, planning, reading, watch

DEAD = "http://127.0.0.1:1/solr/ckan"


@pytest.fixture
def undisturbed(repo: Any, source: Any, harvest: Any, catalog: Any, show: Any, forget: Any) -> Any:
    """The catalog as it is to be; then everything is forgotten. Gives the source's id."""
    source(repo.path)
    harvest()
    expected = catalog()
    source_id = show("titanic")["id"]
    forget(source_id)

    def check() -> None:
        assert catalog() == expected
        session = model.Session()
        assert session.scalar(sa.select(sa.func.count()).where(HarvestObject.current)) == 3

    check.source_id = source_id  # type: ignore[attr-defined]
    return check


def start(source_id: str) -> str:
    return str(helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)["id"])


def finish(source_id: str) -> None:
    helpers.call_action("harvest_jobs_run", {"user": "root"}, source_id=source_id)


def later(seconds: float, do: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()
    return timer


def test_the_search_index_is_away_for_a_while(undisturbed: Any, consume: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start(undisturbed.source_id)
    consume("gather")
    alive = ckan_settings["solr_url"]
    monkeypatch.setitem(ckan_settings, "solr_url", DEAD)
    timer = later(2, lambda: monkeypatch.setitem(ckan_settings, "solr_url", alive))
    consume("fetch")
    timer.join()
    finish(undisturbed.source_id)
    undisturbed()


def test_the_search_index_stays_away(
    undisturbed: Any, consume: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = start(undisturbed.source_id)
    consume("gather")
    monkeypatch.setattr(batches.run, "__kwdefaults__", {**batches.run.__kwdefaults__, "patience": 0})
    with monkeypatch.context() as patch:
        patch.setitem(ckan_settings, "solr_url", DEAD)
        consume("fetch")
    job = helpers.call_action("harvest_job_show", {"user": "root"}, id=job_id)
    assert "search index cannot be reached, or is not well" in job["object_error_summary"][0]["message"]
    assert harvest().counts()["failed"] == 0
    undisturbed()


@pytest.fixture
def away() -> Iterator[Any]:
    """``away(seconds)`` ends every connection to the database, and lets nobody in for so long."""
    engine = sa.create_engine(ckan_settings["sqlalchemy.url"], isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    connection = engine.connect()
    name = connection.scalar(sa.text("SELECT current_database()"))
    timers = []

    def interrupt(seconds: float) -> None:
        connection.execute(sa.text(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0'))
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        back = sa.text(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
        timers.append(later(seconds, lambda: connection.execute(back)))

    yield interrupt
    for timer in timers:
        timer.join()
    connection.execute(sa.text(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1'))
    connection.close()


def test_the_database_is_away_for_a_while(
    undisturbed: Any, consume: Any, away: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(undisturbed.source_id)
    consume("gather")
    write, calls = apply._write_rows, []

    def interrupted(*arguments: Any) -> None:
        write(*arguments)
        calls.append(1)
        if len(calls) == 1:
            away(2)

    monkeypatch.setattr(apply, "_write_rows", interrupted)
    consume("fetch")
    assert len(calls) >= 2
    finish(undisturbed.source_id)
    undisturbed()


# Where in a gather: before anything is read, read, planned, half stored.
GATHERING = [(reading, "fetch"), (reading, "read"), (planning, "plan"), (gather, "_note")]


@pytest.mark.parametrize(("module", "where"), GATHERING)
def test_the_database_is_away_during_a_gather(
    module: Any, where: str, undisturbed: Any, consume: Any, away: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = start(undisturbed.source_id)
    original, calls = getattr(module, where), []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        result = original(*arguments, **options)
        if len(calls) == 1:
            away(2)
        return result

    monkeypatch.setattr(module, where, interrupted)
    consume("gather")
    assert len(calls) == 2
    consume("fetch")
    finish(undisturbed.source_id)
    undisturbed()
    report = helpers.call_action("mlops_harvest_report", {"user": "root"}, id=job_id)
    assert (report["stage"], report["problems"], report["check"]["equal"]) == ("done", [], True)


def test_the_database_stays_away_during_a_gather(
    undisturbed: Any, consume: Any, away: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job page says what happened, without SQL, and the next harvest goes on."""
    job_id = start(undisturbed.source_id)
    patiently = batches.patiently
    monkeypatch.setattr(batches, "patiently", lambda work, patience=0: patiently(work, patience))
    plan = planning.plan

    def interrupted(*arguments: Any, **options: Any) -> Any:
        away(0)
        return plan(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(planning, "plan", interrupted)
        consume("gather")
    finish(undisturbed.source_id)
    report = helpers.call_action("mlops_harvest_report", {"user": "root"}, id=job_id)
    assert report["stage"] == "failed"
    assert report["problems"] == [
        "The database could not be reached for too long. Nothing is lost: the next harvest goes on."
    ]
    assert harvest().counts()["added"] == 3
    undisturbed()


def test_the_search_index_is_away_during_a_gather(
    undisturbed: Any, consume: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gather does not need it."""
    start(undisturbed.source_id)
    with monkeypatch.context() as patch:
        patch.setitem(ckan_settings, "solr_url", DEAD)
        consume("gather")
    consume("fetch")
    finish(undisturbed.source_id)
    undisturbed()


def test_the_queue_is_away_at_the_end_of_a_gather(
    undisturbed: Any, consume: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ckanext-harvest's consumer ends then, and is started again; `ckan harvester run` sends what waits."""
    start(undisturbed.source_id)
    gathering = queue.get_gather_consumer()
    message = gathering.basic_get(queue=None)
    with monkeypatch.context() as patch:
        patch.setitem(ckan_settings, "ckan.redis.url", "redis://127.0.0.1:1/0")
        with pytest.raises(redis.ConnectionError):
            queue.gather_callback(gathering, *message)
    model.Session.remove()
    for _ in range(2):
        finish(undisturbed.source_id)
        consume("fetch")
    undisturbed()


def test_the_queue_is_away_for_a_while(undisturbed: Any, consume: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch is written; what could not be sent to the queue then is sent by `ckan harvester run`."""
    monkeypatch.setattr(batches, "SIZE", 1)
    monkeypatch.setattr(batches, "LANES", 1)
    monkeypatch.setattr(batches.run, "__kwdefaults__", {**batches.run.__kwdefaults__, "size": 1})
    start(undisturbed.source_id)
    consume("gather")
    fetching = queue.get_fetch_consumer()
    message = fetching.basic_get(queue=None)
    with monkeypatch.context() as patch:
        patch.setitem(ckan_settings, "ckan.redis.url", "redis://127.0.0.1:1/0")
        queue.fetch_callback(fetching, *message)
    assert model.Session.scalar(sa.select(sa.func.count()).where(HarvestObject.current)) == 1
    for _ in range(3):
        finish(undisturbed.source_id)
        consume("fetch")
    finish(undisturbed.source_id)
    undisturbed()


# (queue, where, before or after its first call)
KILLS = [
    ("gather", "ckanext.harvest.queue:gather_stage", "before"),
    ("gather", "ckanext.mlops.harvesting.gather:_forget", "after"),
    ("gather", "ckanext.mlops.harvesting.gather:_store", "after"),
    ("gather", "ckanext.harvest.queue:RedisPublisher.send", "before"),
    ("fetch", "ckanext.harvest.queue:fetch_and_import_stages", "before"),
    ("fetch", "ckanext.mlops.harvester:DvcHarvester.fetch_stage", "before"),
    ("fetch", "ckanext.mlops.harvesting.batches:_choose", "after"),
    ("fetch", "ckanext.mlops.harvesting.batches:_together", "after"),
    ("fetch", "ckanext.mlops.harvester:DvcHarvester._go_on", "after"),
    ("fetch", "ckanext.harvest.queue:RedisConsumer.basic_ack", "before"),
]


@pytest.mark.parametrize("point", KILLS, ids=lambda point: f"{point[1].split(':')[1]}-{point[2]}")
def test_a_killed_consumer_and_another_one_that_goes_on(
    point: tuple[str, str, str], undisturbed: Any, consume: Any, killed_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, where, when = point
    monkeypatch.setattr(watch, "_GRACE", datetime.timedelta(0))
    job_id = start(undisturbed.source_id)
    if kind == "fetch":
        consume("gather")
    assert killed_at(lambda: consume(kind), where, 1, when)
    for _ in range(3):
        # What the timer does, every minute or so; ckanext-harvest alone waits for 3 minutes, or for 2 hours.
        _expire(kind)
        finish(undisturbed.source_id)
        consume("gather")
        consume("fetch")
    finish(undisturbed.source_id)
    assert model.Session.get(HarvestJob, job_id, populate_existing=True).status == "Finished"
    undisturbed()


def _expire(kind: str) -> None:
    """Let ckanext-harvest's own memory of taken messages be 3 hours old: its remedy, when ours does not apply."""
    connection = queue.get_connection()
    prefix = queue.get_gather_routing_key() if kind == "gather" else queue.get_fetch_routing_key()
    for key in connection.keys(f"{prefix}:*"):
        connection.set(key, str(datetime.datetime.now() - datetime.timedelta(hours=3)))  # noqa: DTZ005


def test_two_workers_share_a_job(
    repo: Any,
    source: Any,
    harvest: Any,
    show: Any,
    catalog: Any,
    consume: Any,
    forget: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(20):
        repo.write(f"many/d{number:02}.csv.dvc", f"outs:\n- md5: {number:032x}\n  size: 1\n  path: d{number:02}.csv\n")
    repo.commit("Twenty files")
    source(repo.path)
    harvest()
    expected = catalog()
    source_id = show("titanic")["id"]
    forget(source_id)
    monkeypatch.setattr(batches, "SIZE", 3)
    monkeypatch.setattr(batches.run, "__kwdefaults__", {**batches.run.__kwdefaults__, "size": 3})
    start(source_id)
    consume("gather")
    model.Session.remove()
    engine: Any = model.meta.engine
    engine.dispose()
    workers = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                consume("fetch")
            finally:
                os._exit(0)
        workers.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in workers] == [0, 0]
    consume("fetch")
    finish(source_id)
    assert catalog() == expected


def test_two_jobs_of_one_source_at_once(undisturbed: Any, consume: Any) -> None:
    """ckanext-harvest refuses the second job; a race can still make one."""
    first = start(undisturbed.source_id)
    second = HarvestJob()
    second.source = model.Session.get(HarvestJob, first).source
    second.status = "Running"
    second.save()
    queue.get_gather_publisher().send({"harvest_job_id": second.id})
    consumer = queue.get_gather_consumer()
    queue.gather_callback(consumer, *consumer.basic_get(queue=None))
    message = consumer.basic_get(queue=None)
    # The second gather waits for the first job's imports.
    timer = later(1.0, lambda: _consume_in_child(consume))
    began = time.monotonic()
    queue.gather_callback(consumer, *message)
    timer.join()
    assert time.monotonic() - began > 0.9
    consume("fetch")
    finish(undisturbed.source_id)
    undisturbed()
    assert {job.status for job in model.Session.query(HarvestJob)} == {"Finished"}


def _consume_in_child(consume: Any) -> None:
    consume("fetch")
    model.Session.remove()


def test_a_source_is_read_by_one_process_at_a_time(repo: Any, source: Any, show: Any) -> None:
    source(repo.path)
    source_id = show("titanic")["id"]
    with locks.locked(source_id, wait=0), pytest.raises(locks.SourceBusy), locks.locked(source_id, wait=0):
        raise AssertionError("never reached")
    with locks.locked(source_id, wait=0):
        pass


def test_long_work_is_not_sent_again(monkeypatch: pytest.MonkeyPatch, clean: None) -> None:
    monkeypatch.setattr(watch, "_BEAT", 0.05)
    connection = queue.get_connection()
    key = f"{queue.get_fetch_routing_key()}:object"
    old = str(datetime.datetime.now() - datetime.timedelta(hours=1))  # noqa: DTZ005
    connection.set(key, old)
    with watch.alive(queue.get_fetch_routing_key(), "object"):
        time.sleep(0.3)
    assert connection.get(key) > old
    connection.delete(key)
    with watch.alive(queue.get_fetch_routing_key(), "object"):
        time.sleep(0.3)
    assert connection.get(key) is None
