"""What a run says about data is found where people and tools put it, and nothing else is taken for it."""

import pytest

from ckanext.mlops.core.mlflow_clues import hashes, sources
from ckanext.mlops.core.mlflow_records import DatasetInput, Run, parse_model_version

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def run(**values):
    return Run("r" * 32, "1", **values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"inputs": (DatasetInput("d", digest=MD5),)}, (MD5,)),
        ({"inputs": (DatasetInput("d", digest=f"{MD5}.dir"),)}, (f"{MD5}.dir",)),
        ({"inputs": (DatasetInput("d", digest="0a1b2c3d"),)}, ()),
        (
            {"inputs": (DatasetInput("d", source={"uri": f"s3://b/files/md5/{MD5[:2]}/{MD5[2:]}.dir"}),)},
            (f"{MD5}.dir",),
        ),
        ({"inputs": (DatasetInput("d", source={"uri": f"gs://b/store/{MD5[:2]}/{MD5[2:]}"}),)}, (MD5,)),
        ({"inputs": (DatasetInput("d", source={"uri": f"/x/lfs/objects/e3/b0/{SHA}"}),)}, (SHA,)),
        ({"inputs": (DatasetInput("d", tags={"dvc.md5": MD5}),)}, (MD5,)),
        ({"tags": {"dvc_data_md5": MD5.upper(), "note": "none"}}, (MD5,)),
        ({"tags": {"dvc.inputs": '{"a.csv": "' + MD5 + '", "b": "' + SHA + '"}'}}, (MD5, SHA)),
        ({"params": {"data": f"md5:{MD5}"}}, (MD5,)),
        ({"tags": {"mlflow.parentRunId": MD5, "mlflow.source.git.commit": "a" * 40}}, ()),
        ({"tags": {"commit": "a" * 40, "longer": "b" * 65, "word": f"x{MD5}"}}, ()),
    ],
)
def test_hashes(values, expected):
    assert hashes(run(**values)) == expected


def test_what_a_hostile_run_says_is_bounded():
    many = {str(number): f"{number:032x}" for number in range(5000)}
    assert len(hashes(run(params=many))) == 500
    assert hashes(run(params={"long": "/ab" * 10_000_000 + MD5})) == ()


def test_sources_are_as_the_run_names_them():
    inputs = (DatasetInput("a", uri="data/train.csv"), DatasetInput("b", uri="data/train.csv"), DatasetInput("c"))
    assert sources(run(inputs=inputs)) == ("data/train.csv",)


@pytest.mark.parametrize(
    ("source", "run_id", "model_id", "kept"),
    [
        ("runs:/abc/model", "abc", "", True),
        ("models:/m-1", "", "m-1", True),
        ("s3://bucket/m", "", "", True),
        ("/srv/mlruns/m", "", "", False),
        ("file:///srv/mlruns/m", "", "", False),
        ("C:\\mlruns\\m", "", "", False),
        (None, "", "", False),
    ],
)
def test_the_source_of_a_model_version_names_its_run_and_no_path_of_the_servers_disk(source, run_id, model_id, kept):
    found = parse_model_version({"name": "m", "version": "1", "source": source})
    assert (found.run_id, found.model_id, found.source) == (run_id, model_id, source if kept else "")
