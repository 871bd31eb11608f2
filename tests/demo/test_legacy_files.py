"""Stage files are what DVC 0.5x wrote; the checksums of real files of 2019 are the yardstick."""

from __future__ import annotations

import hashlib

import pytest
import yaml

from embedded.demo import legacy
from embedded.demo.legacy import LegacyStage

# Written by DVC 0.5x in September 2019, in the project that this demo retells.
REAL = [
    """\
md5: cccdc49b28863d3c11405011ceb896a2
cmd: python train.py
wdir: code
deps:
- md5: ef66a48cab96664a8f3404b6a185ad24
  path: ../data/train_prepared.pkl
- md5: 9c7fdcb7911e96022c6d616d47d33bee
  path: ../data/test_prepared.pkl
outs:
- md5: 098bbfe93081ec84e7f38bbc2091d512
  path: ../data/metrics.json
  cache: true
  metric: true
  persist: false
""",
    """\
md5: b5b2c46b486c12b03c219a2b2d371b13
cmd: kaggle competitions download -c titanic
wdir: ../data
outs:
- md5: b56943b6ee3d9af0913ee5dd83b3d729
  path: gender_submission.csv
  cache: true
  metric: false
  persist: false
- md5: 029c9cd22461f6dbe8d9ab01def965c6
  path: test.csv
  cache: true
  metric: false
  persist: false
- md5: 61fdd54abdbf6a85b778e937122e1194
  path: train.csv
  cache: true
  metric: false
  persist: false
""",
]


@pytest.mark.parametrize("text", REAL)
def test_checksum_is_that_of_dvc_0x(text):
    content = yaml.safe_load(text)
    assert legacy.stage_md5(content) == content["md5"]


@pytest.mark.parametrize("text", REAL)
def test_file_is_spelled_as_dvc_0x_did(text):
    content = yaml.safe_load(text)
    assert legacy.dump(content) == text


def test_every_stage_file_of_the_project_has_its_checksum(built):
    count = 0
    for tag in ("wrong-baseline", "baseline"):
        for path in ("Dvcfile", "dvc/01-fetch-data.dvc", "dvc/02-prepare-data.dvc"):
            content = yaml.safe_load(built.space.git("show", f"{tag}:{path}"))
            assert legacy.stage_md5(content) == content["md5"]
            count += 1
    assert count == 6


def test_text_is_hashed_with_unix_line_ends_and_binary_as_it_is(tmp_path):
    text, binary = tmp_path / "text", tmp_path / "binary"
    text.write_bytes(b"a\r\nb\r\n")
    binary.write_bytes(b"\x00a\r\nb\r\n")
    assert legacy.md5_dos2unix(text) == hashlib.md5(b"a\nb\n").hexdigest()  # noqa: S324
    assert legacy.md5_dos2unix(binary) == hashlib.md5(b"\x00a\r\nb\r\n").hexdigest()  # noqa: S324


def test_record_writes_paths_as_seen_from_each_place(tmp_path):
    work, remote = tmp_path / "work", tmp_path / "remote"
    for path, content in (("code/a.py", "code"), ("data/in.csv", "in"), ("data/out.csv", "out"), ("m.json", "{}")):
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(content)
    stage = LegacyStage(
        file="dvc/x.dvc",
        cmd="python a.py",
        wdir="code",
        deps=("code/a.py", "data/in.csv"),
        outs=("data/out.csv", "m.json"),
        metric="m.json",
    )
    legacy.record(stage, work, remote)
    content = yaml.safe_load((work / "dvc/x.dvc").read_text())
    assert content["wdir"] == "../code"
    assert [item["path"] for item in content["deps"]] == ["a.py", "../data/in.csv"]
    assert [(item["path"], item["metric"]) for item in content["outs"]] == [
        ("../data/out.csv", False),
        ("../m.json", True),
    ]
    assert (work / "data/.gitignore").read_text() == "/out.csv\n"
    assert len([path for path in remote.rglob("*") if path.is_file()]) == 2

    legacy.record(stage.with_metric_in_git(), work, remote)
    kept = yaml.safe_load((work / "dvc/x.dvc").read_text())["outs"][1]
    assert (kept["cache"], kept["metric"]) == (False, True)
    assert (work / ".gitignore").read_text() == ""
