"""Dataset and resource pages: what a person reads there."""

from __future__ import annotations

import re

import pytest

from ckanext.mlops.core.naming import repository_slug

COMMIT = "9c1d8e0f3a7b5c2d4e6f8091a2b3c4d5e6f70819"
HASH = "3863d0e317dee0a55c4e59d2ec0eef33"


@pytest.fixture
def titanic(make_dataset):
    make_dataset(name="titanic-raw", title="Raw passengers")
    make_dataset(name="secret-notes", title="Secret notes", private=True)
    return make_dataset(
        name="titanic",
        dvc_repository="git@github.com:example/titanic.git",
        dvc_revision="main",
        dvc_commit=COMMIT,
        dvc_stage="train",
        dvc_command="python train.py --name '<img src=x onerror=alert(1)>'",
        mlflow_experiment="Titanic survival",
        derived_from=[
            {"dataset": "titanic-raw"},
            {"dataset": "secret-notes", "label": "told nobody"},
            {"url": "https://www.kaggle.com/c/titanic", "label": "Kaggle"},
            {"url": "kaggle:titanic"},
        ],
        resources=[
            {
                "url": "https://example.com/model.pkl",
                "name": "model.pkl",
                "hash": HASH,
                "hash_algorithm": "md5",
                "size": 2048,
                "dvc_kind": "model",
                "dvc_path": "models/model.pkl",
                "dvc_storage_path": "s3://bucket/files/md5/38/63",
                "dvc_remote": "storage",
                "custom": "kept",
            },
            {"url": "", "name": "scores.json", "dvc_kind": "metrics", "dvc_values": "not in Git, remote unreachable"},
        ],
    )


def text_of(body):
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_dataset_page_says_where_the_data_is_from(titanic, page, people):
    body = page("/dataset/titanic", status=200).body
    text = text_of(body)
    assert 'href="https://github.com/example/titanic"' in body
    assert f'href="https://github.com/example/titanic/commit/{COMMIT}"' in body
    assert COMMIT[:8] in text
    assert "<code>train</code>" in body
    assert "&lt;img src=x onerror" in body
    assert "<img src=x" not in body
    assert "Titanic survival" in text
    assert 'href="https://www.kaggle.com/c/titanic"' in body


def test_hidden_datasets_are_counted_and_not_named(titanic, page, people):
    for person in (people.anonymous, people.outsider):
        text = text_of(page("/dataset/titanic", person, status=200).body)
        assert "Raw passengers" in text
        assert "1 hidden dataset" in text
        assert "Secret notes" not in text
        assert "told nobody" not in text
    text = text_of(page("/dataset/titanic", people.member, status=200).body)
    assert "Secret notes" in text
    assert "hidden dataset" not in text


def test_the_files_have_kind_size_and_hash(titanic, page):
    body = page("/dataset/titanic", status=200).body
    items = body[body.index('id="dataset-resources"') :]
    assert "mlops-kind-model" in items
    assert "2 KiB" in items or "2.0 KiB" in items or "2 KB" in items
    assert HASH[:8] in items
    assert "not in Git, remote unreachable" in text_of(items)


def test_the_additional_info_repeats_nothing_of_the_box(titanic, page, people):
    body = page("/dataset/titanic", people.editor, status=200).body
    table = body[body.index('class="additional-info"') :]
    for label in ("DVC repository", "Commit", "Command", "Made from", "Maintainer"):
        assert label not in text_of(table)


def test_a_table_without_rows_is_not_there(titanic, page):
    assert 'class="additional-info"' not in page("/dataset/titanic", status=200).body


def test_the_resource_page(titanic, page):
    resource = titanic["resources"][0]
    body = page(f"/dataset/titanic/resource/{resource['id']}", status=200).body
    box, table = body[body.index("mlops-file-heading") :].split('data-module="table-toggle-more"')
    for text in ("models/model.pkl", HASH, "md5", "s3://bucket/files/md5/38/63", "storage", "2,048", "Model"):
        assert text in box
    assert f'data-module-copy-value="{HASH}"' in box
    for text in ("models/model.pkl", HASH, "Dvc path"):
        assert text not in table
    assert "kept" in table, "values of no field are still shown"


def test_the_note_on_values_is_no_error(titanic, page):
    resource = titanic["resources"][1]
    body = page(f"/dataset/titanic/resource/{resource['id']}", status=200).body
    assert "not in Git, remote unreachable" in body
    assert "alert-info" in body


def test_a_retired_dataset_says_so(make_dataset, page):
    make_dataset(name="old", dvc_repository="https://github.com/o/r", dvc_retired="2026-03-31")
    assert "no longer has this since 2026-03-31" in text_of(page("/dataset/old", status=200).body)


def test_an_ordinary_dataset_has_no_box(make_dataset, page):
    plain = make_dataset(name="plain", resources=[{"url": "https://example.com/x.csv"}])
    assert "mlops-box" not in page("/dataset/plain", status=200).body
    assert "mlops-box" not in page(f"/dataset/plain/resource/{plain['resources'][0]['id']}", status=200).body


def test_a_local_repository_has_no_link(make_dataset, page):
    make_dataset(name="local", dvc_repository="file:///srv/secret-folder/titanic", dvc_commit=COMMIT)
    body = page("/dataset/local", status=200).body
    box = body[body.index("mlops-box") : body.index('id="dataset-resources"')]
    assert "titanic" in box
    assert "secret-folder" not in box
    assert re.findall(r'href="([^"]*)"', box) == [f"/repository/{repository_slug('file:///srv/secret-folder/titanic')}"]


@pytest.mark.parametrize("tab", ["versions", "lineage", "experiments"])
def test_the_tabs_answer(titanic, page, people, tab):
    body = page("/dataset/titanic", status=200).body
    assert f'href="/dataset/titanic/{tab}"' in body
    page(f"/dataset/titanic/{tab}", status=200)
    assert page(f"/dataset/secret-notes/{tab}", people.outsider).status_code in (403, 404)
    assert page("/dataset/no-such-dataset/" + tab).status_code == 404


def test_the_harvest_source_page_has_no_tabs(people, page, api):
    api(
        "harvest_source_create",
        people.sysadmin,
        name="source",
        title="Source",
        url="https://example.com/o/r",
        source_type="dvc",
        owner_org=people.organization["id"],
    )
    body = page("/harvest/source", people.sysadmin, status=200).body
    assert "/dataset/source/versions" not in body


@pytest.mark.parametrize("version", ["%00", "none", "%25", "0" * 5000])
def test_a_version_that_does_not_exist_is_no_error_of_the_resource_page(titanic, page, version):
    resource = titanic["resources"][0]
    page(f"/dataset/titanic/resource/{resource['id']}?version={version}", status=200)
