"""The passengers are real: the committed copy is OpenML's data set 40945."""

from __future__ import annotations

import csv
import gzip
import hashlib
from pathlib import Path

import pytest
import sklearn

from embedded.demo.history import FILES

COPY = FILES / "common" / "source" / "titanic.csv"
ARFF = Path(sklearn.__file__).parent / "datasets/tests/data/openml/id_40945/data-v1-dl-16826755.arff.gz"


def test_copy_is_what_scikit_learn_ships_of_openml():
    if not ARFF.exists():
        pytest.skip("this scikit-learn ships no copy of OpenML 40945")
    content = gzip.decompress(ARFF.read_bytes())
    assert hashlib.md5(content).hexdigest() in (COPY.parent / "README.md").read_text()  # noqa: S324
    lines = content.decode().splitlines()
    header = [line.split("'")[1] for line in lines if line.startswith("@attribute")]
    rows = csv.reader(line for line in lines[lines.index("@data") + 1 :] if line)
    expected = [header, *([("" if value == "?" else value) for value in row] for row in rows)]
    with COPY.open(newline="") as file:
        assert list(csv.reader(file)) == expected


def test_fetch_splits_all_passengers_as_the_competition_does(built):
    def ids(name):
        with (built.space.work / "data" / name).open(newline="") as file:
            return [row["passenger_id"] for row in csv.DictReader(file)]

    train, test = ids("train.csv"), ids("test.csv")
    assert (len(train), len(test)) == (891, 418)
    assert {int(number) for number in train + test} == set(range(1, 1310))
    assert ids("gender_submission.csv") == test


def test_fetch_refuses_an_altered_copy(built, tmp_path):
    for path in ("code/fetch.py", "source/titanic.csv"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes((built.space.work / path).read_bytes())
    with (tmp_path / "source/titanic.csv").open("a") as file:
        file.write("3,1,Nobody,male,,0,0,,,,S,,,\n")
    with pytest.raises(Exception, match="is not the list"):
        built.space.run(built.space.python, "code/fetch.py", "https://www.openml.org/d/40945", cwd=tmp_path)
