"""The fields of the presets, through the API."""

from __future__ import annotations


def test_a_dataset_keeps_its_fields(make_dataset, api, people):
    made = make_dataset(name="titanic", dvc_repository="https://example.com/o/r", resources=[{"url": "https://example.com/a", "dvc_kind": "data", "size": 3}])
    shown = api("package_show", id=made["id"])
    assert shown["dvc_repository"] == "https://example.com/o/r"
    assert shown["resources"][0]["size"] == 3
