"""What a sync asks of the database does not grow with what MLflow has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.mlops.core.mlflow_records import Run
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import links as mlflow_links


@pytest.fixture
def statements() -> Callable[[], Iterator[list[str]]]:
    """The statements that are sent to the database within the block; one that is sent row by row counts once a row."""

    @contextmanager
    def listen() -> Iterator[list[str]]:
        sent: list[str] = []

        def note(_connection, _cursor, statement, parameters, _context, executemany):
            sent.extend([statement] * (len(parameters) if executemany else 1))

        sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)

    return listen


def store(count, **tags):
    found = [
        Run(f"run{number}", "1", status="FINISHED", end="2026-01-01T00:00:00Z", tags=tags) for number in range(count)
    ]
    facts.store_runs(model.Session(), "lab", found, utc_now())


def test_facts_are_written_at_once(people, statements):
    model.Session().execute(sa.text("SELECT 1"))
    with statements() as sent:
        store(300, note="ü 'quoted' \\ {} %s :name")
    assert len(sent) == 1
    rows = facts.runs(model.Session(), [("lab", f"run{number}") for number in range(300)])
    assert len(rows) == 300
    row = rows["lab", "run7"]
    assert (row.facts["tags"], row.hashes, row.git_commit) == ({"note": "ü 'quoted' \\ {} %s :name"}, [], None)
    assert row.ended.isoformat() == "2026-01-01T00:00:00"


def test_runs_of_a_commit_that_no_repository_has_are_not_held_against_each_other(people, statements, monkeypatch):
    store(20, **{"mlflow.source.git.commit": "c" * 40})
    monkeypatch.setattr(mlflow_links, "_BATCH", 5)
    every = facts.runs_with_commits(model.Session(), ["c" * 40])
    with statements() as sent:
        assert mlflow_links.match_runs(model.Session(), every).runs == 20
    assert not [statement for statement in sent if "git_commit IN" in statement]


def test_a_sync_without_news_sends_no_statement_for_each_run(people, tracking, sync, statements):
    experiment = tracking.experiment()
    first, second = 1, 30
    counts = []
    for more in (first, second):
        for number in range(more):
            tracking.run(experiment, f"run{number}")
        sync(full=True)
        sync()
        with statements() as sent:
            sync()
        counts.append(Counter(sent))
    # A statement more or less may be of the clock or of another thread; thirty would be of the runs.
    assert counts[1].total() < counts[0].total() + second / 2, counts[1] - counts[0]
