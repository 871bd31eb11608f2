"""Who may open what: every route of the extension, as everybody, on a public and on a private dataset. A new route
belongs here. The actions have their own matrix in test_auth_matrix.py."""

from __future__ import annotations

import uuid

import pytest
from ckan import model
from ckan.common import config
from ckan.tests import helpers

from ckanext.mlops.client.hashing import Md5
from ckanext.mlops.core import naming
from ckanext.mlops.model import Link, plans, versions
from ckanext.mlops.model.searches import SavedSearch
from ckanext.mlops.model.tables import LinkHint
from ckanext.mlops.model.transfers import AccessRequest

READERS_OF_PRIVATE = {"member", "editor", "admin", "sysadmin"}
EVERYBODY = {"anonymous", "outsider"} | READERS_OF_PRIVATE
EDITORS = {"editor", "admin", "sysadmin"}
SIGNED_IN = EVERYBODY - {"anonymous"}
READING = (EVERYBODY, READERS_OF_PRIVATE)
EDITING = (EDITORS, EDITORS)
#: Programs that sign what they send; nobody is let in without.
NOBODY = (set(), set())
REPOSITORY = "https://git.example/o/titanic"

#: (endpoint, method) → (who may on a public dataset, who may on a private one)
MATRIX = {
    ("mlops_access.ask", "POST"): (SIGNED_IN, SIGNED_IN),
    ("mlops_access.decide", "POST"): EDITING,
    ("mlops_access.index", "GET"): (SIGNED_IN, SIGNED_IN),
    ("mlops_comparison.index", "GET"): READING,
    ("mlops_download.recipe", "GET"): READING,
    ("mlops_download.resource", "GET"): READING,
    ("mlops_download.version", "GET"): READING,
    ("mlops_experiments.hint", "POST"): EDITING,
    ("mlops_experiments.index", "GET"): READING,
    ("mlops_experiments.leaderboard", "GET"): READING,
    ("mlops_experiments.link", "POST"): EDITING,
    ("mlops_experiments.unlink", "POST"): EDITING,
    ("mlops_harvest.decide", "POST"): EDITING,
    ("mlops_harvest.field", "POST"): EDITING,
    ("mlops_harvest.preview", "GET"): EDITING,
    ("mlops_harvest.preview_start", "POST"): EDITING,
    ("mlops_harvest.stop", "POST"): EDITING,
    ("mlops_lineage.data", "GET"): READING,
    ("mlops_lineage.index", "GET"): READING,
    ("mlops_lineage.resource", "GET"): READING,
    ("mlops_lineage.version", "GET"): READING,
    ("mlops_lineage_reports.impact", "GET"): READING,
    ("mlops_lineage_reports.path", "GET"): READING,
    ("mlops_link_picker.index", "GET"): EDITING,
    ("mlops_metrics.index", "GET"): READING,
    # No model and no experiment is linked in this world: whoever asks for one is told so.
    ("mlops_mlflow.experiment", "GET"): NOBODY,
    ("mlops_mlflow.experiments", "GET"): (EVERYBODY, EVERYBODY),
    ("mlops_mlflow.model", "GET"): NOBODY,
    ("mlops_mlflow.models", "GET"): (EVERYBODY, EVERYBODY),
    ("mlops_mlflow_webhook.receive", "POST"): NOBODY,
    # No mirror of the repository is in this world, and "x" is no script of ours.
    ("mlops_plots.image", "GET"): NOBODY,
    ("mlops_plots.index", "GET"): READING,
    ("mlops_plots.script", "GET"): NOBODY,
    ("mlops_organization.health", "GET"): (EVERYBODY, EVERYBODY),
    ("mlops_push_webhook.receive", "POST"): NOBODY,
    ("mlops_register.create", "POST"): (EDITORS | {"outsider"}, EDITORS | {"outsider"}),
    ("mlops_register.derive", "POST"): EDITING,
    ("mlops_register.new", "GET"): (EDITORS | {"outsider"}, EDITORS | {"outsider"}),
    # A reading belongs to who asked for it.
    ("mlops_register.read", "GET"): ({"editor", "sysadmin"}, {"editor", "sysadmin"}),
    ("mlops_register.save", "POST"): ({"editor", "sysadmin"}, {"editor", "sysadmin"}),
    ("mlops_repository.show", "GET"): READING,
    ("mlops_searches.delete", "POST"): ({"outsider", "sysadmin"}, {"outsider", "sysadmin"}),  # an outsider's search
    ("mlops_searches.index", "GET"): (SIGNED_IN, SIGNED_IN),
    ("mlops_searches.save", "POST"): (SIGNED_IN, SIGNED_IN),
    ("mlops_similar.index", "GET"): READING,
    ("mlops_versions.compare", "GET"): READING,
    ("mlops_versions.index", "GET"): READING,
    ("mlops_versions.show", "GET"): READING,
}


def routes(app):
    return {
        (rule.endpoint, method): rule
        for rule in app.app._wsgi_app.url_map.iter_rules()
        if rule.endpoint.startswith("mlops_")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_in_the_matrix(app):
    assert set(routes(app)) == set(MATRIX)


class World:
    """A dataset with a file, two versions, a link and a request; all of it private or all public."""

    def __init__(self, people, make_dataset, private, folder):
        digest = Md5(b"x").hexdigest()
        key = f"files/md5/{digest[:2]}/{digest[2:]}"
        (folder / key).parent.mkdir(parents=True)
        (folder / key).write_bytes(b"x")
        self.package = make_dataset(
            name="titanic",
            private=private,
            dvc_repository=REPOSITORY,
            dvc_stage="train",
            resources=[{"name": "x", "dvc_path": "x.csv", "url": ""}],
        )
        outs = [{"path": "x.csv", "hash": digest, "storage": key}]
        guid = naming.registered_guid(self.package["id"], REPOSITORY)
        self.versions = [naming.version_id(guid, digest) for digest in "01"]
        rows = [
            {"id": each, "digest": str(number), "commit": "c" * 40, "facts": {"outs": outs, "address": "train"},
             "current": number == 1, "position": number}
            for number, each in enumerate(self.versions)
        ]  # fmt: skip
        versions.store(model.Session(), self.package["id"], rows)
        model.Session.commit()
        self.registration = str(uuid.uuid4())
        asker = people.editor.id
        facts = {"asked": {"url": "https://git.example/o/r"}}
        plans.write(
            model.Session(), self.registration, asker, "registration", user_id=asker, state="waiting", facts=facts
        )
        model.Session.commit()
        self.source = helpers.call_action(
            "harvest_source_create",
            {"user": people.sysadmin.name},
            name="source",
            title="Source",
            url="https://repository.invalid/o/r",
            source_type="dvc",
            owner_org=people.organization["id"],
        )
        job = {"source_id": self.source["id"], "run": False}
        self.job = helpers.call_action("harvest_job_create", {"user": people.sysadmin.name}, **job)["id"]

    def values(self, argument):
        slug = naming.repository_slug(REPOSITORY)
        return {
            "id": "titanic",
            "resource_id": self.package["resources"][0]["id"],
            "version": self.versions[0],
            "source": "source",
            "job": self.job,
            "job_id": self.job,
            "form": "json",
            "decision": "take",
            "slug": slug,
        }.get(argument, "x")

    def address(self, endpoint, rule):
        values = {each: self.values(each) for each in rule.arguments}
        if endpoint.startswith(("mlops_repository.", "mlops_metrics.", "mlops_plots.")):
            values["id"] = naming.repository_slug(REPOSITORY)
        if endpoint in ("mlops_register.read", "mlops_register.save"):
            values["id"] = self.registration
        if endpoint == "mlops_organization.health":
            values["id"] = "lab"
        if "hint_id" in values:
            given = {"server": "lab", "kind": "run", "target": uuid.uuid4().hex, "relation": "used", "state": "open"}
            values["hint_id"] = self.row(LinkHint, **given)
        if endpoint == "mlops_harvest.decide":
            values |= {"id": self.job, "decision": "reject"}
        if endpoint == "mlops_harvest.stop":
            values["id"] = self.job
        if "link_id" in values:
            values["link_id"] = self.row(Link, server="lab", kind="run", target=uuid.uuid4().hex, relation="used")
        if "search_id" in values:
            user = model.User.get("outsider")
            search = SavedSearch(id=str(uuid.uuid4()), user_id=user.id, query=uuid.uuid4().hex, name="x", mail=False)
            model.Session.add(search)
            model.Session.commit()
            values["search_id"] = search.id
        if "request_id" in values:
            user = model.User.get("outsider")
            values["request_id"] = self.row(AccessRequest, user_id=user.id, reason="", answer="", state="denied")
        query = {
            "mlops_download.version": "?path=x.csv",
            "mlops_lineage.data": "?id=titanic",
            "mlops_versions.compare": f"?before={self.versions[0]}&after={self.versions[1]}",
        }
        url = "/" + "/".join(
            part if not part.startswith("<") else values[part.strip("<>").rpartition(":")[2]]
            for part in rule.rule.strip("/").split("/")
        )
        if endpoint == "mlops_lineage.data":
            url = "/mlops/lineage.json"
        return url + query.get(endpoint, "")

    def row(self, table, **values):
        row = table(id=str(uuid.uuid4()), package_id=self.package["id"], **values)
        model.Session.add(row)
        model.Session.commit()
        return row.id


DATA = {
    "mlops_access.decide": {"decision": "deny"},
    "mlops_experiments.link": {"server": "nowhere", "target": "x"},
    "mlops_harvest.field": {"field": "title"},
    "mlops_searches.save": {"query": "q=titanic"},
    "mlops_register.derive": {"dataset": "nothing"},
    "mlops_register.create": {"url": "https://git.example/o/r"},
}


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_the_matrix(people, make_dataset, app, private, tmp_path, monkeypatch):
    """All in one test: the catalog is the same, and a wrong cell names itself."""
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.url", str(tmp_path))
    monkeypatch.setitem(config, "ckanext.mlops.storage.x.repositories", "*")
    world = World(people, make_dataset, private, tmp_path)
    wrong = []
    known = routes(app)
    for (endpoint, method), allowed in MATRIX.items():
        for role, person in people.all().items():
            address = world.address(endpoint, known[endpoint, method])
            options = {"headers": person.headers, "follow_redirects": False}
            if method == "POST":
                answer = app.post(address, data=DATA.get(endpoint, {"reason": "x"}), **options)
            else:
                answer = app.get(address, **options)
            status, target = answer.status_code, answer.headers.get("Location", "")
            refused = status in (400, 401, 403, 404, 405) or "/user/login" in target
            expected = role in allowed[private]
            if refused == expected:
                wrong.append(f"{method} {address} as {role}: {status} {target}, expected {expected}")
    assert wrong == []
