"""Uploading datasets with the client: what arrives, what is sent again, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.tests import helpers
from click.testing import CliRunner

from ckanext.mlops.client import DatasetRecord, FileRecord, plan, read_folder, read_table, upload, uploads
from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.tool import main


@pytest.fixture
def record(tmp_path):
    small, large = tmp_path / "small.csv", tmp_path / "large.bin"
    small.write_text("a,b\n1,2\n")
    large.write_bytes(bytes(range(256)) * 1024)
    return DatasetRecord(
        "measured",
        title="Measured",
        owner_org="lab",
        tags=("wind", "sun"),
        derived_from=({"url": "https://example.org/raw.zip"},),
        files=(FileRecord("small.csv", small, description="few"), FileRecord("large.bin", large)),
        fields={"dvc_repository": "https://github.com/o/r", "dvc_stage": "measure", "mlflow_experiment": "wind"},
        place="row 2",
    )


def shown(name="measured"):
    model.Session.remove()  # the portal wrote it in a thread of its own
    return helpers.call_action("package_show", {"ignore_auth": True}, id=name)


def content(app, resource):
    return app.get(resource["url"].replace("http://portal.test", ""), follow_redirects=True).data


def test_metadata_and_files_arrive(portal, record, app):
    (result,) = upload(portal, [record])
    assert (result.status, result.error) == ("created", "")
    assert sorted(result.uploaded) == ["large.bin", "small.csv"]
    package = shown()
    assert package["dvc_stage"] == "measure"
    assert package["mlflow_experiment"] == "wind"
    assert package["derived_from"] == [{"url": "https://example.org/raw.zip", "origin": "asserted"}]
    assert {tag["name"] for tag in package["tags"]} == {"wind", "sun"}
    assert package["organization"]["name"] == "lab"
    for resource, file in zip(package["resources"], record.files, strict=True):
        data = file.path.read_bytes()
        assert resource["hash"] == Md5(data).hexdigest()
        assert (resource["hash_algorithm"], resource["size"]) == ("md5", len(data))
        assert content(app, resource) == data


def test_a_second_upload_sends_nothing(portal, record):
    list(upload(portal, [record]))
    before = shown()
    (result,) = upload(portal, [record])
    assert (result.status, result.uploaded, result.bytes) == ("unchanged", [], 0)
    assert shown() == before


def test_only_the_file_that_changed_is_sent(portal, record, app):
    list(upload(portal, [record]))
    before = shown()
    record.files[0].path.write_text("a,b\n1,3\n")
    (result,) = upload(portal, [record])
    assert (result.status, result.uploaded) == ("updated", ["small.csv"])
    after = shown()
    assert [each["id"] for each in after["resources"]] == [each["id"] for each in before["resources"]]
    assert after["resources"][1]["last_modified"] == before["resources"][1]["last_modified"]
    assert content(app, after["resources"][0]) == b"a,b\n1,3\n"


def test_files_that_are_hashed_on_the_way(portal, record, monkeypatch):
    monkeypatch.setattr(uploads, "HASHED_FIRST", uploads.TINY)
    (result,) = upload(portal, [record])
    assert result.error == ""
    assert shown()["resources"][1]["hash"] == Md5(record.files[1].path.read_bytes()).hexdigest()
    (again,) = upload(portal, [record])
    assert (again.status, again.uploaded) == ("unchanged", [])


def test_what_broke_is_sent_by_the_next_upload(portal, record, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("the cable")

    with monkeypatch.context() as patch:
        patch.setattr(type(portal), "send_file", broken)
        (result,) = upload(portal, [record])
    assert (result.status, result.uploaded) == ("failed", ["small.csv"])
    assert "the cable" in result.error
    (again,) = upload(portal, [record])
    assert (again.status, again.uploaded) == ("updated", ["large.bin"])


def test_a_plan_writes_nothing(portal, record):
    (result,) = plan(portal, [record])
    assert (result.status, sorted(result.uploaded)) == ("created", ["large.bin", "small.csv"])
    with pytest.raises(tk.ObjectNotFound):
        shown()


def test_what_is_not_said_stays(portal, record):
    list(upload(portal, [record]))
    helpers.call_action("package_patch", {"user": "editor"}, id="measured", notes="By hand", tags=[{"name": "hand"}])
    (result,) = upload(portal, [DatasetRecord("measured", title="New title", owner_org="lab", tags=("wind",))])
    assert (result.status, result.changed) == ("updated", ["title", "tags"])
    package = shown()
    assert (package["title"], package["notes"]) == ("New title", "By hand")
    assert {tag["name"] for tag in package["tags"]} == {"hand", "wind"}
    assert len(package["resources"]) == 2


def test_one_bad_dataset_stops_no_other(portal, record):
    bad = replace(record, name="foreign", owner_org="elsewhere", files=())
    invalid = replace(record, name="invalid", files=(), fields={"dvc_commit": "no commit"})
    results = {each.name: each for each in upload(portal, [bad, invalid, record])}
    assert {name: each.status for name, each in results.items()} == {
        "foreign": "failed",
        "invalid": "failed",
        "measured": "created",
    }
    assert "dvc_commit" in results["invalid"].error
    assert shown()["resources"][0]["hash"]


def test_a_group_that_is_not_there_is_named(portal, record):
    (result,) = upload(portal, [replace(record, files=(), groups=("nowhere",))])
    assert result.status == "failed"
    assert "There is no group 'nowhere'" in result.error
    helpers.call_action(
        "group_create", {"user": "root"}, name="weather", users=[{"name": "editor", "capacity": "editor"}]
    )
    record = replace(record, groups=("weather",))
    assert [each.status for each in upload(portal, [record])] == ["created"]
    assert [each.status for each in upload(portal, [record])] == ["unchanged"]
    assert [group["name"] for group in shown()["groups"]] == ["weather"]


def test_a_file_without_content(portal, tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    record = DatasetRecord("empty", owner_org="lab", files=(FileRecord("empty.csv", tmp_path / "empty.csv"),))
    assert [each.status for each in upload(portal, [record])] == ["created"]
    assert [each.status for each in upload(portal, [record])] == ["unchanged"]
    assert shown("empty")["resources"][0]["hash"] == Md5(b"").hexdigest()


def test_who_may_not_edit_changes_nothing(portal, live, record, people):
    list(upload(portal, [record]))
    from ckanext.mlops.client import Portal

    for person in (people.member, people.outsider):
        (result,) = upload(Portal(live, person.token), [replace(record, title="Mine")])
        assert result.status == "failed"
    assert shown()["title"] == "Measured"


def test_a_table_from_the_command_line(live, people, tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "t.csv").write_text(
        "name,title,organization,visibility,files,experiment,source\n"
        "first,First,lab,private,a.csv,wind,https://example.org/x\n"
        "Bad Name,Second,lab,public,a.csv,,\n"
        "third,Third,lab,public,missing.csv,,\n"
    )
    options = ["-r", live, "-a", people.editor.token, "--results", str(tmp_path / "r.jsonl")]
    run = CliRunner()
    stopped = run.invoke(main, ["upload", str(tmp_path / "t.csv"), *options, "--on-error", "stop"])
    assert stopped.exit_code == 3
    assert "row 3" in stopped.output
    dry = run.invoke(main, ["upload", str(tmp_path / "t.csv"), *options[:4], "--dry-run"])
    assert dry.exit_code == 1
    assert "create     first (1 files, 4 bytes)" in dry.output
    done = run.invoke(main, ["upload", str(tmp_path / "t.csv"), *options])
    assert done.exit_code == 1
    assert "1 created, 2 failed" in done.output
    assert "t.csv, row 4: no file matches 'missing.csv'" in done.output
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert {(each["place"], each["status"]) for each in lines} == {
        ("t.csv, row 2", "created"),
        ("t.csv, row 3", "failed"),
        ("t.csv, row 4", "failed"),
    }
    assert shown("first")["private"] is True


def test_a_folder_with_each_kind_of_metadata(portal, tmp_path):
    texts = {
        "k": ("dataset-metadata.json", {"title": "K", "id": "me/k-data", "licenses": [{"name": "CC0-1.0"}]}),
        "f": ("datapackage.json", {"name": "f-data", "resources": [{"name": "d", "path": "d.csv"}]}),
        "c": (
            "croissant.json",
            {
                "@type": "sc:Dataset",
                "name": "C data",
                "distribution": [{"@type": "cr:FileObject", "name": "d.csv", "contentUrl": "d.csv"}],
            },
        ),
    }
    for folder, (name, data) in texts.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(json.dumps(data | {"ckan": {"owner_org": "lab"}}))
        (tmp_path / folder / "d.csv").write_text(folder)
    results = list(upload(portal, read_folder(tmp_path)))
    assert {(each.name, each.status, each.error) for each in results} == {
        (name, "created", "") for name in ("k-data", "f-data", "c-data")
    }
    assert shown("k-data")["license_id"] == "cc-zero"
    assert [each["hash"] for each in shown("c-data")["resources"]] == [Md5(b"c").hexdigest()]


def test_a_table_of_json_lines_and_one_of_excel(tmp_path):
    import pandas as pd

    rows = [{"name": "one", "title": "One", "tags": "a;b"}, {"name": "two", "title": "Two", "private": "no"}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    pd.DataFrame(rows).to_excel(tmp_path / "t.xlsx", index=False)
    for name in ("t.jsonl", "t.xlsx"):
        found = list(read_table(tmp_path / name))
        assert [(each.name, each.title, each.private) for each in found[:2]] == [
            ("one", "One", None),
            ("two", "Two", False),
        ]
        assert found[0].tags == ("a", "b")
    assert "no JSON" in str(list(read_table(tmp_path / "t.jsonl"))[2])


def test_a_file_that_a_person_uploads_gets_its_hash(make_dataset, people, live, tmp_path):
    import requests

    package = make_dataset(name="by-hand")
    headers = {"Authorization": people.editor.token}

    def send(action, data, **values):
        answer = requests.post(
            f"{live}/api/3/action/{action}", data=values, files={"upload": ("x.csv", data)}, headers=headers, timeout=60
        )
        return answer.json()["result"]

    first = send("resource_create", b"one", package_id=package["id"], name="x")
    assert (first["hash"], first["hash_algorithm"], first["size"]) == (Md5(b"one").hexdigest(), "md5", 3)
    # A form sends the old hash again beside the new file.
    second = send("resource_update", b"another", id=first["id"], name="x", hash=first["hash"], hash_algorithm="md5")
    assert (second["hash"], second["size"]) == (Md5(b"another").hexdigest(), 7)
