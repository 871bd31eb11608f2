"""The fields of the presets, through the API: what is kept, refused, resolved, and what a dump holds."""

from __future__ import annotations

import uuid

import pytest

PACKAGE_FIELDS = {
    "dvc_repository": "https://github.com/example/titanic",
    "dvc_revision": "main",
    "dvc_commit": "9c1d8e0f3a7b5c2d4e6f8091a2b3c4d5e6f70819",
    "dvc_stage": "sub/dvc.yaml:train",
    "dvc_command": "python src/train.py \\\n  --seed 1",
    "dvc_retired": "2026-03-31",
    "mlflow_server": "lab",
    "mlflow_experiment": "Titanic",
}
RESOURCE_FIELDS = {
    "dvc_kind": "model",
    "dvc_path": "models/model.pkl",
    "hash": "3863d0e317dee0a55c4e59d2ec0eef33",
    "hash_algorithm": "md5",
    "size": 4096,
    "dvc_storage_path": "s3://bucket/files/md5/38/63d0e317dee0a55c4e59d2ec0eef33",
    "dvc_remote": "storage",
    "dvc_values": "not in Git, remote unreachable",
}
#: What CKAN itself sets when a dataset is created.
SET_BY_CKAN = ("metadata_created", "metadata_modified", "created", "last_modified", "creator_user_id")


def errors_of(make_dataset, refused_by, **values):
    with pytest.raises(refused_by) as caught:
        make_dataset(name="refused", **values)
    return caught.value.error_dict


@pytest.fixture
def invalid():
    from ckan.plugins import toolkit as tk

    return tk.ValidationError


def test_every_field_of_the_presets_is_kept(make_dataset, api):
    made = make_dataset(
        name="titanic", **PACKAGE_FIELDS, resources=[{"url": "https://example.com/model.pkl", **RESOURCE_FIELDS}]
    )
    shown = api("package_show", id=made["id"])
    assert {key: shown[key] for key in PACKAGE_FIELDS} == PACKAGE_FIELDS
    assert {key: shown["resources"][0][key] for key in RESOURCE_FIELDS} == RESOURCE_FIELDS


def test_the_example_schema_has_every_preset(app, api):
    schema = api("scheming_dataset_schema_show", type="dataset")
    fields = {field["field_name"] for field in schema["dataset_fields"]}
    resource_fields = {field["field_name"] for field in schema["resource_fields"]}
    assert fields >= {*PACKAGE_FIELDS, "derived_from"}
    assert resource_fields >= set(RESOURCE_FIELDS)


def test_empty_fields_are_not_there(make_dataset, api):
    empty = dict.fromkeys(PACKAGE_FIELDS, "") | {"derived_from": []}
    made = make_dataset(name="titanic", **empty, resources=[{"url": "", **dict.fromkeys(RESOURCE_FIELDS, "")}])
    shown = api("package_show", id=made["id"])
    assert not {key for key in empty if shown.get(key)}
    stock = {"hash": "", "size": None}
    assert {key: shown["resources"][0].get(key, stock.get(key)) for key in stock} == stock
    assert not {key for key in RESOURCE_FIELDS if shown["resources"][0].get(key)}


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/o/r",
        "http://git.example:8080/o/r.git",
        "ssh://git@example.com:22/o/r.git",
        "git://example.com/o/r.git",
        "git@github.com:o/r.git",
        "example.com:folder/project",
        "file:///srv/git/project",
    ],
)
def test_addresses_of_repositories(make_dataset, url):
    assert make_dataset(name="titanic", dvc_repository=url)["dvc_repository"] == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://user:secret@example.com/o/r", "user name or password"),
        ("https://token@example.com/o/r", "user name or password"),
        ("ssh://git:secret@example.com/o/r", "user name or password"),
        ("https://example.com/o/r?private_token=x", "query"),
        ("https://example.com/", "Names no repository"),
        ("javascript:alert(1)//", "Not the address"),
        ("javascript://example.com/%0aalert(1)", "not Git repositories"),
        ("ext::sh -c id", "Not the address"),
        ("just words", "Not the address"),
        ("https://[bad/x", "Not an address"),
    ],
)
def test_what_is_no_address_of_a_repository(make_dataset, invalid, url, why):
    assert why in errors_of(make_dataset, invalid, dvc_repository=url)["dvc_repository"][0]


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("dvc_commit", "main", "Not a Git commit"),
        ("dvc_commit", "9c1d8", "Not a Git commit"),
        ("dvc_retired", "yesterday", "Not a date"),
        ("dvc_stage", "x" * 2001, "at most 2,000"),
        ("derived_from", ["titanic"], "list"),
    ],
)
def test_what_a_dataset_field_refuses(make_dataset, invalid, field, value, why):
    try:
        errors = errors_of(make_dataset, invalid, **{field: value})
    except Exception as error:
        errors = {field: [str(error)]}
    assert why in str(errors)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"hash": "xyz", "hash_algorithm": "md5"}, "hash"),
        ({"hash": "3863d0e317dee0a55c4e59d2ec0eef33", "hash_algorithm": "sha256"}, "hash"),
        ({"hash": "x", "hash_algorithm": "crc"}, "hash_algorithm"),
        ({"size": -1}, "size"),
        ({"size": "big"}, "size"),
        ({"size": 1.5}, "size"),
        ({"dvc_kind": "picture"}, "dvc_kind"),
        ({"dvc_storage_path": "https://me:secret@host/x"}, "dvc_storage_path"),
        ({"dvc_storage_path": "s3://bucket/x?X-Amz-Signature=abc"}, "dvc_storage_path"),
    ],
)
def test_what_a_resource_field_refuses(make_dataset, invalid, values, field):
    errors = errors_of(make_dataset, invalid, resources=[{"url": "https://example.com/x", **values}])
    assert list(errors["resources"][0]) == [field]


@pytest.mark.parametrize(
    "values",
    [
        {"hash": "3863d0e317dee0a55c4e59d2ec0eef33.dir", "hash_algorithm": "md5"},
        {"hash": "3863D0E317DEE0A55C4E59D2EC0EEF33", "hash_algorithm": "md5-dos2unix"},
        {"hash": '"0x8DA-quoted"', "hash_algorithm": "etag"},
        {"hash": "any text of another tool"},
        {"hash": "ab", "hash_algorithm": "http://spdx.org/rdf/terms#checksumAlgorithm_sha1"},
        {"dvc_storage_path": "ssh://me@host/data/x"},
        {"dvc_storage_path": "files/md5/38/63"},
        {"size": 0},
    ],
)
def test_what_a_resource_field_takes(make_dataset, values):
    made = make_dataset(name="titanic", resources=[{"url": "https://example.com/x", **values}])
    assert {key: made["resources"][0][key] for key in values} == values


class TestDerivedFrom:
    def test_a_name_becomes_an_id(self, make_dataset):
        raw = make_dataset(name="titanic-raw")
        made = make_dataset(name="titanic", derived_from=[{"dataset": "titanic-raw"}])
        assert made["derived_from"] == [{"dataset": raw["id"], "origin": "asserted"}]

    def test_an_outside_source_has_a_label(self, make_dataset):
        entry = {"url": "https://www.kaggle.com/c/titanic", "label": "Kaggle: Titanic", "origin": "harvested"}
        assert make_dataset(name="titanic", derived_from=[entry])["derived_from"] == [entry]

    def test_an_id_that_nothing_has_yet_is_kept(self, make_dataset):
        entry = {"dataset": str(uuid.uuid4()), "origin": "asserted"}
        assert make_dataset(name="titanic", derived_from=[entry])["derived_from"] == [entry]

    def test_an_entry_with_nothing_is_dropped(self, make_dataset):
        kept = {"url": "https://example.com/x", "origin": "asserted"}
        entries = [{"dataset": "", "url": "", "label": "", "origin": ""}, kept, {"dataset": " "}]
        assert make_dataset(name="titanic", derived_from=entries)["derived_from"] == [kept]

    @pytest.mark.parametrize(
        ("entry", "key", "why"),
        [
            ({"dataset": "nothing-of-that-name"}, "dataset", "no dataset of that name"),
            ({"dataset": "titanic-raw", "url": "https://example.com/"}, "dataset", "not both"),
            ({"label": "alone"}, "dataset", "Give a dataset or"),
            ({"url": "https://example.com/", "colour": "red"}, "dataset", "Unknown keys: colour"),
            ({"url": "https://example.com/", "origin": "heard"}, "origin", "Give one of"),
            ({"url": "https://me:secret@example.com/"}, "url", "user name or password"),
            ({"url": "javascript:alert(1)"}, "url", "Not the address"),
        ],
    )
    def test_what_is_refused(self, make_dataset, invalid, entry, key, why):
        make_dataset(name="titanic-raw")
        errors = errors_of(make_dataset, invalid, derived_from=[{"url": "https://example.com/fine"}, entry])
        assert why in errors["derived_from"][1][key][0]

    def test_a_hidden_dataset_is_as_unknown_as_one_that_does_not_exist(self, make_dataset, people, api, refused):
        make_dataset(name="secret-data", private=True)
        answers = []
        for name in ("secret-data", "no-such-data"):
            with pytest.raises(refused) as caught:
                api(
                    "package_create",
                    people.outsider,
                    name="mine",
                    type="dataset",
                    owner_org=people.other["id"],
                    derived_from=[{"dataset": name}],
                )
            answers.append(caught.value.error["derived_from"])
        assert answers[0] == answers[1]

    def test_a_dataset_is_not_made_from_itself(self, make_dataset, people, api, refused):
        made = make_dataset(name="titanic")
        with pytest.raises(refused) as caught:
            api("package_patch", people.editor, id=made["id"], derived_from=[{"dataset": "titanic"}])
        assert "itself" in str(caught.value)

    def test_it_can_be_emptied(self, make_dataset, people, api):
        made = make_dataset(name="titanic", derived_from=[{"url": "https://example.com/x"}])
        api("package_patch", people.editor, id=made["id"], derived_from=[])
        assert not api("package_show", id=made["id"]).get("derived_from")


def test_what_is_dumped_can_be_loaded_elsewhere(make_dataset, people, api):
    """``ckanapi dump datasets`` writes package_show, ``ckanapi load datasets`` sends it to package_create."""
    raw = make_dataset(name="titanic-raw")
    entries = [
        {"dataset": raw["id"], "label": "raw", "origin": "harvested"},
        {"url": "https://www.kaggle.com/c/titanic", "label": "Kaggle", "origin": "asserted"},
    ]
    make_dataset(
        name="titanic",
        title="Titanic",
        tags=[{"name": "tabular"}],
        **PACKAGE_FIELDS,
        derived_from=entries,
        resources=[{"url": "https://example.com/model.pkl", "name": "model.pkl", **RESOURCE_FIELDS}],
    )
    dumped = api("package_show", people.sysadmin, id="titanic")
    for name in ("titanic", "titanic-raw"):
        api("dataset_purge", people.sysadmin, id=name)
    api("package_create", people.sysadmin, **dumped)
    assert _portable(api("package_show", people.sysadmin, id="titanic")) == _portable(dumped)


def _portable(package):
    kept = {key: value for key, value in package.items() if key not in SET_BY_CKAN}
    kept["resources"] = [{k: v for k, v in each.items() if k not in SET_BY_CKAN} for each in package["resources"]]
    return kept


class TestMlflowServer:
    pytestmark = pytest.mark.ckan_config("ckanext.mlops.mlflow.servers", ["lab", "production"])

    def test_it_must_be_configured(self, make_dataset, invalid):
        errors = errors_of(make_dataset, invalid, mlflow_server="elsewhere")
        assert errors["mlflow_server"] == ["No MLflow server of that name is configured; give one of lab, production"]

    def test_a_configured_one_is_kept(self, make_dataset):
        assert make_dataset(name="titanic", mlflow_server="lab")["mlflow_server"] == "lab"

    def test_one_that_the_operator_removed_hinders_no_edit(self, make_dataset, people, api, ckan_config, monkeypatch):
        made = make_dataset(name="titanic", mlflow_server="lab")
        monkeypatch.setitem(ckan_config, "ckanext.mlops.mlflow.servers", ["production"])
        assert api("package_patch", people.editor, id=made["id"], title="New")["mlflow_server"] == "lab"
