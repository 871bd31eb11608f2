"""The table of metrics and params: names, deltas, filters, order, exports and charts, from plain data."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.mlops.core.sheets import csv_text, markdown_text
from ckanext.mlops.logic import charts
from ckanext.mlops.logic.metrics_table import BadCondition, Row, as_text, build, shades


def row(name, metrics, params=None, file="m.json"):
    found = Row({"name": name, "kind": "tag", "commit": "c" * 40, "committed": "2024-01-01T00:00:00Z"})
    found.take("metric", file, metrics)
    found.take("param", "params.yaml", {"data": params or {}})
    return found


@pytest.fixture
def rows():
    return [
        row("main", {"data": {"acc": 0.9, "loss": {"train": 0.1, "val": 0.3}}}, {"seed": 1, "model": "forest"}),
        row("v1", {"data": {"acc": 0.8, "loss": {"train": 0.2, "val": 0.2}}}, {"seed": 1, "model": "tree"}),
        row("old", {"error": {"type": "not-in-git", "msg": "DVC stores it"}}, {"seed": 1, "model": "none"}),
    ]


def names(table):
    return [each.revision["name"] for each in table.rows]


def test_labels_are_the_shortest_that_tell_apart(rows):
    assert [column.label for column in build(rows).columns] == ["acc", "train", "val", "seed", "model"]
    rows.append(row("x", {"data": {"val": {"acc": 1.0}}}))
    labels = {column.id: column.label for column in build(rows).columns}
    assert labels["metric:m.json:val.acc"] == "val.acc"
    assert labels["metric:m.json:acc"] == "m.json:acc"
    assert len({column.label for column in build(rows).columns}) == 6


def test_a_renamed_file_continues_its_columns(rows):
    rows.append(row("older", {"data": {"acc": 0.7}}, file="old/scores.json"))
    table = build(rows, baseline="older")
    acc = table.columns[0]
    assert (acc.label, acc.file) == ("acc", "*")
    assert [each.values.get(acc.id) for each in table.rows] == [0.9, 0.8, None, 0.7]
    assert table.delta(table.rows[0], acc) == pytest.approx(0.2)


def test_two_files_of_one_revision_stay_apart(rows):
    rows[0].take("metric", "test.json", {"data": {"acc": 0.5}})
    labels = [column.label for column in build(rows).columns]
    assert {"m.json:acc", "test.json:acc"} <= set(labels)


def test_deltas_refer_to_the_baseline(rows):
    table = build(rows, baseline="v1")
    acc = table.columns[0]
    assert table.delta(table.rows[0], acc) == pytest.approx(0.1)
    assert table.delta(table.rows[1], acc) is None, "the baseline itself"
    assert table.delta(table.rows[2], acc) is None, "no value"


def test_what_git_does_not_hold_says_why(rows):
    assert build(rows).rows[2].absent == {"m.json": "DVC stores it"}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["acc:>0.8"], ["main"]),
        (["acc:>=0.8", "model:=tree"], ["v1"]),
        (["delta.acc:>0"], ["main"]),
        (["loss.val:<0.25"], ["v1"]),
        (["model:!=tree"], ["main", "old"]),
    ],
)
def test_filters_on_values_and_deltas(rows, where, expected):
    where = [each.replace("loss.val", "val") for each in where]
    assert names(build(rows, baseline="v1", where=where)) == expected


@pytest.mark.parametrize("where", ["acc", "nothing:>1", "acc:>high", "acc:"])
def test_a_wrong_filter_is_named(rows, where):
    with pytest.raises(BadCondition, match=re.escape(where.split(":")[0])):
        build(rows, where=[where])


def test_order_puts_revisions_without_a_value_last(rows):
    assert names(build(rows, sort="acc")) == ["main", "v1", "old"]
    assert names(build(rows, sort="acc", descending=False)) == ["v1", "main", "old"]


def test_what_never_changes_can_be_left_out(rows):
    assert "seed" not in [column.label for column in build(rows, changed_only=True).columns]


def test_chosen_columns_in_the_order_chosen(rows):
    assert [column.label for column in build(rows, columns=["seed", "acc"]).columns] == ["seed", "acc"]


def answer(table):
    return {
        "baseline": table.baseline.revision["name"] if table.baseline else None,
        "columns": [vars(column) for column in table.columns],
        "rows": [
            {
                "revision": each.revision,
                "values": each.values,
                "deltas": {column.id: table.delta(each, column) for column in table.columns},
            }
            for each in table.rows
        ],
    }


def test_exports_hold_the_deltas_and_no_formulas(rows):
    rows[0].revision["name"] = "=cmd()|x"
    head, body = as_text(answer(build(rows, baseline="v1", columns=["acc"])))
    assert head == ["revision", "kind", "commit", "date", "acc", "delta acc"]
    assert [line[-2:] for line in body] == [["0.9", "+0.1"], ["0.8", ""], ["", ""]]
    assert csv_text(head, body).splitlines()[1].startswith("'=cmd()|x,tag,")
    assert "=cmd()\\|x" in markdown_text(head, body)


def test_shades_go_from_least_to_greatest(rows):
    assert shades(answer(build(rows, columns=["acc", "seed"]))) == {"metric:m.json:acc": {0: 5, 1: 1}}


numbers = st.none() | st.floats() | st.integers(-5, 5).map(float)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8))
def test_charts_stay_inside_their_box(pairs):
    names = [f"r{index}" for index in range(len(pairs))]
    xs, ys = [one for one, _ in pairs], [two for _, two in pairs]
    for chart in (charts.trend(names, ys, "y"), charts.scatter(names, xs, ys, "x", "y")):
        for x, y, _ in chart.points if chart else ():
            assert 0 <= x <= charts.WIDTH
            assert 0 <= y <= charts.HEIGHT
    drawn = charts.parallel(names, [("x", xs), ("y", ys)])
    for path, _ in drawn.paths if drawn else ():
        assert "nan" not in path
        assert "inf" not in path


def test_a_chart_needs_two_points():
    assert charts.trend(["a", "b"], [1.0, None], "y") is None
    assert charts.trend(["a", "b"], [1.0, math.nan], "y") is None
    assert charts.trend(["a", "b"], [1.0, 1.0], "y") is not None
