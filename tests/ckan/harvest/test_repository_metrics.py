"""A repository's metrics: equal to ``dvc metrics show -a -T``, for those who may see them, as page and as files."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from ckan.tests import helpers

from ckanext.mlops.core import naming

from .conftest import GIT_ENVIRONMENT


@pytest.fixture
def slug(repo: Any, source: Any, harvest: Any) -> str:
    """Three revisions with different accuracies; ``v2`` has a metric that no stage has."""
    repo.edit("dvc.yaml", '{"accuracy":0.8}', '{"accuracy":0.9,"per":{"class":2}}')
    repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text() + "metrics: [live.json]\n")
    repo.write("live.json", '{"loss": 0.25}')
    repo.dvc("repro")
    repo.commit("Better")
    repo.git("tag", "v2")
    source(repo.path)
    harvest()
    return naming.repository_slug(str(repo.path))


def dvc_says(repo: Any) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "dvc", "metrics", "show", "--all-branches", "--all-tags", "--json"]
    environment = GIT_ENVIRONMENT | {"HOME": str(repo.path.parent)}
    done = subprocess.run(command, cwd=repo.path, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, dict[str, Any]] = {}
    for names, entry in json.loads(done.stdout).items():
        for name in names.split(","):
            if name != "workspace":
                found[name] = {file: each.get("data") for file, each in entry["data"].items()}
    return found


def test_values_equal_dvcs(repo: Any, slug: str) -> None:
    answer = helpers.call_action("mlops_repository_metrics", id=slug)
    ours: dict[str, dict[str, Any]] = {}
    for row in answer["rows"]:
        files = ours.setdefault(row["revision"]["name"], {})
        for column in answer["columns"]:
            if column["kind"] == "metric" and column["id"] in row["values"]:
                target = files.setdefault(column["file"], {})
                *folders, last = column["name"].split(".")
                for folder in folders:
                    target = target.setdefault(folder, {})
                target[last] = row["values"][column["id"]]
    expected = dvc_says(repo)
    assert set(expected) == {"main", "v1", "v2"}
    assert ours == expected


def test_deltas_and_filters(slug: str) -> None:
    answer = helpers.call_action("mlops_repository_metrics", id=slug, baseline="v1", where=["delta.accuracy:>0"])
    assert [row["revision"]["name"] for row in answer["rows"]] == ["main", "v2"]
    assert answer["rows"][0]["deltas"]["metric:metrics.json:accuracy"] == pytest.approx(0.1)
    assert answer["rows"][0]["values"]["param:params.yaml:seed"] == 2
    with pytest.raises(Exception, match="nothing"):
        helpers.call_action("mlops_repository_metrics", id=slug, where=["nothing:>1"])


def test_the_page_and_its_files(slug: str, page: Any) -> None:
    address = f"/repository/{slug}/metrics"
    body = page(f"{address}?baseline=v1", status=200).body
    assert "accuracy" in body
    assert "+0.1" in body
    assert "<svg" in body
    assert "accuracy over the revisions" in body
    tags = page(f"{address}?over=tag", status=200).body
    assert "<title>v2: " in tags
    assert "<title>main: " not in tags
    assert "<title>main: " in body
    wrong = page(f"{address}?where=nothing:%3E1", status=200).body
    assert "no metric or param" in wrong
    csv = page(f"{address}?format=csv&column=accuracy", status=200).body.splitlines()
    assert csv[0] == "revision,kind,commit,date,accuracy"
    assert [line.split(",")[0] for line in csv[1:]] == ["main", "v2", "v1"]
    assert page(f"{address}?format=md", status=200).body.startswith("| revision |")
    assert json.loads(page(f"{address}?format=json", status=200).body)["repository"]["id"] == slug
    page("/repository/none-12345678/metrics", status=404)


def test_hidden_stages_values_are_left_out(slug: str, people: Any, api: Any, refused: Any) -> None:
    train = helpers.call_action("package_show", id="titanic-train")
    organization = people.organization["id"]
    helpers.call_action(
        "package_patch", {"user": people.sysadmin.name}, id=train["id"], private=True, owner_org=organization
    )
    answer = api("mlops_repository_metrics", people.anonymous, id=slug)
    assert answer["hidden"] == 1
    assert [column["file"] for column in answer["columns"]] == [], "neither the stage's nor the repository's own"
    assert "accuracy" not in json.dumps(answer)
    for name in ("titanic-prepare", "titanic-data-raw-csv"):
        helpers.call_action(
            "package_patch", {"user": people.sysadmin.name}, id=name, private=True, owner_org=organization
        )
    with pytest.raises(refused):
        api("mlops_repository_metrics", people.outsider, id=slug)


def test_params_in_mappings_are_columns_of_their_own(repo: Any, source: Any, harvest: Any) -> None:
    repo.edit("dvc.yaml", "params: [seed]", "params: [seed, forest]")
    repo.write("params.yaml", "seed: 2\nforest: {trees: 50, deep: {max: 3}}\n")
    repo.dvc("repro")
    repo.commit()
    source(repo.path)
    harvest()
    answer = helpers.call_action("mlops_repository_metrics", id=naming.repository_slug(str(repo.path)))
    params = {column["name"] for column in answer["columns"] if column["kind"] == "param"}
    assert params == {"seed", "forest.trees", "forest.deep.max"}
