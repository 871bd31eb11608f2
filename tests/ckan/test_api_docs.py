"""``docs/api.md`` documents every action, and its examples work as they stand."""

from __future__ import annotations

import datetime
import json
import re
import shlex
import uuid
from pathlib import Path

import pytest
from ckan import logic, model
from ckan.tests import helpers

from ckanext.mlops.core import naming
from ckanext.mlops.model import Experiment, Link, LinkHint, RegisteredModel, plans, revisions, versions
from ckanext.mlops.model.searches import SavedSearch
from ckanext.mlops.model.transfers import AccessRequest

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
SECTIONS = dict(re.findall(r"^## `(mlops_\w+)`\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL))
EXAMPLE = re.compile(r"^ckanapi action (\w+)((?:[^\n\\]|\\\n)*)", re.MULTILINE)


def test_every_action_is_documented():
    logic.get_action("package_show")
    assert set(SECTIONS) == {name for name in logic._actions if name.startswith("mlops_")}


@pytest.mark.parametrize("action", sorted(SECTIONS))
def test_arguments_answer_and_rights_are_documented(action):
    section = SECTIONS[action]
    for heading in ("**Arguments**", "**Answer**", "**Who may**"):
        assert heading in section
    assert any(name == action for name, _ in EXAMPLE.findall(section))
    names = set(re.findall(r":param (\w+):", logic.get_action(action).__doc__ or ""))
    assert names == set(re.findall(r"^\| `(\w+)` ", section, re.MULTILINE))


@pytest.fixture
def world(people, make_dataset, of_source):
    """What the examples speak of."""
    package = make_dataset(name="titanic-train", dvc_repository="https://example.org/o/titanic.git")
    raw = make_dataset(name="titanic-raw", resources=[{"name": "train.csv", "url": ""}])
    source = helpers.call_action(
        "harvest_source_create",
        {"user": people.sysadmin.name},
        name="titanic",
        title="Titanic",
        url="https://repository.invalid/o/r",
        source_type="dvc",
        owner_org=people.organization["id"],
    )
    ids = {"VERSION_ID": str(uuid.uuid4()), "LINK_ID": str(uuid.uuid4()), "RUN_ID": uuid.uuid4().hex}
    ids["RESOURCE_ID"] = raw["resources"][0]["id"]
    ids["REQUEST_ID"] = str(uuid.uuid4())
    model.Session.add(
        AccessRequest(id=ids["REQUEST_ID"], package_id=package["id"], user_id=people.outsider.id, reason="", answer="")
    )
    job = helpers.call_action("harvest_job_create", {"user": people.sysadmin.name}, source_id=source["id"], run=False)
    ids["JOB_ID"] = job["id"]
    ids["HINT_ID"] = str(uuid.uuid4())
    ids["REGISTRATION_ID"] = str(uuid.uuid4())
    asked = {"facts": {"asked": {"url": "https://github.com/o/titanic"}}, "user_id": people.sysadmin.id}
    plans.write(model.Session(), ids["REGISTRATION_ID"], people.sysadmin.id, "registration", **asked)
    ids["REPOSITORY_ID"] = naming.repository_slug("https://example.org/o/titanic.git")
    facts = {"outs": [{"path": "data/train.csv", "hash": "a" * 32}]}
    row = {
        "id": ids["VERSION_ID"],
        "digest": "x",
        "commit": "c" * 40,
        "facts": facts,
    }
    versions.store(model.Session(), package["id"], [row])
    revisions.store(
        model.Session(), source["id"], naming.repository_slug("https://example.org/o/titanic.git"), [
            {"kind": "branch", "name": "main", "commit": "c" * 40, "committed": "2026-01-01T00:00:00Z",
             "plots": [{"name": "loss.csv", "files": ["loss.csv"]}]}
        ],
    )  # fmt: skip
    of_source(package, source["id"])
    tie = {"package_id": package["id"], "server": "lab", "kind": "run", "relation": "used"}
    tie["created"] = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 naive UTC, as CKAN stores it
    model.Session.add_all(
        [
            Link(id=ids["LINK_ID"], target=ids["RUN_ID"], **tie),
            LinkHint(id=ids["HINT_ID"], target=uuid.uuid4().hex, state="candidate", **tie),
            Experiment(server="lab", experiment_id="1", name="survival"),
            RegisteredModel(server="lab", name="forest"),
        ]
    )
    ids["SEARCH_ID"] = str(uuid.uuid4())
    search = SavedSearch(id=ids["SEARCH_ID"], user_id=people.sysadmin.id, query="q=x", name="x", mail=False)
    model.Session.add(search)
    model.Session.commit()
    return ids


@pytest.mark.parametrize("action", sorted(SECTIONS))
def test_the_examples_work(world, people, api, refused, action):
    for name, arguments in EXAMPLE.findall(SECTIONS[action]):
        words = shlex.split(arguments.replace("\\\n", " "))
        values = dict(word.split("=", 1) for word in words if "=" in word and not word.startswith("-"))
        values = {key: world.get(value.removeprefix("$"), value) for key, value in values.items()}
        values |= {key: json.loads(text) for key, text in re.findall(r"'(\w+):(\{.*\})'", arguments)}
        error = answer(api, refused, name, people.sysadmin, values)
        # No MLflow server, no repository and no harvest are there in this test; the arguments themselves must be right.
        nothing = (
            "is refused|Nothing of this harvest waits|Only a harvest that is finished|fetches its|no step that was read"
        )
        outside = {
            "server": "No MLflow server named",
            "links": "No MLflow server named",
            "field": "there is nothing",
            "id": nothing,
            "__type": "Validation Error",
        }
        assert all(re.search(outside.get(key, "?!"), str(value)) for key, value in error.items())


def answer(api, refused, name, person, values):
    """The error of the answer; nothing when it is none."""
    try:
        api(name, person, **values)
    except refused as error:
        return error.error
    return {}
