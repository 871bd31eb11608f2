"""A repository's metrics: equal to ``dvc metrics show -a -T``, for those who may see them, as page and as files."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from bs4 import BeautifulSoup
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
    assert "<title>main" not in tags
    assert "<title>main, v2: " in body, "one commit is one point"
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


TRAIN = """\
seed=$(sed -n 's/seed: //p' params.yaml)
echo model > model.pkl
echo "{\\"accuracy\\": 0.$seed}" > metrics.json
printf "step,loss\\n0,0.$seed\\n1,0.1\\n" > loss.csv
"""


@pytest.fixture
def history(repo: Any, source: Any, harvest: Any) -> tuple[str, str]:
    """A repository harvested with all commits and experiments, and a commit that no branch or tag is at."""
    repo.edit("dvc.yaml", "echo model > model.pkl && echo '{\"accuracy\":0.8}' > metrics.json", "sh train.sh")
    repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text() + "    plots:\n    - loss.csv: {cache: false}\n")
    repo.write("train.sh", TRAIN)
    repo.dvc("remote", "default", "--unset")  # an experiment asks it, and this DVC cannot speak to S3
    commits = []
    for seed in (3, 4):
        repo.write("params.yaml", f"seed: {seed}\n")
        repo.dvc("repro")
        commits.append(repo.commit(f"Seed {seed}"))
    repo.dvc("exp", "run", "--name", "brave-try", "--set-param", "seed=5")
    repo.git("checkout", "--force", "--quiet", "main")
    source(repo.path, experiments=True, commits="all")
    harvest()
    return naming.repository_slug(str(repo.path)), commits[0]


def test_commits_and_experiments_are_rows(history: tuple[str, str]) -> None:
    slug, commit = history
    rows = helpers.call_action("mlops_repository_metrics", id=slug)["rows"]
    found = {
        (row["revision"]["kind"], row["revision"]["name"]): (
            row["values"].get("metric:metrics.json:accuracy"),
            row["values"].get("param:params.yaml:seed"),
        )
        for row in rows
    }
    assert found == {
        ("branch", "main"): (0.4, 4),
        ("tag", "v1"): (0.8, 1),
        ("experiment", "brave-try"): (0.5, 5),
        ("commit", commit): (0.3, 3),
        ("commit", next(name for kind, name in found if kind == "commit" and name != commit)): (0.8, 2),
    }
    assert all(row["revision"]["committed"] for row in rows)


def test_they_are_drawn_and_named_so_that_people_can_read_it(history: tuple[str, str], page: Any) -> None:
    slug, commit = history
    soup = BeautifulSoup(page(f"/repository/{slug}/metrics").body, "html.parser")
    trend, scatter, parallel = soup.select("figure.mlops-chart")
    for drawn in (trend, scatter, parallel):
        said = [each.text for each in drawn.select("title")]
        assert any(each.startswith("brave-try") for each in said)
        assert any(each.startswith(commit[:8]) for each in said)
    assert commit not in soup.select_one("table.mlops-metrics tbody").text, "by its first digits"
    assert [each["value"] for each in soup.select("#chart-over option")] == [
        "", "branch", "tag", "experiment", "commit"
    ]  # fmt: skip
    commits = BeautifulSoup(page(f"/repository/{slug}/metrics?over=commit&y=accuracy").body, "html.parser")
    said = [each.text for each in commits.select_one("figure.mlops-chart").select("circle title")]
    assert [each.split(": ")[1] for each in said] == ["0.8", "0.3"], "oldest first"


def test_their_plots_are_drawn(history: tuple[str, str], page: Any) -> None:
    slug, commit = history
    (chart,) = helpers.call_action("mlops_plot_show", id=slug, plot="loss.csv", revisions=["brave-try", commit])[
        "charts"
    ]
    assert [row["loss"] for row in chart["rows"] if row["step"] == 0] == [0.5, 0.3]
    soup = BeautifulSoup(page(f"/repository/{slug}/plots?rev=brave-try&rev={commit}").body, "html.parser")
    ticked = [each["value"] for each in soup.select("input[name=rev][checked]")]
    assert ticked == ["brave-try", commit]
    assert commit not in soup.select_one(".mlops-choices").text, "by its first digits"
