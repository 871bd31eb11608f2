"""A dataset that the reader may not see is no name on any page and in any file: every route is walked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ckan import model

from ckanext.mlops.core import naming
from ckanext.mlops.model import Experiment, Link, ModelVersion, RegisteredModel, Run, versions
from ckanext.mlops.model.lineage import store_harvested

SEES = {"anonymous": False, "outsider": False, "member": True, "sysadmin": True}
REPOSITORY = "https://git.example/o/pipeline"
HIDDEN = ("secret", "confidential")
#: Pages and exports of CKAN and of other extensions that this one adds to.
OTHERS = (
    "/",
    "/dataset/",
    "/dataset/?q=secret",
    "/dataset/result-data",
    "/dataset/result-data.jsonld",
    "/dataset/result-data.ttl",
    "/dataset/result-data/resource/{resource_id}",
    "/dataset/delete/result-data",
    "/organization/lab",
    "/api/3/action/package_show?id=result-data",
    "/api/3/action/package_search?q=secret",
)
QUERIES = {
    "mlops_comparison.index": ["?version={version}"],
    "mlops_lineage.data": ["?id=result-data", "?id=result-data&level=files", "?id=result-data&level=steps"],
    "mlops_lineage.index": ["", "?level=files", "?level=steps", "?against=2000-01-01", "?at=v1"],
    "mlops_lineage_reports.impact": ["", "?format=csv"],
    "mlops_lineage_reports.path": ["?end=origin-data", "?end=secret-data"],
    "mlops_organization.health": ["", "?part=gaps"],
    "mlops_versions.compare": ["?before={version}&after={version}"],
}
CHOICES = re.compile(r"<any\(([^)]*)\):\w+>")
ARGUMENT = re.compile(r"<(?:[^:<>]*:)?(\w+)>")


@pytest.fixture
def pipeline(make_dataset: Callable[..., dict[str, Any]]) -> dict[str, str]:
    """origin → secret (private) → result → confidential (private): steps of one repository, used by one run."""
    made = {
        name: make_dataset(
            name=f"{name}-data",
            title=f"{name.title()} title",
            private=name in HIDDEN,
            dvc_repository=REPOSITORY,
            dvc_stage=f"{name}-stage",
            resources=[{"name": f"{name}-file", "dvc_path": f"{name}-path.csv", "url": ""}],
            derived_from=[{"dataset": "secret-data"}] if name == "result" else [],
        )
        for name in ("origin", "secret", "result", "confidential")
    }
    states = {}
    for name, package in made.items():
        states[name] = str(uuid.uuid4())
        row = {
            "id": states[name],
            "digest": name,
            "commit": "c" * 40,
            "refs": [{"name": "v1", "kind": "tag", "commit": "c" * 40}],
            "facts": {"address": f"{name}-stage", "outs": [{"path": f"{name}-path.csv", "hash": name * 4}]},
            "current": True,
        }
        versions.store(model.Session(), package["id"], [row])
        link = {"package_id": package["id"], "server": "lab", "kind": "run", "relation": "trained_on"}
        target = "secret-run" if name in HIDDEN else "known-run"
        model.Session.add(Link(id=str(uuid.uuid4()), target=target, version_id=states[name], **link))
    model.Session.add(Experiment(server="lab", experiment_id="7", name="survival", facts={}))
    model.Session.add(RegisteredModel(server="lab", name="churn", facts={}))
    for number, name in enumerate(("known", "secret"), 1):
        run = {"run_id": f"{name}-run", "experiment_id": "7", "name": f"{name}-name", "status": "FINISHED"}
        model.Session.add(Run(server="lab", facts={}, **run))
        made_by = {"version": str(number), "number": number, "run_id": f"{name}-run", "aliases": []}
        model.Session.add(ModelVersion(server="lab", name="churn", **made_by))
    for down, up in (("secret", "origin"), ("result", "secret"), ("confidential", "result")):
        edge = {
            "upstream_dataset": made[up]["id"],
            "upstream_resource": made[up]["resources"][0]["id"],
            "upstream_label": f"{up}-label",
            "path": f"{up}-path.csv",
            "evidence": {"kind": "locked", "note": f"{up}-evidence"},
            "version_id": states[down],
        }
        store_harvested(model.Session, made[down]["id"], [edge])
    model.Session.commit()
    return {
        "resource_id": made["result"]["resources"][0]["id"],
        "version": states["result"],
        "run_id": "known-run",
        "server": "lab",
        "name": "churn",
        "experiment_id": "7",
    }


def addresses(app: Any, known: dict[str, str]) -> Iterator[str]:
    """Every page that can be read, with every choice that its route has, and with its queries."""
    for rule in app.app._wsgi_app.url_map.iter_rules():
        if "GET" not in rule.methods or not rule.endpoint.startswith("mlops_"):
            continue
        id_ = "result-data"
        if rule.endpoint.startswith(("mlops_repository.", "mlops_metrics.", "mlops_plots.")):
            id_ = naming.repository_slug(REPOSITORY)
        elif rule.endpoint.startswith("mlops_organization."):
            id_ = "lab"
        values = known | {"id": id_, "slug": naming.repository_slug(REPOSITORY)}
        choice = CHOICES.search(rule.rule)
        for chosen in [each.strip() for each in choice[1].split(",")] if choice else [""]:
            path = CHOICES.sub(chosen, rule.rule)
            path = ARGUMENT.sub(lambda found, values=values: values.get(found[1], "x"), path)  # type: ignore[misc]
            for query in QUERIES.get(rule.endpoint, [""]):
                yield path + query.format(**known)
    yield from (path.format(**known) for path in OTHERS)


def traces(body: str) -> set[str]:
    words = {f"{name}-{what}" for name in HIDDEN for what in ("label", "path", "evidence", "file", "stage")}
    words |= {f"{name.title()} title" for name in HIDDEN} | {"secret-run", "secret-name"}
    words |= {"confidential-data", "/dataset/secret-data"}
    return {word for word in words if word in body}


@pytest.mark.parametrize("role", SEES)
def test_no_page_names_what_is_hidden(
    pipeline: dict[str, str], app: Any, people: Any, page: Callable[..., Any], role: str
) -> None:
    found, failed = {}, {}
    for address in addresses(app, pipeline):
        answer = page(address, getattr(people, role))
        if answer.status_code >= 500:
            failed[address] = answer.status_code
        if told := traces(answer.body):
            found[address] = told
    assert failed == {}
    if SEES[role]:  # the walk comes to where there is something to hide
        assert set().union(*found.values()) >= {"Secret title", "secret-path", "confidential-data", "secret-name"}
    else:
        assert found == {}
