"""The version store, its actions and its pages."""

from __future__ import annotations

import uuid

import pytest
from ckan import model
from ckan.plugins import toolkit as tk

from ckanext.mlops.core.records import Dependency, Metric, Output, Param, Stage, to_dict
from ckanext.mlops.model import Version, versions

NOW = tk.h.date_str_to_datetime("2026-11-24T10:00:00")
LATER = tk.h.date_str_to_datetime("2026-11-25T10:00:00")


def stage(depth=5, accuracy=0.8, command="python train.py", state="in-git", out="a" * 32):
    values = {"accuracy": accuracy, "by": {"class": [1, 2]}} if state == "in-git" else None
    return Stage(
        address="train",
        file="dvc.yaml",
        name="train",
        command=command,
        deps=(
            Dependency("data/train.csv", hash="d" * 32),
            Dependency("x.csv", kind="url", source="https://example.com/x"),
        ),
        outs=(
            Output("model.pkl", hash=out, algorithm="md5", size=2048, kind="model", storage="s3://b/files/md5/aa/a"),
        ),
        params=(Param("params.yaml", "train.depth", depth), Param("other.json", "seed", 1)),
        metrics=(Metric("scores.json", state, values),),
    )


def row(name, day, record, refs=(), current=False, position=0):
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "digest": name,
        "commit": (name * 40)[:40],
        "committed": f"2026-01-{day:02}T12:00:00+02:00",
        "author": "Ada <b>",
        "message": f"Commit {name}\n\n<script>alert(1)</script>",
        "refs": [{"name": ref, "kind": kind, "commit": (name * 40)[:40]} for ref, kind in refs],
        "facts": to_dict(record),
        "current": current,
        "position": position,
    }


@pytest.fixture
def history():
    return [
        row("c", 3, stage(depth=7, accuracy=0.85, out="c" * 32), [("main", "branch")], current=True, position=3),
        row("b", 2, stage(depth=5, accuracy=0.8, command="python old.py"), [("baseline", "tag")], position=2),
        row("a", 1, stage(state="not-in-git", out="f" * 32), [], position=1),
    ]


@pytest.fixture
def titanic(make_dataset, history):
    package = make_dataset(name="titanic", dvc_repository="https://github.com/o/titanic", dvc_stage="train")
    versions.store(model.Session(), package["id"], history, NOW)
    model.Session.commit()
    return package


def states(package):
    return [
        (v.digest, v.current, len(v.refs), v.first_seen, v.last_seen)
        for v in versions.page(model.Session(), [package["id"]], 10)
    ]


class TestStore:
    def test_newest_first_in_utc(self, titanic):
        found = versions.page(model.Session(), [titanic["id"]], 10)
        assert [version.digest for version in found] == ["c", "b", "a"]
        assert found[0].committed.isoformat() == "2026-01-03T10:00:00"

    def test_storing_twice_changes_nothing_but_last_seen(self, titanic, history):
        versions.store(model.Session(), titanic["id"], history, LATER)
        assert states(titanic) == [("c", True, 1, NOW, LATER), ("b", False, 1, NOW, LATER), ("a", False, 0, NOW, LATER)]

    def test_what_is_not_given_any_more_stays_without_refs(self, titanic, history):
        versions.store(model.Session(), titanic["id"], history[1:], LATER)
        assert states(titanic)[0] == ("c", False, 0, NOW, NOW)

    def test_nothing_given_keeps_everything(self, titanic):
        versions.store(model.Session(), titanic["id"], [], LATER)
        assert [state[:3] for state in states(titanic)] == [("c", False, 0), ("b", False, 0), ("a", False, 0)]

    def test_other_datasets_are_left_alone(self, titanic, make_dataset):
        other = make_dataset(name="other")
        versions.store(model.Session(), other["id"], [row("z", 1, stage())], LATER)
        assert len(states(titanic)) == 3
        assert len(states(other)) == 1

    def test_nothing_is_committed(self, titanic, make_dataset):
        versions.store(model.Session(), titanic["id"], [row("z", 9, stage())], LATER)
        model.Session.rollback()
        assert [state[0] for state in states(titanic)] == ["c", "b", "a"]

    def test_a_thousand_versions_at_once(self, make_dataset):
        package = make_dataset(name="long")
        rows = [row(f"n{number}", 1, Stage("x", "dvc.yaml", "x"), position=number) for number in range(1200)]
        versions.store(model.Session(), package["id"], rows, NOW)
        assert versions.count(model.Session(), [package["id"]]) == 1200
        assert versions.page(model.Session(), [package["id"]], 1)[0].position == 1199

    def test_purging_a_dataset_forgets_its_rows(self, titanic, people, api, make_dataset):
        make_dataset(name="child", derived_from=[{"dataset": "titanic"}])
        api("package_patch", people.editor, id="titanic", derived_from=[{"url": "https://example.com/x"}])
        for name in ("titanic", "child"):
            api("dataset_purge", people.sysadmin, id=name)
        from ckanext.mlops.model import Edge, Link

        assert [model.Session.query(table).count() for table in (Version, Edge, Link)] == [0, 0, 0]

    def test_deleting_a_dataset_keeps_them(self, titanic, people, api):
        api("package_delete", people.editor, id="titanic")
        assert len(states(titanic)) == 3


class TestActions:
    def test_list(self, titanic, api):
        answer = api("mlops_version_list", id="titanic", limit=2)
        assert answer["count"] == 3
        assert [each["commit"][0] for each in answer["results"]] == ["c", "b"]
        first = answer["results"][0]
        assert first["committed"] == "2026-01-03T10:00:00Z"
        assert first["refs"] == [{"name": "main", "kind": "branch", "commit": "c" * 40}]
        assert first["facts"]["command"] == "python train.py"
        assert first["url"].endswith(f"/dataset/{titanic['id']}/versions/{first['id']}")
        assert [each["commit"][0] for each in api("mlops_version_list", id="titanic", offset=2)["results"]] == ["a"]

    def test_show_says_what_changed(self, titanic, api, history):
        shown = api("mlops_version_show", id=history[0]["id"])
        assert shown["previous"] == history[1]["id"]
        assert shown["changes"] == {
            "address": None,
            "command": {"before": "python old.py", "after": "python train.py"},
            "inputs": [],
            "outputs": [{"name": "model.pkl", "before": "a" * 32, "after": "c" * 32}],
            "params": [{"name": "train.depth", "before": 5, "after": 7, "delta": 2}],
            "metrics": [{"name": "accuracy", "before": 0.8, "after": 0.85, "delta": pytest.approx(0.05)}],
        }

    def test_the_oldest_has_nothing_before_it(self, titanic, api, history):
        shown = api("mlops_version_show", id=history[2]["id"])
        assert (shown["previous"], shown["changes"]) == (None, None)

    @pytest.mark.parametrize("action", ["mlops_version_list", "mlops_version_show"])
    def test_unknown(self, clean, api, refused, action):
        with pytest.raises(refused) as caught:
            api(action, id="nothing")
        assert (caught.value.status, caught.value.kind) == (404, "Not Found Error")

    @pytest.mark.parametrize(
        "values", [{}, {"id": "x", "limit": 0}, {"id": "x", "offset": -1}, {"id": "x", "limit": "a"}]
    )
    def test_bad_requests(self, clean, api, refused, values):
        with pytest.raises(refused) as caught:
            api("mlops_version_list", **values)
        assert caught.value.kind == "Validation Error"


class TestPages:
    def test_the_list(self, titanic, page):
        body = page("/dataset/titanic/versions", status=200).body
        assert "3 distinct states" in body
        assert "Versions (3)" in body, "the tab counts them"
        assert body.index("main") < body.index("baseline")
        assert "0.85" in body
        assert "not in Git, remote unreachable" in body
        assert "https://github.com/o/titanic/commit/" + "c" * 40 in body
        assert "<script>alert" not in body
        assert "Ada &lt;b&gt;" in body

    def test_a_version(self, titanic, page, history):
        body = page(f"/dataset/titanic/versions/{history[0]['id']}", status=200).body
        for text in ("python old.py", "train.depth", "other.json:seed", "s3://b/files/md5/aa/a", "+0.05", "c" * 32):
            assert text in body, text
        assert "<script>alert" not in body

    def test_the_oldest_version(self, titanic, page, history):
        body = page(f"/dataset/titanic/versions/{history[2]['id']}", status=200).body
        assert "oldest version that is known" in body
        assert "not in Git, remote unreachable" in body

    def test_pages_of_many(self, make_dataset, page):
        package = make_dataset(name="long")
        rows = [row(f"n{number}", 1, stage(depth=number), position=number) for number in range(60)]
        versions.store(model.Session(), package["id"], rows, NOW)
        model.Session.commit()
        first = page("/dataset/long/versions", status=200).body
        assert "page=2" in first
        assert "first known" not in first
        last = page("/dataset/long/versions?page=3", status=200).body
        assert "page=2" in last
        assert "page=4" not in last
        assert "first known" in last
        assert "no versions on this page" in page("/dataset/long/versions?page=99", status=200).body

    def test_no_versions(self, make_dataset, page):
        make_dataset(name="plain")
        assert "no versions of it are known" in page("/dataset/plain/versions", status=200).body

    def test_unknown_and_foreign_versions(self, titanic, make_dataset, page, history):
        make_dataset(name="other")
        page("/dataset/nothing/versions", status=404)
        page("/dataset/titanic/versions/nothing", status=404)
        page(f"/dataset/other/versions/{history[0]['id']}", status=404)

    def test_facts_of_a_later_release_do_not_break_the_pages(self, make_dataset, page):
        package = make_dataset(name="odd")
        odd = row("z", 1, stage()) | {"facts": {"outs": None, "params": [1, {"key": "x"}], "metrics": "?", "new": {}}}
        versions.store(model.Session(), package["id"], [odd], NOW)
        model.Session.commit()
        page("/dataset/odd/versions", status=200)
        page(f"/dataset/odd/versions/{odd['id']}", status=200)
