"""Versions and runs side by side: what differs comes first, and one thing under two names is one row."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.mlops.logic.comparison import Row, Side, same, table


def version(**values: Any) -> Side:
    return Side("v", "version", "v1", values)


def run(**values: Any) -> Side:
    return Side("r", "run", "forest", values)


def row(rows: list[Row], name: str) -> Row:
    (found,) = [each for each in rows if each.name == name]
    return found


def test_what_differs_comes_first() -> None:
    rows = table(
        [
            version(params={"a": 1, "b": 2}, metrics={"acc": 0.9}, command={"command": "x"}),
            version(params={"a": 1, "b": 3}, metrics={"acc": 0.8}, command={}),
        ]
    )
    assert [(each.group, each.name, each.state) for each in rows] == [
        ("params", "b", "differs"),
        ("metrics", "acc", "differs"),
        ("command", "command", "partly"),
        ("params", "a", "equal"),
    ]


def test_mlflows_names_meet_dvcs() -> None:
    rows = table([version(params={"train.max_depth": 5, "seed": 1}), run(params={"max_depth": "5", "seed": "1"})])
    assert row(rows, "train.max_depth").values == [5, "5"]
    assert {each.state for each in rows} == {"equal"}


def test_names_that_could_be_either_stay_apart() -> None:
    rows = table([version(params={"a.depth": 1, "b.depth": 2}), run(params={"depth": "1"})])
    assert {each.name for each in rows} == {"a.depth", "b.depth", "depth"}
    both = table([version(params={"a.depth": 1}), run(params={"depth": "1", "a.depth": "2"})])
    assert row(both, "a.depth").values == [1, "2"]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (0.1, "0.10", True),
        (True, "True", True),
        (True, "true", True),
        (1, True, False),
        ("5", "05x", False),
        ("NaN", "NaN", True),
        ("1e400", "inf", False),
        ([1, 2], [1, 2], True),
    ],
)
def test_values_of_text_and_number(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
