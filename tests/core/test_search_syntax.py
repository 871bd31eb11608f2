"""What may be typed into the search box, and that nothing typed becomes Solr syntax."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.mlops.search.numbers import field, sortable
from ckanext.mlops.search.syntax import MAX_TERMS, parse

numbers = st.floats(allow_nan=False)


@given(numbers, numbers)
def test_sortable_numbers_compare_as_numbers(one, two):
    assert (sortable(one) < sortable(two)) == (one < two)
    assert (sortable(one) == sortable(two)) == (one == two)


def test_a_number_that_is_none_has_no_place():
    with pytest.raises(ValueError, match="NaN"):
        sortable(math.nan)


def test_words_stay_words():
    parsed = parse("prepared titanic  data")
    assert (parsed.text, parsed.filters, parsed.sort) == ("prepared titanic  data", (), "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("accuracy:>0.8", f"mlops_number_accuracy:{{{sortable(0.8)} TO *]"),
        ("accuracy:>=0.8", f"mlops_number_accuracy:[{sortable(0.8)} TO *]"),
        ("eval.loss:<=-1e-3", f"mlops_number_eval_loss:[* TO {sortable(-0.001)}]"),
        ("tag:v1.*", r"vocab_ref:v1.*"),
        ('column:"Passenger Id"', r"vocab_column:Passenger\ Id"),
        ("hash:3F2A9C01.dir", "vocab_hash:3f2a9c01*"),
        ("path:data/raw", r"vocab_path:data\/raw OR vocab_path:*\/data\/raw OR vocab_path:data\/raw\/*"),
        ('command:"train.py --seed"', 'extras_dvc_command:"train.py --seed"'),
    ],
)
def test_terms_become_filters(typed, expected):
    assert parse(typed).filters == (expected,)
    assert parse(typed).text == ""
    assert parse(f"titanic {typed} model").text == "titanic model"


def test_a_bare_hash_looks_everywhere():
    (found,) = parse("9C1D8E0F").filters
    assert "vocab_hash:9c1d8e0f*" in found
    assert "vocab_commit:9c1d8e0f*" in found
    assert "vocab_run:9c1d8e0f*" in found
    assert parse("9c1d8e0").filters == (), "seven digits may be a word"


def test_a_comparison_puts_the_best_first():
    assert parse("accuracy:>0.8").sort == "mlops_number_accuracy desc"
    assert parse("loss:<0.2").sort == "mlops_number_loss asc"
    assert parse("accuracy:=0.8").sort == ""


def test_an_unknown_word_is_a_field_or_a_param():
    assert parse("max_depth:5").filters == (
        f'max_depth:"5" OR vocab_param:"max_depth=5" OR mlops_number_max_depth:[{sortable(5)} TO {sortable(5)}]',
    )


@pytest.mark.parametrize(
    "query",
    [
        "name:titanic", "tags:economy", "extras_spatial:x", 'organization:"lab"', "url:https://example.org",
        "https://example.org/x", "max_depth:5 OR tags:x", "(a:b)", "id:(a OR b)", "accuracy:>high",
        "foo:[1 TO 2]", "-a:b",
    ],
)  # fmt: skip
def test_ckans_own_queries_are_left_alone(query):
    parsed = parse(query)
    assert (parsed.text, parsed.filters) == (query, ())


def test_the_number_of_terms_is_bounded():
    assert len(parse(" ".join(f"p{number}:1" for number in range(100))).filters) == MAX_TERMS


@given(st.text(alphabet=st.sampled_from('ab1:"\\*?()[]{}~^+-!&|/<>= .'), max_size=40))
def test_nothing_typed_becomes_solr_syntax(typed):
    for found in parse(typed).filters:
        outside = re.sub(r'"(\\.|[^"\\])*"', '""', found)  # quoted text cannot end early
        outside = re.sub(r"\\.", "", outside)  # nor can escaped characters mean anything
        assert re.fullmatch(r"[\w.@*:\" \[\]{}-]*", outside), found
        for part in outside.split(" OR "):
            assert re.fullmatch(r'[\w.@-]*:("".*|[\w.*@ -]*|[\[{][0-9a-f*]+ TO [0-9a-f*]+[\]}])', part), part


def test_field_names_are_plain():
    assert field('a.b "c"/d') == "mlops_number_a_b_c_d"
    assert len(field("x" * 5000)) < 130
