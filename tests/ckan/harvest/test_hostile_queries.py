"""Whatever the query of a page says, the answer is a page or a refusal, never a broken server. What programs send to
actions is in test_hostile_arguments.py."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ckan import model
from ckan.tests import helpers

import ckanext.mlops.views as views
from ckanext.mlops.core import naming
from ckanext.mlops.lineage_page import state
from ckanext.mlops.model import Experiment, Link, ModelVersion, RegisteredModel, Run

#: As in an address. Numbers that no integer, no column and no float holds; what is no text; what other languages read.
VALUES = (
    "9" * 5000,
    "00030" + "0" * 5000,
    "99999999999999999999",
    "-1",
    "%C2%B2",
    "a%00b",
    quote("{!func}x ' \" \\ [] * : accuracy:>1e400"),
    "x" * 100_000,
)
LINEAGE = state._QUERY
#: The other pages of lineage read their query by the same function.
ALSO_LINEAGE = ("depth", "at", "against", "expand")
#: What each page reads of its query; pages without one read nothing of it.
QUERIES: dict[str, tuple[str, ...]] = {
    "mlops_comparison.index": ("version", "run", "x", "y", "format"),
    "mlops_download.recipe": ("format",),
    "mlops_download.resource": ("version", "file", "manifest"),
    "mlops_download.version": ("path", "file", "manifest"),
    "mlops_experiments.index": ("version", "sort", "order", "column", "metric", "goal", "page", "format"),
    "mlops_experiments.leaderboard": ("version", "format"),
    "mlops_lineage.data": ("id", *ALSO_LINEAGE),
    "mlops_lineage.index": LINEAGE,
    "mlops_lineage.resource": ALSO_LINEAGE,
    "mlops_lineage.version": ALSO_LINEAGE,
    "mlops_lineage_reports.impact": ("kind", "organization", "sort", "format"),
    "mlops_lineage_reports.path": ("end",),
    "mlops_link_picker.index": ("server", "kind", "within", "q"),
    "mlops_metrics.index": (
        *("baseline", "column", "where", "sort", "order", "changed_only", "page", "x", "y", "over", "format"),
    ),
    "mlops_mlflow.experiment": ("format",),
    "mlops_mlflow.experiments": ("page", "q", "format"),
    "mlops_mlflow.model": ("format",),
    "mlops_mlflow.models": ("page", "q", "format"),
    "mlops_organization.health": ("days", "part"),
    "mlops_plots.image": ("rev", "path"),
    "mlops_plots.index": ("rev", "plot", "page", "format"),
    "mlops_register.new": ("url", "path", "revision", "credential"),
    "mlops_register.read": ("group",),
    "mlops_repository.show": ALSO_LINEAGE,
    "mlops_versions.compare": ("before", "after"),
    "mlops_versions.index": ("page",),
}
#: Pages of CKAN whose query this extension reads as well.
OTHERS = {
    "/dataset/": ("q", "sort", "page", "vocab_freshness", "vocab_repository"),
    "/organization/lab": ("q", "sort", "page", "vocab_freshness"),
    "/dataset/titanic-train": ("version",),
    "/api/3/action/package_search": ("q", "fq", "sort"),
}
READ = re.compile(r'(?:args|asked)(?:\.get(?:list)?\(|\[)"(\w+)"')


@pytest.fixture
def catalog(repo: Any, source: Any, harvest: Any) -> dict[str, str]:
    """A harvested repository with metrics and plots, and a run of a model's version that used it."""
    repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text() + "plots: [loss.csv]\n")
    repo.write("loss.csv", "step,loss\n0,0.5\n1,0.4\n")
    repo.commit("Plots")
    source(repo.path)
    harvest()
    train = helpers.call_action("package_show", id="titanic-train")
    version = helpers.call_action("mlops_version_list", id="titanic-train")["results"][0]["id"]
    run = {"run_id": "known-run", "experiment_id": "7", "name": "known", "status": "FINISHED"}
    facts = {"metrics": {"accuracy": 0.8}, "params": {"depth": "3"}}
    target = {"server": "lab", "kind": "run", "target": "known-run", "relation": "trained_on", "version_id": version}
    model.Session.add_all(
        [
            Experiment(server="lab", experiment_id="7", name="survival", facts={}),
            Run(server="lab", facts=facts, **run),
            RegisteredModel(server="lab", name="churn", facts={}),
            ModelVersion(server="lab", name="churn", version="1", number=1, run_id="known-run", aliases=[]),
            Link(id=str(uuid.uuid4()), package_id=train["id"], **target),
        ]
    )
    model.Session.commit()
    return {
        "id": "titanic-train",
        "slug": naming.repository_slug(str(repo.path)),
        "resource_id": train["resources"][0]["id"],
        "version": version,
        "server": "lab",
        "name": "churn",
        "experiment": "7",
        "form": "json",
        "source": "titanic",
    }


def pages(app: Any, known: dict[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Address and the names that are read of its query."""
    for rule in app.app._wsgi_app.url_map.iter_rules():
        if rule.endpoint not in QUERIES or "GET" not in rule.methods or "filename" in rule.arguments:
            continue
        values = dict(known)
        if rule.endpoint.startswith(("mlops_repository.", "mlops_metrics.", "mlops_plots.")):
            values["id"] = known["slug"]
        elif rule.endpoint.startswith("mlops_organization."):
            values["id"] = "lab"
        path = re.sub(r"<(?:[^:<>]*:)?(\w+)>", lambda found, values=values: values.get(found[1], "x"), rule.rule)  # type: ignore[misc]
        yield path, QUERIES[rule.endpoint]
    yield from OTHERS.items()


def test_every_name_that_is_read_is_walked() -> None:
    folder = Path(views.__path__[0])
    read = {name for file in folder.glob("*.py") for name in READ.findall(file.read_text(encoding="utf-8"))}
    assert read > {"page", "days", "baseline"}
    assert read <= {name for names in QUERIES.values() for name in names}


def test_every_query_may_be_anything(catalog: dict[str, str], app: Any, people: Any) -> None:
    broken, walked = [], 0
    for path, names in pages(app, catalog):
        whole = app.get(path, headers=people.sysadmin.headers).status_code
        assert whole in (200, 400, 404), f"{path}: {app.get(path, headers=people.sysadmin.headers).body[-3000:]}"
        for name in names:
            for query in [*(f"{name}={value}" for value in VALUES), f"{name}=a&{name}=b", name]:
                walked += 1
                try:
                    answer = app.get(f"{path}?{query}", headers=people.sysadmin.headers, follow_redirects=False)
                    status = str(answer.status_code)
                except Exception as error:  # the test client passes on what a server would answer with 500
                    status = f"500 {type(error).__name__}: {str(error)[:90]}"
                    model.Session.rollback()
                if status >= "500":
                    broken.append(f"{path}?{query[:40]}: {status}")
    assert walked > 500
    assert not broken, "\n".join(broken)
