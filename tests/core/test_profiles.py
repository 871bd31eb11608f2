"""Profiles of files: each format, what is cut, what is broken, and what is never opened."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from ckanext.mlops.transfers import profiles

FRAME = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, None, float("inf")], "t": ["a", "a", "b"], "ok": [True, False, True]})


def written(ending):
    stream = io.BytesIO()
    if ending == ".parquet":
        FRAME.to_parquet(stream)
    elif ending == ".xlsx":
        FRAME.replace(float("inf"), 9).to_excel(stream, index=False)
    elif ending == ".jsonl":
        stream.write(FRAME.replace(float("inf"), 9).to_json(orient="records", lines=True).encode())
    else:
        FRAME.to_csv(stream, index=False, sep="\t" if ending == ".tsv" else ",")
    return stream.getvalue()


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"])
def test_each_format(ending):
    data = written(ending)
    found = profiles.profile(f"data/a{ending}", data, len(data))
    assert (found["kind"], found["rows"], found["complete"]) == ("table", 3, True)
    columns = {each["name"]: each for each in found["columns"]}
    assert [each["type"] for each in found["columns"]] == ["integer", "number", "text", "boolean"]
    assert (columns["n"]["min"], columns["n"]["max"], columns["n"]["distinct"]) == (1, 3, 3)
    assert columns["x"]["missing"] == 1
    assert columns["t"]["top"] == [["a", 2], ["b", 1]]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_cut_file_ends_at_its_last_whole_line():
    data = b"a,b\n" + b"".join(b"%d,%d\n" % (number, number) for number in range(100))
    found = profiles.profile("a.csv", data[:50], len(data))
    assert (found["complete"], found["rows"]) == (False, 11)
    assert found["columns"][1]["max"] == 10


def test_pickles_and_unknown_files_are_never_opened():
    assert profiles.wanted("model.pkl") == profiles.wanted("x.joblib") == profiles.wanted("x") == 0
    assert profiles.profile("model.pkl", b"cos\nsystem\n(S'touch pwned'\ntR.", 30) == {"kind": "none"}


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.xlsx", "a.jsonl"])
def test_garbage_is_a_note(name):
    found = profiles.profile(name, b"\x00\xff\x00 garbage \xfe", 14)
    assert found["kind"] in ("none", "table")
    json.dumps(found, allow_nan=False)


def test_many_columns_and_rows_are_bounded():
    wide = (",".join(f"c{number}" for number in range(500)) + "\n" + ",".join("1" for _ in range(500))).encode()
    found = profiles.profile("a.csv", wide, len(wide))
    assert (len(found["columns"]), found["more_columns"]) == (profiles.MAX_COLUMNS, 300)
    long = b"a\n" + b"1\n" * (profiles.MAX_ROWS + 5)
    found = profiles.profile("a.csv", long, len(long))
    assert (found["rows"], found["complete"]) == (profiles.MAX_ROWS, False)
