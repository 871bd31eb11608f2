"""Every command and program that the pages show is run as a reader pastes it, against a real portal and a real DVC
repository, and gives the bytes of the version of its page. So are the recipes of the documentation for CI and ckanapi.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ckan import model
from ckan.common import config
from ckan.tests import helpers

from ckanext.mlops.model import Version

BIN = Path(sys.executable).parent
DOCS = Path(__file__).parents[3] / "docs"
OLD, NEW = "name,age\nAllen,29\n", "name,age\nAllen,29\nBonnell,58\n"


@pytest.fixture
def people_environment(tmp_path: Path, live: str, people: Any) -> dict[str, str]:
    """What a reader has: programs, a token, and nothing else of this machine."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "CKAN_URL": live,
        "CKAN_API_TOKEN": people.editor.token,
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
    }


@pytest.fixture
def run(people_environment: dict[str, str], live: str) -> Callable[..., str]:
    def run(code: str, folder: Path) -> str:
        code = code.replace("http://portal.test", live)
        python = code.startswith(("import ", "from "))
        command = [sys.executable, "-c", code] if python else ["bash", "-ec", code]
        done = subprocess.run(
            command, cwd=folder, env=people_environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def harvested(
    make_repo: Any, source: Any, harvest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """``data/raw.csv`` in two versions, pushed to a DVC remote that the portal was told of; private."""
    repo = make_repo("titanic")
    repo.path.mkdir()
    repo.git("init", "--quiet", "--initial-branch=main")
    repo.dvc("init")
    repo.dvc("remote", "add", "--default", "store", str(tmp_path / "remote"))
    for tag, text in (("v1", OLD), ("v2", NEW)):
        repo.write("data/raw.csv", text)
        repo.dvc("add", "data/raw.csv")
        repo.dvc("push")
        repo.commit(tag)
        repo.git("tag", tag)
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.url", str(tmp_path / "remote"))
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "*")
    source(repo.path)
    assert harvest().counts()["added"] == 1
    package: dict[str, Any] = helpers.call_action("package_search", q="raw")["results"][0]
    helpers.call_action("package_patch", {"user": "root"}, id=package["id"], private=True)
    rows = model.Session.query(Version).filter_by(package_id=package["id"]).order_by(Version.position)
    return {"package": package, "repo": repo, "versions": [row.id for row in rows]}


def shown(body: str) -> list[str]:
    """The snippets of a page."""
    return [html.unescape(each) for each in re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", body, re.DOTALL)]


def test_every_shown_command_gives_the_data_of_its_page(
    harvested: dict[str, Any], page: Any, people: Any, run: Callable[..., str], tmp_path: Path
) -> None:
    name = harvested["package"]["name"]
    old = harvested["versions"][0]
    ways: dict[str, set[str]] = {}
    for address, revision, text in (
        (f"/dataset/{name}", "v2", NEW),
        (f"/dataset/{name}/versions/{old}", "v1", OLD),
    ):
        folder = tmp_path / revision
        folder.mkdir()
        codes = shown(page(address, people.member).body)
        ways[revision] = {_way(code) for code in codes}
        for number, code in enumerate(codes):
            here = folder / str(number)
            _prepare(here, code, harvested["repo"].path, revision, run)
            _run_and_compare(here, code, text, run)
    wanted = {"ckan-mlops", "curl", "requests", "dvc get", "dvc import", "dvc.api", "dvc.api, pandas", "mlflow"}
    assert ways == {"v1": wanted, "v2": wanted}


def _way(code: str) -> str:
    if code.startswith(("import ", "from ")):
        if "import requests" in code:
            return "requests"
        if "mlflow" in code:
            return "mlflow"
        return "dvc.api, pandas" if "pandas" in code else "dvc.api"
    words = code.split()
    return " ".join(words[:2]) if words[0] == "dvc" else words[0]


def _prepare(here: Path, code: str, repository: Path, revision: str, run: Callable[..., str]) -> None:
    """The folder in which the reader is."""
    here.mkdir()
    if _way(code) == "dvc import":
        run("git init -q . && dvc init -q", here)
    elif _way(code) == "mlflow":
        run(f"git clone -q {repository} . && git checkout -q {revision} && dvc pull -q", here)


def _run_and_compare(here: Path, code: str, text: str, run: Callable[..., str]) -> None:
    way = _way(code)
    if way == "mlflow":
        run(code, here)
        log = "import mlflow\nprint(mlflow.search_runs(search_all_experiments=True).run_id[0])"
        logged = f"{log}\nfor one in mlflow.get_run(mlflow.search_runs(search_all_experiments=True).run_id[0])"
        found = run(f"{logged}.inputs.dataset_inputs: print(one.dataset.digest)", here).split()
        assert found[-1] == hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    elif code.startswith(("import ", "from ")):
        ending = "print(data.decode(), end='')" if way == "dvc.api" else "print(frame.to_csv(index=False), end='')"
        assert run(f"{code}\n{ending}", here) == text
    else:
        run(code, here)
        (found_file,) = (path for path in here.rglob("raw.csv") if ".dvc" not in path.parts)
        assert found_file.read_text() == text


def test_the_recipe_shown_for_ckanapi_makes_the_dataset(
    people: Any, make_dataset: Any, run: Callable[..., str], live: str, tmp_path: Path
) -> None:
    make_dataset(name="titanic-prepare")
    section = (DOCS / "provider.md").read_text().split("## With ckanapi")[1]
    code = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0]
    patch = re.findall(r"`(ckanapi action package_patch [^`]+)`", section)[0]
    access = f"-r {live} -a {people.editor.token}"
    run(code.replace("-r https://your.portal -a TOKEN", access), tmp_path)
    run(f"{patch} {access}", tmp_path)
    package = helpers.call_action("package_show", {"ignore_auth": True}, id="titanic-train")
    assert package["dvc_revision"] == "v2"
    assert [each.get("label") for each in package["derived_from"]] == [None, "Kaggle: Titanic"]
    assert package["resources"][0]["hash"] == "3863d0e317dee0a55c4e59d2ec0eef33"


def _recipes() -> dict[str, str]:
    """The recipes for CI: the text of their files."""
    section = (DOCS / "provider.md").read_text().split("## In CI")[1].split("\n## ")[0]
    github, gitlab = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    return {"github": github, "gitlab": gitlab}


@pytest.mark.parametrize(
    ("name", "schema", "file"),
    [("github", "vendor.github-workflows", "catalog.yml"), ("gitlab", "vendor.gitlab-ci", ".gitlab-ci.yml")],
)
def test_recipes_for_ci_are_sound(tmp_path: Path, name: str, schema: str, file: str) -> None:
    (tmp_path / file).write_text(_recipes()[name])
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, "--default-filetype", "yaml"]
    done = subprocess.run([*command, str(tmp_path / file)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_the_commands_of_recipes_for_ci_work(
    name: str, repo: Any, source: Any, harvest: Any, run: Callable[..., str], tmp_path: Path
) -> None:
    recipe = yaml.safe_load(_recipes()[name])
    if name == "github":
        commands = [step["run"] for step in recipe["jobs"]["catalog"]["steps"] if "run" in step]
    else:
        commands = recipe["catalog"]["script"]
    assert commands.pop(0).startswith("pip install")
    work = tmp_path / "checkout"
    shutil.copytree(repo.path, work)
    (work / "published").mkdir()
    (work / "published/datapackage.json").write_text(
        json.dumps({"name": "winds", "resources": [{"name": "winds.csv", "path": "winds.csv"}]})
    )
    (work / "published/winds.csv").write_text("a\n1\n")
    source("https://git.internal.example/lab/titanic.git", push=True)
    for command in commands:
        run(command, work)
    assert harvest().counts()["added"] == 3
    model.Session.remove()
    found = {each["name"] for each in helpers.call_action("package_search", rows=10)["results"]}
    assert {"winds", "titanic-train"} <= found
