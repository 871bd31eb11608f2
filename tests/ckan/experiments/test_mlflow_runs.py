"""The table of a dataset's runs: order, columns, the best one."""

from __future__ import annotations

import pytest


@pytest.fixture
def experiment(api, people, dataset, tracking):
    """Four runs: metrics that are numbers, NaN or missing; params that sort as numbers."""
    found = tracking.experiment()
    rows = [
        ("a", {"acc": 0.5, "loss": 3}, {"rate": "0.1", "same": "x"}, "FINISHED"),
        ("b", {"acc": 0.9, "loss": 1}, {"rate": "1e-3", "same": "x"}, "FINISHED"),
        ("c", {"acc": float("nan")}, {"rate": "20", "same": "x"}, "FINISHED"),
        ("d", {"acc": 0.95}, {"rate": "auto", "same": "x"}, "FAILED"),
    ]
    for position, (name, metrics, params, status) in enumerate(rows):
        metrics = {key: "NaN" if value != value else value for key, value in metrics.items()}
        tracking.run(
            found, name, metrics=metrics, params=params, status=status, start=1_600_000_000_000 + 1000 * position
        )
    api("mlops_link_create", people.editor, id="titanic", server="lab", kind="experiment", target=found)
    return found


def names(answer):
    return "".join(run["name"] for run in answer["results"])


@pytest.mark.parametrize(
    ("sort", "order", "expected"),
    [
        ("started", "desc", "dcba"),
        ("started", "asc", "abcd"),
        ("name", "asc", "abcd"),
        ("metrics.acc", "desc", "dbac"),
        ("metrics.acc", "asc", "abdc"),
        ("metrics.loss", "asc", "badc"),
        ("params.rate", "asc", "bacd"),
        ("params.rate", "desc", "cabd"),
        ("metrics.there is none", "desc", "dcba"),
        ("params.x'; DROP TABLE mlops_run; --", "desc", "dcba"),
    ],
)
def test_runs_are_sorted_by_any_column_and_those_without_a_value_come_last(api, experiment, sort, order, expected):
    assert names(api("mlops_run_list", id="titanic", sort=sort, order=order)) == expected


def test_runs_come_in_pages(api, experiment):
    answer = api("mlops_run_list", id="titanic", sort="name", order="asc", limit=2, offset=1)
    assert (answer["count"], names(answer)) == (4, "bc")


@pytest.mark.parametrize("sort", ["nothing", "metrics.", "facts", ""])
def test_an_unknown_column_is_refused_or_the_default(api, experiment, refused, sort):
    if sort:
        with pytest.raises(refused) as caught:
            api("mlops_run_list", id="titanic", sort=sort)
        assert "metrics.NAME" in caught.value.error["sort"][0]
    else:
        assert names(api("mlops_run_list", id="titanic", sort=sort)) == "dcba"


def test_the_best_run_is_a_finished_one_with_a_number(api, experiment):
    def best(**query):
        return api("mlops_run_list", id="titanic", **query)["best"]

    runs = {run["name"]: run["run_id"] for run in api("mlops_run_list", id="titanic")["results"]}
    assert best() is None
    assert best(metric="acc") == {"server": "lab", "run_id": runs["b"], "value": 0.9}
    assert best(metric="acc", goal="min")["run_id"] == runs["a"]
    assert best(metric="unknown") is None


def test_columns_say_how_telling_they_are(api, experiment):
    columns = api("mlops_run_list", id="titanic")["columns"]
    assert [(item["kind"], item["name"], item["runs"], item["values"]) for item in columns] == [
        ("metrics", "acc", 4, 4),
        ("metrics", "loss", 2, 2),
        ("params", "rate", 4, 4),
        ("params", "same", 4, 1),
    ]


def test_a_run_that_many_links_lead_to_is_one_row(api, people, experiment):
    for run in api("mlops_run_list", id="titanic")["results"][:2]:
        for relation in ("trained_on", "evaluated_on"):
            api("mlops_link_create", people.editor, id="titanic", server="lab", target=run["run_id"], relation=relation)
    assert api("mlops_run_list", id="titanic")["count"] == 4
