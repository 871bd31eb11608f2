"""A file that was uploaded and is known elsewhere: its page says where, and one click notes the lineage."""

from __future__ import annotations

import io
import re
import uuid

import pytest
from ckan import model
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.model import hashes, versions

CONTENT = b"passenger,survived\n1,0\n2,1\n"


@pytest.fixture
def known(make_dataset):
    """A dataset whose output at ``baseline`` has the content."""

    def make(**values):
        name = "titanic-prepare"
        package = make_dataset(name=name, title="Prepared", dvc_repository="https://git.example/o/r", **values)
        out = {"path": "data/train.csv", "hash": Md5(CONTENT).hexdigest(), "algorithm": "md5", "size": len(CONTENT)}
        row = {
            "id": str(uuid.uuid4()), "digest": "a", "commit": "c" * 40, "current": True, "position": 1,
            "refs": [{"name": "baseline", "kind": "tag", "commit": "c" * 40}], "facts": {"outs": [out]},
        }  # fmt: skip
        versions.store(model.Session(), package["id"], [row])
        hashes.store_harvested(model.Session(), {package["id"]: ("git.example/o/r#prepare", [row], [])})
        model.Session.commit()
        return package

    return make


@pytest.fixture
def uploaded(make_dataset, people):
    """A dataset with an uploaded file of that content."""
    package = make_dataset(name="mine")
    upload = FileStorage(io.BytesIO(CONTENT), "passengers.csv")
    values = {"package_id": package["id"], "upload": upload, "name": "passengers.csv"}
    helpers.call_action("resource_create", {"user": people.editor.name}, **values)
    return helpers.call_action("package_show", id=package["id"])


def test_an_editor_is_offered_the_source_and_links_it(known, uploaded, people, sign_in):
    source = known()
    browser = sign_in(people.editor)
    body = browser.get("/dataset/mine", status=200).body
    box = re.search(r"<section[^>]*mlops-known.*?</section>", body, re.DOTALL)
    assert box is not None
    assert all(text in box[0] for text in ("passengers.csv", "Prepared", "data/train.csv", "baseline"))
    token = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"', box[0])
    action, dataset = re.search(r'action="([^"]+)"', box[0]), re.search(r'name="dataset" value="([^"]+)"', box[0])
    data = {"_csrf_token": token[1], "dataset": dataset[1]}
    for _ in range(2):
        browser.post(action[1], data=data, status=302, follow_redirects=False)
    after = helpers.call_action("package_show", id="mine")
    assert after["derived_from"] == [{"dataset": source["id"], "origin": "asserted"}]
    assert [each["hash"] for each in after["resources"]] == [each["hash"] for each in uploaded["resources"]]
    resource = browser.get(f"/dataset/mine/resource/{uploaded['resources'][0]['id']}", status=200).body
    assert re.search(r'mlops-known.*badge[^>]*">linked', resource, re.DOTALL)


def test_who_may_not_change_the_dataset_is_offered_nothing(known, uploaded, people, sign_in):
    known()
    assert "mlops-known" not in sign_in(people.outsider).get("/dataset/mine", status=200).body


def test_what_the_editor_may_not_see_is_not_offered(known, uploaded, people, sign_in, api, refused):
    source = known(private=True)
    helpers.call_action("package_owner_org_update", id=source["id"], organization_id=people.other["id"])
    assert "Prepared" not in sign_in(people.editor).get("/dataset/mine", status=200).body
    with pytest.raises(refused) as caught:
        api("mlops_source_add", people.editor, id="mine", dataset=source["id"])
    assert "that you may see" in str(caught.value)


def test_the_form_of_a_file_has_the_field(uploaded, people, sign_in):
    body = sign_in(people.editor).get("/dataset/mine/resource/new", status=200).body
    assert "data-mlops-upload" in body
    assert 'data-dataset="mine"' in body
