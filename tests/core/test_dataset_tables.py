"""Tables and folders of datasets as people have them: what is usable is read, what is not says where and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.client import BadRecord, DatasetRecord, read_folder, read_table
from ckanext.mlops.client.links import read_links


def rows(folder: Path, name: str, content: str | bytes, encoding: str = "utf-8") -> list[Any]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    (folder / "a.csv").write_text("x\n1\n")
    return list(read_table(folder / name))


def said(found: list[Any]) -> list[str]:
    return [each.name if isinstance(each, DatasetRecord) else str(each) for each in found]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("name,title,files\nwind,März,a.csv\n", "utf-8-sig"),
        ("name;title;files\nwind;März;a.csv\n", "utf-8"),
        ("name\ttitle\tfiles\nwind\tMärz\ta.csv\n", "utf-16"),
        ('"name","title","files"\r\n"wind","März","a.csv"\r\n', "utf-8"),
        (" Name , Title,FILES\nwind,März,a.csv\n\n\n", "utf-8"),
    ],
    ids=["mark of Excel", "semicolons", "Unicode text of Excel", "quotes and CRLF", "blanks and capitals"],
)
def test_what_spreadsheets_save_is_read(tmp_path: Path, content: str, encoding: str) -> None:
    (found,) = rows(tmp_path, "t.csv", content, encoding)
    assert (found.name, found.title, [each.name for each in found.files]) == ("wind", "März", ["a.csv"])


def test_a_row_is_named_by_its_line_and_the_others_are_read(tmp_path: Path) -> None:
    text = 'name,title,notes\none,One\n\ntwo,"Two, with\na comma",x\nthree,Three, torn\nfour,Four,x,y\nfive\nfive,x\n'
    found = said(rows(tmp_path, "t.csv", text))
    assert found[:3] == ["one", "two", "three"]
    assert found[3] == "t.csv, row 7: 4 cells in a table of 3 columns; put text with ',' into quotes"
    assert found[4:] == ["five", "t.csv, row 9: the name 'five' is that of t.csv, row 8, too"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "name,title\nx1,M\xe4rz\n".encode("latin-1"), "t.csv, row 2: the text is not UTF-8"),
        ("t.csv", b"", "no first row"),
        ("t.csv", b"name,title,name\n", "two columns are called 'name'"),
        ("t.xlsx", b"not excel", "no sound Excel file"),
        ("t.xlsx", b"PK\x05\x06" + bytes(18), "no sound Excel file"),
        ("t.ods", b"x", "its name must end in"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        rows(tmp_path, name, content)


def test_broken_lines_of_json_stop_no_other(tmp_path: Path) -> None:
    lines = [
        b'{"name":"one","files":["a.csv"]}', b"{broken", b"[1]", b'{"name":"two","title":null}', b'{"name":"\xff"}',
        b"", b'{"name":"nul","title":"a\\u0000b"}', b'{"name":"half","notes":"\\ud800"}', b'{"name":5}', b"[" * 100_000,
        b'{"name":"red","colour":"red"}', b'{"name":"odd","private":[1]}', b'{"name":"last"}',
    ]  # fmt: skip
    found = said(rows(tmp_path, "t.jsonl", b"\n".join(lines)))
    assert [each for each in found if not each.startswith("t.jsonl")] == ["one", "two", "last"]
    wanted = {
        2: "no JSON", 3: "must be a JSON object", 5: "not UTF-8", 7: "title: has characters",
        8: "notes: has characters", 9: "the name '5'", 10: "no JSON", 11: "no column 'colour'", 12: "private:",
    }  # fmt: skip
    told = {int(each.split(":")[0].rpartition(" ")[2]): each for each in found if each.startswith("t.jsonl")}
    assert set(told) == set(wanted)
    assert all(message in told[line] for line, message in wanted.items())


def test_names_of_files_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset-metadata.json").write_text(json.dumps({"title": "X", "id": "me/wind"}))
    Path(f"{tmp_path}/bad-\udcff.csv").write_text("x")
    (found,) = read_folder(tmp_path)
    assert isinstance(found, BadRecord)
    assert "is not UTF-8; rename the file" in str(found)
    str(found).encode()  # it can be printed


def test_two_folders_of_one_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "datapackage.json").write_text(json.dumps({"name": "wind"}))
    first, second = read_folder(tmp_path)
    assert isinstance(first, DatasetRecord)
    assert "the name 'wind' is that of" in str(second)


def test_a_missing_file_and_too_long_a_name(tmp_path: Path) -> None:
    found = said(rows(tmp_path, "t.csv", f"name,files\none,nope*.csv\ntwo,{'x' * 300}\nthree,a.csv\n"))
    assert "no file matches 'nope*.csv'" in found[0]
    assert "files:" in found[1] or "no file matches" in found[1]
    assert found[2] == "three"


def test_tables_of_links(tmp_path: Path) -> None:
    text = '{"dataset":"a","server":"lab","run":"r1","note":null}\n{broken\n'
    text += '{"dataset":"a","server":"lab","model":"m"}\n{}\n'
    (tmp_path / "t.jsonl").write_text(text)
    found = list(read_links(tmp_path / "t.jsonl", {"kind": "run"}))
    assert [(each.kind, each.target, each.note) for each in (found[0], found[2])] == [
        ("run", "r1", ""),
        ("registered_model", "m", ""),
    ]
    assert "t.jsonl, line 2: no JSON" in str(found[1])
    assert "no value for id, server, target" in str(found[3])
