"""scripts/import_kaggle.py with Kaggle's official client. Kaggle itself is a local stand-in of the endpoints that the
client calls for this (download of a dataset and a competition, metadata, list of competitions): the real one wants an
account and the network."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from ckan.tests import helpers
from click.testing import CliRunner

from ckanext.mlops.client.hashing import Md5

SCRIPT = Path(__file__).parents[3] / "scripts" / "import_kaggle.py"
DATA = b"PassengerId,Survived\n1,0\n"


def archive():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as found:
        found.writestr("train.csv", DATA)
    return stream.getvalue()


class StandIn(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer()

    def answer(self):
        self.server.asked.append(self.path)
        name = self.path.rsplit("/", 1)[-1]
        info = {
            "title": "Titanic", "description": "Who survived?", "licenses": [{"name": "CC0-1.0"}],
            "keywords": ["ships"], "ownerUser": "ada", "datasetSlug": "titanic-data",
        }  # fmt: skip
        if name == "DownloadDataFiles":
            self.send_response(302)
            self.send_header("Location", "/files/titanic.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif name in ("DownloadDataset", "titanic.zip"):
            self.send(archive(), "application/zip")
        elif name == "GetDatasetMetadata":
            self.send(json.dumps({"info": info}).encode(), "application/json")
        elif name == "ListCompetitions":
            address = "https://www.kaggle.com/competitions/titanic"
            found = {"ref": address, "title": "Titanic - Machine Learning", "description": "Start here"}
            self.send(json.dumps({"competitions": [found]}).encode(), "application/json")
        else:
            self.send(b"{}", "application/json")

    def send(self, data, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Last-Modified", "Tue, 24 Nov 2026 10:00:00 GMT")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def kaggle(monkeypatch, tmp_path):
    monkeypatch.setenv("KAGGLE_USERNAME", "ada")
    monkeypatch.setenv("KAGGLE_KEY", "0" * 32)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    from kagglesdk import kaggle_env

    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, endpoint)
    yield server
    server.shutdown()


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory):
    """A new project of Git and DVC."""
    folder = tmp_path_factory.mktemp("empty")
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True)
    return folder


@pytest.fixture
def run(kaggle, live, people, empty_project, tmp_path):
    spec = spec_from_file_location("import_kaggle", SCRIPT)
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    work = shutil.copytree(empty_project, tmp_path / "project", symlinks=True)

    def call(*arguments, code=0):
        options = ["--folder", str(work / "data"), "-r", live, "-a", people.editor.token, "-o", "lab"]
        done = CliRunner().invoke(script.import_kaggle, [*arguments, *options])
        assert done.exit_code == code, done.output
        return work if not code else done.output

    return call


def shown(name):
    return helpers.call_action("package_show", {"ignore_auth": True}, id=name)


def test_a_dataset_is_tracked_and_registered(run):
    work = run("ada/titanic-data")
    assert (work / "data/titanic-data/train.csv").read_bytes() == DATA
    assert (work / "data/titanic-data.dvc").is_file()
    package = shown("titanic-data")
    assert (package["title"], package["license_id"], package["dvc_stage"]) == (
        "Titanic",
        "cc-zero",
        "data/titanic-data.dvc",
    )
    assert package["derived_from"][0]["url"] == "https://www.kaggle.com/datasets/ada/titanic-data"
    (file,) = package["resources"]
    assert (file["dvc_path"], file["hash"]) == ("data/titanic-data/train.csv", Md5(DATA).hexdigest())


def test_a_competition_is_uploaded(run):
    run("titanic", "--upload")
    package = shown("titanic")
    assert package["title"] == "Titanic - Machine Learning"
    assert package["url"] == "https://www.kaggle.com/competitions/titanic"
    (file,) = package["resources"]
    assert (file["url_type"], file["hash"], file["size"]) == ("upload", Md5(DATA).hexdigest(), len(DATA))


def test_a_second_run_changes_nothing(run):
    work = run("ada/titanic-data")
    before, tracked = shown("titanic-data"), (work / "data/titanic-data.dvc").read_text()
    run("https://www.kaggle.com/datasets/ada/titanic-data/?select=train.csv")
    assert shown("titanic-data") == before
    assert (work / "data/titanic-data.dvc").read_text() == tracked


@pytest.mark.parametrize("reference", ["ada/titanic-data", "titanic"])
def test_what_a_killed_run_left_is_done_again(run, tmp_path, reference):
    name = reference.rsplit("/", 1)[-1]
    folder = tmp_path / "project/data" / name
    folder.mkdir(parents=True)
    (folder / f"{name}.zip").write_bytes(archive()[:50])
    (folder / "train.csv").write_bytes(DATA[:5])
    run(reference)
    assert (folder / "train.csv").read_bytes() == DATA
    assert sorted(path.name for path in folder.iterdir() if path.name != "dataset-metadata.json") == ["train.csv"]
    assert shown(name)["resources"][0]["hash"] == Md5(DATA).hexdigest()


def test_what_cannot_be_done_is_said_before_anything_is_downloaded(run, kaggle, tmp_path):
    assert "names nothing of Kaggle" in run("../../etc", code=3)
    (tmp_path / "project/.dvc").rename(tmp_path / "project/.gone")
    assert "git init && dvc init" in run("ada/titanic-data", code=3)
    assert kaggle.asked == []
    assert not (tmp_path / "project/data").exists()
