"""The values behind plots come from Git; images and what a remote stores are named."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.mlops.core import Limits, Reading
from ckanext.mlops.core.errors import ContentError
from ckanext.mlops.core.plot_data import PlotFile, data_points, plot_files

PIPELINE = """
stages:
  train:
    cmd: x
    outs: [far.csv]
    plots:
    - loss.tsv: {cache: false, x: step}
    - images: {cache: false}
plots:
- history:
    x: step
    y: {nested.json: [acc], far.csv: [acc]}
- bare.csv: {header: false}
- big.csv
"""
FILES: dict[str, str | bytes | None] = {
    "dvc.yaml": PIPELINE,
    "loss.tsv": 'step\tloss\tnote\n1\t0.5\t"a\tb"\n\n2\t1e-3\t\n',
    "nested.json": '{"meta": {"n": [1, 2]}, "points": [{"step": 1, "acc": 0.5, "n": NaN}]}',
    "bare.csv": "1,x\n-02,1_000\n",
    "big.csv": "a\n" + "1\n" * 3000,
    "images/a.PNG": b"\x89PNG\0",
    "images/deep/b.jpg": b"\xff\xd8",
}


def read(reading: Reading, limits: Limits) -> dict[str, list[PlotFile]]:
    (snapshot,) = reading
    with reading.files(snapshot.revisions[0]) as files:
        return {plot.name: list(plot_files(plot, files, limits)) for plot in snapshot.plots}


def test_tables_lists_images_and_what_is_not_here(repo: Any) -> None:
    repo.commit(FILES)
    found = read(repo.read(), Limits(value_bytes=4_000))
    (loss,) = found["loss.tsv"]
    assert loss.rows == ({"step": 1, "loss": 0.5, "note": "a\tb"}, {"step": 2, "loss": 0.001, "note": ""})
    nested, far = found["history"]
    assert nested.rows == ({"step": 1, "acc": 0.5, "n": "NaN"},)
    assert (far.state, far.rows) == ("not-in-git", ())
    assert found["bare.csv"][0].rows == ({"0": 1, "1": "x"}, {"0": -2, "1": "1_000"})
    assert (found["big.csv"][0].state, found["big.csv"][0].size) == ("invalid", 6002)
    assert [(file.path, file.state, file.media_type) for file in found["images"]] == [
        ("images/a.PNG", "image", "image/png"),
        ("images/deep/b.jpg", "image", "image/jpeg"),
    ]
    assert repo.git("cat-file", "-s", found["images"][0].blob) == "5"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.csv", b"\xff\xfe1,2"),
        ("a.csv", b"a\n" + b"x" * 200_000),
        ("a.csv", b"," * 5_000),
        ("a.json", b'{"a": [1, 2]}'),
        ("a.json", b"[" * 100_000),
        ("a.yaml", b"a: &a [*a]"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n"),
    ],
)
def test_what_is_no_table_is_said_so(path: str, data: bytes) -> None:
    with pytest.raises(ContentError):
        data_points(data, path)


def test_a_link_is_not_followed(repo: Any) -> None:
    repo.commit({"dvc.yaml": "plots: [secret.csv]\n"})
    repo.commit({"secret.csv": "/etc/passwd"}, mode="120000")
    reading = repo.read()
    assert read(reading, Limits())["secret.csv"][0].state == "not-in-git"
