"""Cutting files into blocks, and the fast reading of regular blocks, say the same as reading the whole file."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ckanext.mlops.core import regular_yaml
from ckanext.mlops.core.documents import Document, DocumentParser
from ckanext.mlops.core.errors import ContentError
from ckanext.mlops.core.safe_yaml import hash_safe_scalar, load, scalar

WORDS = st.sampled_from(
    ["a", "b1", "md5", "path", "true", "null", "on", "0", "017", "1e5", "1.5", ".5", "-3", "+4", "0x1f", "1_000", "-",
     "~", "12345678901234567890", "0123456789abcdef0123456789abcdef", "123e4567890123456789012345678901", "2020-01-01",
     "data/x.csv", "s3://b/k", "python a.py --x 1", "it's", "a: b", "a #b", "#c", "x:", "- y", "'q'", '"d"', "[1, 2]",
     "{a: 1}", "&a", "*a", "!t x", "| ", "> ", "é", "<<", "a,b", "%x", "@y", "`z", "?", ":", "...", "---"]
)  # fmt: skip
KEYS = st.sampled_from(["cmd", "deps", "outs", "path", "md5", "params.yaml", "a.b", "true", "0", "stages", "x y", "<<"])
VALUES = st.recursive(
    WORDS | st.integers() | st.floats(allow_nan=False) | st.none() | st.booleans() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
LINES = st.lists(
    st.builds(
        lambda indent, dash, key, value: " " * indent + dash + key + value,
        st.integers(0, 6),
        st.sampled_from(["", "", "- "]),
        st.one_of(st.just(""), KEYS.map(lambda key: key + ":")),
        st.one_of(st.just(""), WORDS.map(lambda word: " " + word)),
    ),
    max_size=14,
)


def outcome(read: Any, text: str) -> Any:
    try:
        return read(text)
    except ContentError:
        return "error"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def facts(document: Any) -> Any:
    if not isinstance(document, Document):
        return document
    return [document.top, {name: block.value for name, block in document.stages.items()}]


def check(text: str) -> None:
    parser = DocumentParser()
    assert same(facts(outcome(parser.parse, text)), facts(outcome(parser.parse_whole, text)))
    assert same(facts(outcome(parser.parse, text)), facts(outcome(parser.parse_whole, text))), "second time"


@given(
    st.dictionaries(st.sampled_from(["train", "eval", "a.b", "x@1", "1", "y z"]), VALUES, max_size=4), st.integers(2, 4)
)
@settings(max_examples=150, deadline=None)
def test_a_lock_cut_into_stages_equals_the_whole(stages: dict[str, Any], indent: int) -> None:
    check(yaml.safe_dump({"schema": "2.0", "stages": stages}, indent=indent, allow_unicode=True, sort_keys=False))


@given(LINES)
@settings(max_examples=600, deadline=None)
def test_any_arrangement_of_lines_reads_the_same_cut_or_whole(lines: list[str]) -> None:
    check("\n".join(lines) + "\n")
    check("stages:\n" + "\n".join("  " + line for line in lines) + "\n")


@given(LINES)
@settings(max_examples=800, deadline=None)
def test_what_the_regular_reader_accepts_means_the_same_to_libyaml(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    try:
        value = regular_yaml.parse(text, hash_safe_scalar)
    except regular_yaml.Irregular:
        return
    assert same(value, load(text, plain=hash_safe_scalar)), text


@pytest.mark.parametrize(
    "text",
    [
        'stages:\n  a:\n    cmd: "x\n  b:\n    y"\n',
        "stages:\n  a: &x\n    cmd: 1\n  b: *x\n",
        "stages:\n  a:\n    cmd: |\n      x\n\n  b:\n    cmd: y\n",
        "stages:\n  a:\n    cmd: 1\n  a:\n    cmd: 2\n",
        "---\nstages:\n  a:\n    cmd: 1\n",
        "stages:\n  a:\n    cmd: 1\n...\nstages:\n  b: 1\n",
        "foo: [\nstages:\n  a: 1\n]\n",
        "stages:\n  a:\n    cmd: x\u2028  b:\n    cmd: y\n",
        "stages:\n   a:\n    cmd: 1\n  b:\n    cmd: 2\n",
        "stages:\n  a:\n    x: {b: 1,\n  c: 2}\n",
        "stages:\n    a:\n        cmd: 1\n    b:\n        cmd: 2\nmetrics:\n- m.json\n",
        "\ufeffstages:\n  a:\n    cmd: 1\n",
        "stages:\r\n  a:\r\n    cmd: 1\r\n",
        "# only a comment\n",
        "",
    ],
)
def test_texts_that_tempt_to_cut_wrongly(text: str) -> None:
    check(text)


def test_equal_blocks_are_one_object_and_know_their_line() -> None:
    parser = DocumentParser()
    first = parser.parse("stages:\n  a:\n    cmd: 1\n  b:\n    cmd: 2\n")
    second = parser.parse("stages:\n  a:\n    cmd: 3\n  b:\n    cmd: 2\n")
    assert first.stages["b"] is second.stages["b"]
    assert first.stages["a"] is not second.stages["a"]
    assert first.lines == {"a": 2, "b": 4}


@given(st.from_regex(r"[-+]?[0-9._eExXobn:a-f~]{1,12}", fullmatch=True) | WORDS)
@settings(max_examples=800, deadline=None)
def test_scalars_have_the_values_that_dvc_gives_them(text: str) -> None:
    ruamel = pytest.importorskip("ruamel.yaml", reason="DVC's YAML reader is the oracle")
    document = f"a: {text}\n"
    try:
        expected = ruamel.YAML(typ="safe", pure=True).load(document)
    except Exception:
        return
    if not isinstance(expected, dict) or expected.keys() != {"a"} or isinstance(expected["a"], (list, dict)):
        return
    if not isinstance(expected["a"], (str, int, float, type(None))):
        return
    assert same(load(document, plain=scalar)["a"], expected["a"]), text


def test_hashes_that_look_like_numbers_stay_text() -> None:
    text = "a: 01234567\nb: 12345678901234567890123456789012\nc: 123e4567890123456789012345678901\nd: 12\n"
    assert load(text, plain=hash_safe_scalar) == {
        "a": "01234567",
        "b": "12345678901234567890123456789012",
        "c": "123e4567890123456789012345678901",
        "d": 12,
    }
