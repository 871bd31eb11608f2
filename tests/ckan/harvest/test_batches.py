"""Batches: many datasets in one transaction are what each would be alone, and one bad one fails alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import logic, model
from ckan import plugins as p
from ckan.lib import search
from ckan.plugins import core
from ckan.plugins import toolkit as tk
from ckan.tests import helpers
from ckanext.activity.model import Activity
from ckanext.harvest import queue
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestObjectError, HarvestSource

from ckanext.mlops.harvesting import apply, batches, memory
from ckanext.mlops.logic import creating, shown, updating


def pipeline(stages: int) -> tuple[str, str]:
    """A dvc.yaml and a dvc.lock of ``stages`` stages, each with one output."""
    text, lock = ["stages:"], ["schema: '2.0'", "stages:"]
    for number in range(stages):
        text += [f"  s{number:02}:", "    cmd: run", "    outs:", f"    - out{number:02}.csv"]
        lock += [
            f"  s{number:02}:", "    cmd: run", "    outs:", f"    - path: out{number:02}.csv", "      hash: md5",
            f"      md5: {number:032x}", "      size: 1",
        ]  # fmt: skip
    return "\n".join(text) + "\n", "\n".join(lock) + "\n"


@pytest.fixture
def many(repo: Any) -> Any:
    """A project of 25 stages at one revision."""
    repo.git("tag", "--delete", "v1")
    text, lock = pipeline(25)
    repo.git("rm", "--quiet", "-r", ".")
    repo.write("dvc.yaml", text)
    repo.write("dvc.lock", lock)
    repo.commit("Many stages")
    return repo


def activities() -> dict[str, list[Any]]:
    rows = model.Session.scalars(sa.select(Activity).order_by(Activity.timestamp))
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.object_id, []).append((row.activity_type, row.user_id, row.data, row.permission_labels))
    return found


def without(value: Any, *names: str) -> Any:
    if isinstance(value, dict):
        return {key: without(item, *names) for key, item in value.items() if key not in names}
    return [without(item, *names) for item in value] if isinstance(value, (list, tuple)) else value


TIMES = ("metadata_created", "metadata_modified", "created", "id", "indexed_ts", "timestamp", "_version_")


def state_of(package_id: str) -> Any:
    """All that CKAN keeps of a dataset: what it shows, what it indexed, its activities."""
    page = helpers.call_action("package_show", {"use_cache": False}, id=package_id)
    document = search.show(package_id)
    for key in ("data_dict", "validated_data_dict"):
        document[key] = without(json.loads(document[key]), *TIMES, "harvest_object_id", "extras")
    document = without({k: v for k, v in document.items() if "harvest" not in k}, *TIMES)
    stream = [without(each, *TIMES, "extras") for each in activities()[package_id]]
    members = model.Session.execute(
        sa.select(model.Member.group_id, model.Member.capacity, model.Member.state).where(
            model.Member.table_id == package_id
        )
    ).all()
    views = [without(helpers.call_action("resource_view_list", id=each["id"]), *TIMES) for each in page["resources"]]
    return without(page, *TIMES), document, stream, (sorted(tuple(row) for row in members), views)


def test_a_batch_writes_what_ckan_writes_one_by_one(
    repo: Any, source: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tk.config, "ckan.views.default_views", ["mlops_lineage_view"])
    for name in ("vision", "speech"):
        helpers.call_action("group_create", {"user": "root", "ignore_auth": True}, name=name, title=name.title())
    source(repo.path, tags_added=["training", "a tag"], groups_added=["vision", "speech"])
    assert creating.possible()
    harvest()
    contents = model.Session.scalars(sa.select(HarvestObject.content).where(HarvestObject.current)).all()
    packages = [apply._filled(memory.dataset_of(content).package) for content in contents]
    batched = {package["id"]: state_of(package["id"]) for package in packages}
    for package in packages:
        helpers.call_action("dataset_purge", {"user": "root"}, id=package["id"])
    model.Session.execute(sa.delete(Activity))
    model.Session.commit()
    user = helpers.call_action("get_site_user")["name"]
    for package in sorted(packages, key=lambda each: len(each.get("derived_from") or ())):
        tk.get_action("package_create")({"user": user, "ignore_auth": True}, package)
    # Versions and lineage are the harvest's own tables; Solr fields of them are not CKAN's.
    for package_id, (page, document, stream, members) in batched.items():
        alone = state_of(package_id)
        assert page == alone[0]
        # A view that comes with its file is no event of its own in a batch.
        assert stream == [each for each in alone[2] if each[0] != "new resource view"]
        assert members == alone[3]
        assert all(members[1])
        kept = {key for key in alone[1] if not key.startswith(("mlops", "vocab_", "num_")) and key != "text"}
        assert {key: document.get(key) for key in kept} == {key: alone[1][key] for key in kept}


class Chaining(p.SingletonPlugin):
    """An extension that has its own mind about datasets."""

    p.implements(p.IActions)

    def get_actions(self) -> Any:
        @tk.chained_action
        def package_create(next_action: Any, context: Any, data_dict: Any) -> Any:
            return next_action(context, {**data_dict, "version": "chained"})

        @tk.chained_action
        def package_update(next_action: Any, context: Any, data_dict: Any) -> Any:
            return next_action(context, {**data_dict, "version": "chained again"})

        return {"package_create": package_create, "package_update": package_update}


def test_an_extension_that_chains_the_action_is_asked(
    repo: Any, source: Any, harvest: Any, show: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chaining = Chaining()
    chaining.name = "chaining"
    monkeypatch.setitem(core._PLUGINS_SERVICE, "chaining", chaining)
    logic.clear_actions_cache()
    try:
        assert not creating.possible()
        source(repo.path)
        harvest()
        train = show("titanic-train")
        assert train["version"] == "chained"
        assert [each[0] for each in activities()[train["id"]]] == ["new package"]
        repo.edit("dvc.lock", train["resources"][0]["hash"], "0" * 32)
        repo.commit("A better model")
        assert not updating.possible(train)
        harvest()
        assert show("titanic-train")["version"] == "chained again"
        assert [each[0] for each in activities()[train["id"]]] == ["new package", "changed package"]
    finally:
        logic.clear_actions_cache()


def test_an_update_in_a_batch_writes_what_ckan_writes(repo: Any, source: Any, harvest: Any, show: Any) -> None:
    source(repo.path)
    harvest()
    train = show("titanic-train")
    repo.edit("dvc.lock", train["resources"][0]["hash"], "0" * 32)
    repo.commit("A better model")
    assert harvest().counts()["changed"] == 1
    page, document, stream, _ = state_of(train["id"])
    assert page["resources"][0]["hash"] == "0" * 32
    assert document["validated_data_dict"]["resources"][0]["hash"] == "0" * 32
    assert [each[0] for each in stream] == ["new package", "changed package"]
    assert stream[1][2]["package"]["resources"][0]["hash"] == "0" * 32


def test_a_batch_updates_as_ckan_does_one_by_one(
    repo: Any, source: Any, harvest: Any, show: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    helpers.call_action("group_create", {"user": "root", "ignore_auth": True}, name="vision", title="Vision")
    source(repo.path, tags_added=["training"])
    harvest()
    train = show("titanic-train")
    by_hand = {"name": "By hand", "url": "https://example.org/by-hand", "description": "Kept"}
    helpers.call_action("resource_create", {"user": "root"}, package_id=train["id"], **by_hand)
    before = shown.page(train["id"])
    assert updating.possible(before)
    repo.edit("dvc.lock", train["resources"][0]["hash"], "0" * 32)
    repo.commit("A better model")
    harvested = model.Session.get_one(HarvestSource, show("titanic")["id"])
    harvested.config = json.dumps({"tags_added": ["new"], "groups_added": ["vision"]})
    model.Session.commit()
    assert harvest().counts()["changed"] == 3
    batched = state_of(train["id"])
    assert [each["name"] for each in batched[0]["groups"]] == ["vision"]
    # The same update by CKAN's own action, of the dataset as it was.
    user = helpers.call_action("get_site_user")["name"]
    wanted = shown.page(train["id"])
    helpers.call_action("package_update", {"user": user}, **before)
    model.Session.execute(sa.delete(Activity).where(Activity.object_id == train["id"]))
    model.Session.commit()
    helpers.call_action("package_update", {"user": user}, **wanted)
    alone = state_of(train["id"])
    assert batched[0] == alone[0]
    assert batched[1] == alone[1]
    assert batched[2][-1] == alone[2][-1]
    assert batched[3] == alone[3]


class Watcher(p.SingletonPlugin):
    """Another extension's view of what happens to datasets."""

    p.implements(p.IPackageController, inherit=True)
    p.implements(p.IDomainObjectModification, inherit=True)
    seen: list[tuple[str, str]] = []

    def after_dataset_create(self, context: Any, pkg_dict: Any) -> None:
        self.seen.append(("create", pkg_dict["name"]))

    def after_dataset_update(self, context: Any, pkg_dict: Any) -> None:
        self.seen.append(("update", pkg_dict["name"]))

    def before_dataset_index(self, pkg_dict: Any) -> Any:
        self.seen.append(("index", pkg_dict["name"]))
        return pkg_dict

    def notify(self, entity: Any, operation: Any) -> None:
        if isinstance(entity, model.Package):
            self.seen.append((str(operation), entity.name))


def test_other_extensions_see_every_dataset(
    many: Any, source: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(many.path)
    watcher = Watcher()
    watcher.name = "watcher"
    monkeypatch.setitem(core._PLUGINS_SERVICE, "watcher", watcher)
    Watcher.seen.clear()
    harvest()
    seen = {kind: {name for what, name in Watcher.seen if what == kind} for kind in ("create", "index", "new")}
    assert [len(names) for names in seen.values()] == [25, 25 + 1, 25]  # the source itself is indexed at the end


def test_one_that_ckan_refuses_fails_alone(
    many: Any, source: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(many.path)
    free = apply._free_name

    def spoiled(dataset: Any, taken: set[str]) -> str:
        return "NO NAME" if dataset.package["dvc_stage"] in ("s03", "s11") else free(dataset, taken)

    monkeypatch.setattr(apply, "_free_name", spoiled)
    report = harvest()
    assert report.counts() == {"added": 23, "changed": 0, "unchanged": 0, "retired": 0, "failed": 2, "problems": 0}
    [first, _] = [each for each in report.results if each.kind == "failed"]
    assert "CKAN does not accept the dataset" in first.reason
    assert helpers.call_action("package_search", fq="dataset_type:dataset")["count"] == 23
    assert model.Session.query(HarvestObjectError).count() == 2


def test_many_that_are_refused_do_not_stop_the_others(
    many: Any, source: Any, harvest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(many.path)
    free = apply._free_name

    def spoiled(dataset: Any, taken: set[str]) -> str:
        return "NO NAME" if int(dataset.package["dvc_stage"][1:]) % 2 else free(dataset, taken)

    monkeypatch.setattr(apply, "_free_name", spoiled)
    counts = harvest().counts()
    assert (counts["added"], counts["failed"]) == (13, 12)


def test_the_queue_gets_few_messages_and_every_object_its_state(
    many: Any, source: Any, show: Any, consume: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "SIZE", 4)
    monkeypatch.setattr(batches, "LANES", 2)
    monkeypatch.setattr(batches.run, "__kwdefaults__", {**batches.run.__kwdefaults__, "size": 4})
    source(many.path)
    source_id = show("titanic")["id"]
    job = helpers.call_action("harvest_job_create", {"user": "root"}, source_id=source_id, run=True)
    consume("gather")
    states = sa.select(HarvestObject.state, sa.func.count()).group_by(HarvestObject.state)
    assert dict(model.Session.execute(states).all()) == {"WAITING": 2, "PLANNED": 23}
    model.Session.rollback()
    messages = consume("fetch")
    assert messages == 7
    helpers.call_action("harvest_jobs_run", {"user": "root"}, source_id=source_id)
    ended = helpers.call_action("harvest_job_show", {"user": "root"}, id=job["id"])
    assert ended["status"] == "Finished"
    assert ended["stats"] == {"added": 25, "updated": 0, "not modified": 0, "errored": 0, "deleted": 0}
    assert {each.import_finished is not None for each in model.Session.query(HarvestObject)} == {True}
    assert helpers.call_action("package_search", fq="dataset_type:dataset")["count"] == 25


def test_jobs_take_turns(many: Any, source: Any, show: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a big job waits behind what came into the queue meanwhile."""
    monkeypatch.setattr(batches, "SIZE", 4)
    monkeypatch.setattr(batches, "LANES", 1)
    monkeypatch.setattr(batches.run, "__kwdefaults__", {**batches.run.__kwdefaults__, "size": 4})
    source(many.path)
    helpers.call_action("harvest_job_create", {"user": "root"}, source_id=show("titanic")["id"], run=True)
    gathering = queue.get_gather_consumer()
    queue.gather_callback(gathering, *gathering.basic_get(queue=None))
    fetching = queue.get_fetch_consumer()
    first = fetching.basic_get(queue=None)
    queue.get_fetch_publisher().send({"harvest_object_id": "of-another-source"})
    queue.fetch_callback(fetching, *first)
    waiting = [
        json.loads(each)["harvest_object_id"] for each in queue.get_connection().lrange(fetching.routing_key, 0, -1)
    ]
    assert waiting[0] == "of-another-source"
    assert len(waiting) == 2


def test_a_finished_job_is_no_more_worked_on(many: Any, source: Any, show: Any, consume: Any) -> None:
    source(many.path)
    job = helpers.call_action("harvest_job_create", {"user": "root"}, source_id=show("titanic")["id"], run=True)
    consume("gather")
    helpers.call_action("harvest_job_abort", {"user": "root"}, id=job["id"])
    consume("fetch")
    assert helpers.call_action("package_search", fq="dataset_type:dataset")["count"] == 0
    assert model.Session.get(HarvestJob, job["id"]).status == "Finished"
