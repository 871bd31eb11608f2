"""Who may do what: every action, as everybody, on a public and on a private dataset. A new action belongs here."""

from __future__ import annotations

import datetime
import json
import uuid

import pytest
from ckan import authz, logic, model
from ckan.tests import helpers

from ckanext.mlops.core import naming
from ckanext.mlops.model import (
    Experiment,
    Link,
    LinkHint,
    ModelVersion,
    RegisteredModel,
    Run,
    plans,
    revisions,
    versions,
)
from ckanext.mlops.model.searches import SavedSearch
from ckanext.mlops.model.transfers import AccessRequest

READERS_OF_PRIVATE = {"member", "editor", "admin", "sysadmin"}
EVERYBODY = {"anonymous", "outsider"} | READERS_OF_PRIVATE
EDITORS = {"editor", "admin", "sysadmin"}
SIGNED_IN = EVERYBODY - {"anonymous"}
#: A reading of a repository belongs to who asked for it.
ASKER = {"editor", "sysadmin"}

#: action → (who may on a public dataset, who may on a private one)
MATRIX = {
    "mlops_access_ask": (SIGNED_IN, SIGNED_IN),
    "mlops_access_decide": (EDITORS, EDITORS),
    "mlops_access_list": (EDITORS, EDITORS),
    "mlops_audit_list": (EDITORS, EDITORS),
    "mlops_compare": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_content_check": (EDITORS, EDITORS),
    "mlops_content_find": (EVERYBODY, EVERYBODY),  # each dataset of the answer is checked: test_content_find.py
    "mlops_dataset_register": (ASKER, ASKER),  # who asked for the reading: test_register.py
    "mlops_dataset_load": (SIGNED_IN, SIGNED_IN),  # each dataset of it is checked by CKAN: test_upload.py
    "mlops_dataset_similar": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_file_append": (EDITORS, EDITORS),
    "mlops_file_diff": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_file_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_field_list": (EDITORS, EDITORS),
    "mlops_field_restore": (EDITORS, EDITORS),
    "mlops_field_take": (EDITORS, EDITORS),
    "mlops_harvest_approve": (EDITORS, EDITORS),
    "mlops_harvest_preview": (EDITORS, EDITORS),
    "mlops_harvest_reject": (EDITORS, EDITORS),
    "mlops_harvest_report": (EDITORS, EDITORS),
    "mlops_harvest_revert": (EDITORS, EDITORS),
    "mlops_plot_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_plot_show": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_preview_create": (EDITORS, EDITORS),
    "mlops_preview_show": (EDITORS, EDITORS),
    "mlops_experiment_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_experiment_show": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_leaderboard": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_lineage_coverage": (EVERYBODY, EVERYBODY),
    "mlops_lineage_diff": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_lineage_impact": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_lineage_path": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_lineage_show": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_link_create": (EDITORS, EDITORS),
    "mlops_link_create_many": (EDITORS, EDITORS),
    "mlops_link_delete": (EDITORS, EDITORS),
    "mlops_link_hint_accept": (EDITORS, EDITORS),
    "mlops_link_hint_dismiss": (EDITORS, EDITORS),
    "mlops_link_hint_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_link_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_link_show": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_link_target_list": (EDITORS | {"outsider"}, EDITORS | {"outsider"}),
    "mlops_link_update": (EDITORS, EDITORS),
    "mlops_mlflow_sync": ({"sysadmin"}, {"sysadmin"}),
    "mlops_model_lineage": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_model_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_organization_health": (EVERYBODY, EVERYBODY),
    "mlops_overview": (EVERYBODY, EVERYBODY),
    "mlops_profile_show": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_recipe_show": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_registration_create": (EDITORS | {"outsider"}, EDITORS | {"outsider"}),
    "mlops_registration_show": (ASKER, ASKER),
    "mlops_repository_metrics": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_ref_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_repository_show": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_repository_push": (EDITORS, EDITORS),
    "mlops_run_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_run_search": (EDITORS | {"outsider"}, EDITORS | {"outsider"}),
    "mlops_saved_search_create": (SIGNED_IN, SIGNED_IN),
    "mlops_saved_search_delete": ({"outsider", "sysadmin"}, {"outsider", "sysadmin"}),  # an outsider's search
    "mlops_saved_search_list": (SIGNED_IN, SIGNED_IN),
    "mlops_search_suggest": (EVERYBODY, EVERYBODY),
    "mlops_server_list": (SIGNED_IN, SIGNED_IN),
    "mlops_source_add": (EDITORS, EDITORS),
    "mlops_version_diff": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_version_list": (EVERYBODY, READERS_OF_PRIVATE),
    "mlops_version_show": (EVERYBODY, READERS_OF_PRIVATE),
}
#: To whom sees nothing of it there is no such repository.
HIDING = {
    "mlops_compare",
    "mlops_experiment_show",
    "mlops_model_lineage",
    "mlops_plot_list",
    "mlops_plot_show",
    "mlops_repository_metrics",
    "mlops_repository_show",
}
#: They take no arguments, and need no schema.
WITHOUT_ARGUMENTS = {"mlops_saved_search_list", "mlops_server_list"}


def actions():
    logic.get_action("package_show")  # fills the registry
    return {name for name in logic._actions if name.startswith("mlops_")}


def test_every_action_is_in_the_matrix():
    assert actions() == set(MATRIX)


@pytest.mark.parametrize("action", sorted(MATRIX))
def test_every_action_has_an_auth_function_a_schema_and_help(action):
    function = logic.get_action(action)
    assert action in authz.auth_functions_list()
    assert ":return" in (function.__doc__ or "") or action == "mlops_link_delete"
    names = set()
    while function is not None:
        names.add(function.__code__.co_qualname)
        function = getattr(function, "__wrapped__", None)
    validated = any(name.startswith("validate.") for name in names)
    assert validated != (action in WITHOUT_ARGUMENTS)


class World:
    """One dataset with a version and a link, and a harvest source; all of it private or all public."""

    def __init__(self, people, make_dataset, private):
        self.package = make_dataset(
            name="titanic",
            private=private,
            dvc_repository="https://example.org/o/r.git",
            resources=[{"name": "notes", "url": ""}],
        )
        # The address is refused before anything is read: whoever gets that far was allowed to.
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
        self.version = str(uuid.uuid4())
        facts = {"outs": [{"path": "x.csv", "hash": "a" * 32}]}
        row = {"id": self.version, "digest": "x", "commit": "c" * 40, "facts": facts}
        versions.store(model.Session(), self.package["id"], [row])
        revisions.store(
            model.Session(), self.source["id"], naming.repository_slug("https://example.org/o/r.git"), [
                {"kind": "branch", "name": "main", "commit": "c" * 40, "committed": "2026-01-01T00:00:00Z",
                 "plots": [{"name": "loss.csv", "files": ["loss.csv"]}]}
            ],
        )  # fmt: skip
        self.registration = str(uuid.uuid4())
        asker = people.editor.id
        facts = {"asked": {"url": "https://git.example/o/r"}}
        plans.write(
            model.Session(), self.registration, asker, "registration", user_id=asker, state="waiting", facts=facts
        )
        self.new_link("r1")
        model.Session.add_all(
            [
                Experiment(server="lab", experiment_id="1", name="survival"),
                Run(server="lab", run_id="r1", experiment_id="1", facts={}),
                RegisteredModel(server="lab", name="forest"),
                ModelVersion(server="lab", name="forest", version="1", run_id="r1"),
            ]
        )
        model.Session.commit()

    def arguments(self, action):
        package = {"id": self.package["id"]}
        return {
            "mlops_access_decide": {
                "id": self.new_request() if action == "mlops_access_decide" else "",
                "grant": False,
            },
            "mlops_content_find": {"hash": "a" * 32},
            "mlops_dataset_load": {"datasets": []},
            "mlops_dataset_register": {"id": self.registration},
            "mlops_registration_create": {"url": "https://git.example/o/r"},
            "mlops_registration_show": {"id": self.registration},
            "mlops_field_restore": package | {"field": "title"},
            "mlops_field_take": package | {"field": "title"},
            "mlops_harvest_approve": {"id": self.job},
            "mlops_harvest_preview": {"id": self.source["id"]},
            "mlops_harvest_reject": {"id": self.job},
            "mlops_harvest_report": {"id": self.job},
            "mlops_harvest_revert": {"id": self.job},
            "mlops_preview_create": {"id": self.source["id"]},
            "mlops_preview_show": {"id": self.source["id"]},
            "mlops_experiment_show": {"server": "lab", "name": "1"},
            "mlops_lineage_coverage": {"id": "lab"},
            "mlops_lineage_diff": package | {"before": "2026-01-01"},
            "mlops_lineage_path": {"start": self.package["id"], "end": self.package["id"]},
            "mlops_link_create": package | {"server": "nowhere", "target": "x"},
            "mlops_link_create_many": {"links": json.dumps([package | {"server": "nowhere", "target": "x"}])},
            "mlops_link_delete": {"id": self.new_link() if action == "mlops_link_delete" else ""},
            "mlops_link_hint_accept": {"id": self.new_hint() if action == "mlops_link_hint_accept" else ""},
            "mlops_link_hint_dismiss": {"id": self.new_hint() if action == "mlops_link_hint_dismiss" else ""},
            "mlops_link_show": {"id": self.new_link() if action == "mlops_link_show" else ""},
            "mlops_link_update": {"id": self.new_link() if action == "mlops_link_update" else ""},
            "mlops_model_lineage": {"server": "lab", "name": "forest"},
            "mlops_link_target_list": {"server": "nowhere", "kind": "experiment"},
            "mlops_run_search": {"server": "nowhere"},
            "mlops_mlflow_sync": {},
            "mlops_organization_health": {"id": "lab"},
            "mlops_overview": {},
            "mlops_compare": {"things": [self.version]},
            "mlops_plot_list": {"id": naming.repository_slug("https://example.org/o/r.git")},
            "mlops_plot_show": {"id": naming.repository_slug("https://example.org/o/r.git"), "plot": "loss.csv"},
            "mlops_profile_show": package | {"path": "x.csv"},
            "mlops_repository_show": {"id": naming.repository_slug("https://example.org/o/r.git")},
            "mlops_repository_metrics": {"id": naming.repository_slug("https://example.org/o/r.git")},
            "mlops_repository_push": {"id": self.source["id"], "records": {"schema": "ckan-mlops/read/1"}},
            "mlops_saved_search_create": {"query": "q=titanic"},
            "mlops_saved_search_delete": {"id": self.new_search() if action == "mlops_saved_search_delete" else ""},
            "mlops_saved_search_list": {},
            "mlops_search_suggest": {"q": "ti"},
            "mlops_server_list": {},
            "mlops_file_append": {"id": self.package["resources"][0]["id"], "key": "x", "size": 1},
            "mlops_file_diff": {"before": self.version, "after": self.version},
            "mlops_source_add": package | {"dataset": "nothing"},
            "mlops_version_diff": {"before": self.version, "after": self.version},
            "mlops_version_show": {"id": self.version},
        }.get(action, package)

    def new_request(self):
        user = model.User.get("outsider")
        request = AccessRequest(
            id=str(uuid.uuid4()), package_id=self.package["id"], user_id=user.id, reason="", answer=""
        )
        model.Session.add(request)
        model.Session.commit()
        return request.id

    def new_search(self):
        user = model.User.get("outsider")
        search = SavedSearch(id=str(uuid.uuid4()), user_id=user.id, query=uuid.uuid4().hex, name="x", mail=False)
        model.Session.add(search)
        model.Session.commit()
        return search.id

    def new_link(self, target=""):
        return self._new(Link, target)

    def new_hint(self):
        return self._new(LinkHint, state="candidate")

    def _new(self, table, target="", **values):
        row = table(
            id=str(uuid.uuid4()),
            package_id=self.package["id"],
            server="lab",
            kind="run",
            target=target or str(uuid.uuid4()),
            relation="used",
            created=datetime.datetime(2026, 1, 1),  # noqa: DTZ001 naive UTC, as CKAN stores it
            **values,
        )
        model.Session.add(row)
        model.Session.commit()
        return row.id


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_the_matrix(people, make_dataset, of_source, api, refused, private):
    """All in one test: the catalog is the same, and a wrong cell names itself."""
    world = World(people, make_dataset, private)
    of_source(world.package, world.source["id"])
    wrong = []
    for action, allowed in MATRIX.items():
        for role, person in people.all().items():
            try:
                api(action, person, **world.arguments(action))
                answer = "allowed"
            except refused as error:
                # "Not found" would be as good a refusal, but these ids exist: it must be a clear one.
                refusals = (403, 404) if action in HIDING else (403,)
                answer = "refused" if error.status in refusals else "allowed" if error.status == 409 else str(error)
            expected = "allowed" if role in allowed[private] else "refused"
            if answer != expected:
                wrong.append(f"{action} as {role}: {answer}, expected {expected}")
    assert wrong == []


@pytest.mark.parametrize(
    "action",
    sorted(
        set(MATRIX)
        - {"mlops_content_find", "mlops_registration_create"}
        - {"mlops_dataset_load", "mlops_link_create_many", "mlops_mlflow_sync", "mlops_overview"}
        - {"mlops_link_target_list", "mlops_run_search", "mlops_search_suggest", "mlops_server_list"}
        - {"mlops_saved_search_create", "mlops_saved_search_list"}
    ),
)
def test_what_does_not_exist_is_not_found(people, api, refused, action):
    nothing = {"id": "nothing-of-that-name", "name": "nothing-of-that-name", "before": "x", "after": "x"}
    more = {
        "field": "x",
        "grant": True,
        "records": "x",
        "path": "x",
        "start": "x",
        "end": "x",
        "plot": "x",
        "things": "x",
        "dataset": "x",
        "key": "x",
        "size": 1,
    }
    with pytest.raises(refused) as caught:
        api(action, people.sysadmin, server="lab", target="x", **more, **nothing)
    assert caught.value.status == 404
