"""Whose files and history a dataset leads to is proven by what the portal read, not by a field or by sent records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ckan import model
from ckan.common import config
from ckan.tests import helpers

from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.core import Selection, naming, read_repository
from ckanext.mlops.tool.render import read_json

SECRET = b"name,diagnosis\nAllen,flu\n"
DIGEST = Md5(SECRET).hexdigest()
INTERNAL = "https://git.internal.example/lab/secret.git"


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A storage with a secret; a function that says for which repositories it is."""
    folder = tmp_path / "vault"
    path = folder / "files" / "md5" / DIGEST[:2] / DIGEST[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(SECRET)

    def serve(repositories: str, **options: str) -> Path:
        for key, value in {"url": str(folder), "repositories": repositories, **options}.items():
            monkeypatch.setitem(config, f"ckanext.mlops.storage.vault.{key}", value)
        return folder

    return serve


@pytest.fixture
def secret(repo: Any, source: Any, harvest: Any, vault: Any) -> str:
    """A project that only the lab may see, harvested: its address."""
    source(repo.path, private_datasets=True)
    harvest()
    url = f"file://{repo.path}"
    vault(naming.repository_key(url))
    return url


def pointing(repo: Any, folder: Path) -> None:
    """Let the project say that its raw data is the secret, in a remote that lies in the storage."""
    remote = ["remote", "add", "--default", "--force", "store", str(folder)]
    repo.dvc(*remote)
    shutil.rmtree(repo.path / ".dvc" / "cache", ignore_errors=True)
    old = Md5(b"name,age\nAllen,29\n").hexdigest()
    repo.edit("data/raw.csv.dvc", old, DIGEST)
    repo.edit("data/raw.csv.dvc", "size: 18", f"size: {len(SECRET)}")
    repo.commit("Point to somebody's data")


@pytest.fixture
def own(built: Path, root: Path, people: Any, harvest: Any, vault: Any) -> Any:
    """A project of the outsider's, harvested for their organization: its raw data's dataset."""
    shutil.copytree(built, root / "own", symlinks=True)
    from .conftest import Repo

    repo = Repo(root / "own", minute=2)
    pointing(repo, vault("nothing"))
    create("own", str(repo.path), people)
    harvest("own")
    return helpers.call_action("package_show", id="own-data-raw-csv")


def create(name: str, url: str, people: Any, **options: Any) -> None:
    helpers.call_action(
        "harvest_source_create", {"user": "outsider", "ignore_auth": False}, name=name, title=name, url=url,
        source_type="dvc", owner_org=people.other["id"], config=json.dumps(options),
    )  # fmt: skip


def taken(app: Any, package: dict[str, Any], person: Any) -> Any:
    """The answer to who takes the first file of a dataset."""
    url = f"/dataset/{package['name']}/resource/{package['resources'][0]['id']}/download"
    return app.get(url, headers=person.headers, follow_redirects=False)


def test_naming_a_repository_tells_nothing_of_its_history(secret: str, api: Any, people: Any, refused: Any) -> None:
    api("package_create", people.outsider, name="mine", owner_org="elsewhere", dvc_repository=secret, dvc_stage="x")
    slug = naming.repository_slug(secret)
    assert "Another seed" in json.dumps(api("mlops_repository_metrics", people.member, id=slug))
    found = api("mlops_repository_metrics", people.outsider, id=slug)
    assert found["rows"] == []
    assert api("mlops_plot_list", people.outsider, id=slug)["revisions"] == []
    assert api("mlops_repository_show", people.outsider, id=slug)["refs"] == []
    with pytest.raises(refused) as caught:
        api("mlops_lineage_show", people.outsider, id="mine", at="v1")
    assert caught.value.status == 409, "whether there is such a tag is not told either"


def test_a_field_opens_no_storage(secret: str, own: Any, vault: Any, app: Any, api: Any, people: Any) -> None:
    assert taken(app, own, people.outsider).status_code == 404
    vault(naming.repository_key(secret))
    api("package_patch", people.outsider, id=own["id"], dvc_repository=secret)
    answer = taken(app, own, people.outsider)
    assert (answer.status_code, SECRET.decode() in answer.body) == (404, False)
    assert "proves that it was read from the repository" in answer.body


def test_a_field_opens_no_files_of_git(repo: Any, secret: str, own: Any, app: Any, api: Any, people: Any) -> None:
    """What Git itself holds of the other project."""
    from sqlalchemy.orm.attributes import flag_modified

    from ckanext.mlops.model import Version

    row = model.Session.query(Version).filter_by(package_id=own["id"], current=True).one()
    row.facts["outs"][0] |= {"blob": repo.git("rev-parse", "HEAD:README.md")}
    flag_modified(row, "facts")
    model.Session.commit()
    api("package_patch", people.outsider, id=own["id"], dvc_repository=secret)
    answer = taken(app, own, people.outsider)
    assert (answer.status_code, "Who survived" in answer.body) == (404, False)


@pytest.fixture
def sent(repo: Any, people: Any, api: Any, harvest: Any, vault: Any) -> Any:
    """Records of the lab's project that the outsider made up and sent."""

    def send(url: str = INTERNAL) -> dict[str, Any]:
        pointing(repo, vault("*"))
        create("made-up", url, people, push=True)
        opened = read_repository(repo.path / ".git", url=url, selection=Selection())
        api("mlops_repository_push", people.outsider, id="made-up", records=json.loads("".join(read_json(opened))))
        report = harvest("made-up")
        assert report.counts()["added"] == 3, report
        name = f"{naming.repository_name(url)}-data-raw-csv"
        return dict(helpers.call_action("package_show", id=name))

    return send


def test_records_that_are_sent_open_no_storage(sent: Any, app: Any, people: Any, api: Any, vault: Any) -> None:
    package = sent()
    answer = taken(app, package, people.outsider)
    assert (answer.status_code, SECRET.decode() in answer.body) == (404, False)
    assert "ckanext.mlops.storage.<name>.pushed" in answer.body
    # Not even when the source says meanwhile that it fetches, or forgets its history.
    context = {"user": "outsider", "ignore_auth": False}
    fetch_from_now_on()
    assert taken(app, package, people.outsider).status_code == 404
    helpers.call_action("harvest_source_job_history_clear", dict(context), id=source_id("made-up"))
    assert taken(app, package, people.outsider).status_code == 404


def source_id(name: str) -> str:
    return str(model.Package.get(name).id)


def fetch_from_now_on() -> None:
    context = {"user": "outsider", "ignore_auth": False}
    found = helpers.call_action("harvest_source_show", dict(context), id="made-up")
    kept = {key: found[key] for key in ("id", "name", "title", "url", "owner_org")}
    helpers.call_action("harvest_source_update", dict(context), **kept, source_type="dvc", config="{}")


def test_an_operator_may_trust_who_sends(sent: Any, app: Any, people: Any, vault: Any) -> None:
    package = sent()
    vault("git.internal.example/lab/*", pushed="true")
    answer = taken(app, package, people.outsider)
    assert (answer.status_code, answer.body) == (200, SECRET.decode())


def test_what_is_fetched_later_is_given(repo: Any, sent: Any, app: Any, people: Any, harvest: Any) -> None:
    package = sent(f"file://{repo.path}")
    assert taken(app, package, people.outsider).status_code == 404
    fetch_from_now_on()
    assert harvest("made-up").counts()["unchanged"] == 3
    assert taken(app, package, people.outsider).status_code == 200


def test_going_on_from_a_dataset_gives_none_of_its_files(
    repo: Any, source: Any, harvest: Any, vault: Any, app: Any, api: Any, people: Any, refused: Any
) -> None:
    """The older versions of a chain are given as the dataset that they are of."""
    pointing(repo, vault("*"))
    source(repo.path)
    harvest()
    api("package_patch", people.editor, id="titanic-data-raw-csv", data_access="on_request")
    fields = {"dvc_moved_from": "titanic-data-raw-csv", "dvc_repository": f"file://{repo.path}"}
    api("package_create", people.outsider, name="mine", owner_org="elsewhere", **fields)
    version = api("mlops_version_list", people.outsider, id="mine")["results"][0]["id"]
    address = f"/dataset/mine/versions/{version}/download?path=data/raw.csv"
    assert app.get(address, headers=people.member.headers).body == SECRET.decode()
    assert app.get(address, headers=people.outsider.headers).status_code == 403
    with pytest.raises(refused) as caught:
        api("mlops_profile_show", people.outsider, id="mine", path="data/raw.csv", version=version)
    assert caught.value.status == 403
