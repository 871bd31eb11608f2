"""The Experiments tab looks for columns and the best run once, and again as soon as a run is another one."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from ckan import model

from ckanext.mlops.core.mlflow_records import Run
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model.tables import utc_now

URL = "/dataset/titanic/experiments?version=all"


@pytest.fixture
def tab(page, statements):
    """The names of the columns, the best run, and what the database was asked for them."""

    def read():
        statements.clear()
        soup = BeautifulSoup(page(URL, status=200).body, "html.parser")
        heads = [head.get_text(strip=True) for head in soup.select("table.mlops-runs thead tr:last-child th")]
        best = soup.select_one(".mlops-best-run th a, .mlops-best-run th")
        return heads, best.get_text(strip=True), [each for each in statements if "jsonb" in each]

    return read


def store(run_id, **metrics):
    run = Run(run_id, "7", name=f"run {run_id}", status="FINISHED", metrics=metrics)
    facts.store_runs(model.Session(), "lab", [run], utc_now())
    model.Session.commit()


def test_nothing_is_looked_for_twice(world, tab):
    first, again = tab(), tab()
    assert first[2]
    assert first[:2] == again[:2]
    assert again[2] == []


def test_a_run_that_changed_is_seen(world, tab):
    before = tab()
    assert "run r1" in before[1]
    store("r3", acc=0.99, recall=0.5)
    after = tab()
    assert "run r3" in after[1]
    assert "recall" in after[0]
    assert "recall" not in before[0]


def test_a_run_that_is_gone_or_linked_is_seen(world, tab):
    tab()
    store("r9", f1=0.1, acc=0.999)
    world.link(world.titanic, "r9", "trained_on")
    heads, best, _ = tab()
    assert "f1" in heads
    assert "run r9" in best
    facts.runs_gone(model.Session(), "lab", ["r9"], utc_now())
    model.Session.commit()
    heads, best, _ = tab()
    assert "f1" not in heads
    assert "run r1" in best


def test_the_tab_of_many_runs_asks_as_often_as_that_of_a_few(world, tab, page, statements):
    tab()
    few = len(statements)
    for number in range(40):
        store(f"m{number}", acc=number / 100)
        world.link(world.titanic, f"m{number}", "trained_on", origin="asserted", evidence={})
    tab()
    tab()
    assert len(statements) <= few + 5  # links of people are listed, in one go
