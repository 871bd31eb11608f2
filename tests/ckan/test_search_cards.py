"""Results of a search tell repository, files, versions and uses at a glance, in a few statements for all of them."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.lib import search
from ckan.tests import helpers

from ckanext.mlops.model import versions
from ckanext.mlops.search.cards import cards


@pytest.fixture
def raw(make_dataset):
    found = make_dataset(
        name="raw",
        title="Passengers",
        dvc_repository="https://example.org/o/titanic.git",
        dvc_stage="fetch",
        resources=[{"url": "", "size": 1536}, {"url": "", "size": 512}, {"url": ""}],
    )
    row = {"id": "one", "digest": "x", "commit": "c" * 40, "committed": "2020-05-01T00:00:00Z"}
    versions.store(model.Session(), found["id"], [row, row | {"id": "two", "committed": "2019-05-01T00:00:00Z"}])
    model.Session.commit()
    return found


def text_of(body, name):
    item = next(part for part in body.split('<li class="dataset-item">') if f'href="/dataset/{name}"' in part)
    return " ".join(re.sub(r"<[^>]+>", " ", item).split())


def test_a_result_tells_at_a_glance(raw, make_dataset, page):
    make_dataset(name="prepared", derived_from=[{"dataset": raw["id"]}])
    make_dataset(name="secret", private=True, derived_from=[{"dataset": raw["id"]}])
    body = page("/dataset/", status=200).body
    shown = text_of(body, "raw")
    assert "titanic · fetch" in shown
    assert "3 files, 2 KiB 2 versions, newest" in shown
    assert "used by 2 datasets" in shown, "a number may count what the reader cannot see"
    assert "secret" not in body


def test_a_search_by_a_number_shows_it_best_first(make_dataset, page):
    for name, number in (("good", 0.8125), ("better", 0.9)):
        package = make_dataset(name=name, dvc_repository="https://example.org/o/titanic.git")
        metrics = [{"file": "m.json", "state": "in-git", "values": {"eval": {"f1-score": number}}}]
        params = [{"file": "params.yaml", "key": "train.depth", "value": 4}]
        row = {"id": name, "digest": "x", "commit": "c" * 40, "current": True}
        versions.store(model.Session(), package["id"], [row | {"facts": {"metrics": metrics, "params": params}}])
        model.Session.commit()
        search.rebuild(package["id"])
    body = page("/dataset/?q=f1-score:%3E0.5+train.depth:%3C9", status=200).body
    assert "f1-score 0.8125 train.depth 4" in text_of(body, "good")
    assert "f1-score 0.9 train.depth 4" in text_of(body, "better")
    assert body.index('href="/dataset/better"') < body.index('href="/dataset/good"')
    assert "0.8125" not in page("/dataset/?q=train", status=200).body


def test_a_dataset_with_nothing_of_ours_has_no_card(make_dataset, page):
    make_dataset(name="plain")
    assert "mlops-card" not in page("/dataset/", status=200).body


def test_the_cost_does_not_grow_with_the_page(raw, make_dataset):
    for number in range(5):
        make_dataset(name=f"more-{number}")
    packages = helpers.call_action("package_search")["results"]
    statements = []
    engine = model.meta.engine
    listen = lambda *arguments: statements.append(arguments[2])  # noqa: E731
    sa.event.listen(engine, "before_cursor_execute", listen)
    try:
        assert len(cards({"session": model.Session, "user": ""}, packages)) == 6
    finally:
        sa.event.remove(engine, "before_cursor_execute", listen)
    assert len(statements) == 1
