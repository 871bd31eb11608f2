"""Models, experiments and leaderboards lead to versions of datasets; what the reader may not see has no name."""

from __future__ import annotations

import json

import pytest
from bs4 import BeautifulSoup
from ckan import model

from ckanext.mlops.model import Version, versions


def lineage(api, person=None):
    return api("mlops_model_lineage", person, server="lab", name="forest")


def test_a_model_says_which_version_it_was_trained_on_and_how_old_that_is(world, api):
    first = lineage(api)["versions"][-1]
    assert first["aliases"] == ["champion"]
    [data] = first["datasets"]
    assert (data["name"], data["relation"], data["version"]["label"]) == ("titanic", "trained_on", "v1.2")
    fresh = data["freshness"]
    assert (fresh["current"]["label"], fresh["fresh"], fresh["files"]) == ("v1.4", False, ["b.csv", "c.csv", "d.csv"])


def test_a_dataset_that_goes_on_as_another_one_is_followed_as_far_as_the_reader_may_see(
    world, api, page, people, make_dataset
):
    """A renamed stage has a dataset of its own; what its newest version is decides whether a model is up to date."""
    secret = make_dataset(name="survivors-secret", title="Secret survivors", private=True, dvc_moved_from=world.titanic)
    survivors = make_dataset(
        name="survivors", title="Survivors", dvc_moved_from=world.titanic, dvc_moved_to=secret["id"]
    )
    api("package_patch", people.sysadmin, id=world.titanic, dvc_moved_to=survivors["id"])
    session = model.Session()
    outs = session.get(Version, world.new).facts["outs"]
    for dataset, label in ((survivors, "v2.0"), (secret, "v3.0")):
        refs = [{"name": label, "kind": "tag", "commit": "d" * 40}]
        row = {
            "id": f"{label}-of-survivors",
            "digest": label,
            "commit": "d" * 40,
            "facts": {"outs": outs},
            "refs": refs,
        }
        versions.store(session, dataset["id"], [{**row, "current": True}])
    session.commit()
    told = lineage(api)["versions"][-1]["datasets"][0]["freshness"]
    assert (told["current"]["label"], told["goes_on_as"]["name"]) == ("v2.0", "survivors")
    told = lineage(api, people.member)["versions"][-1]["datasets"][0]["freshness"]
    assert (told["current"]["label"], told["goes_on_as"]["name"]) == ("v3.0", "survivors-secret")
    body = page("/mlflow/lab/models/forest", people.anonymous).body
    assert "trained on v1.2 of Titanic; current is v2.0 of Survivors: 3 files differ" in " ".join(body.split())
    assert "Secret survivors" not in body
    address = f"/dataset/survivors/versions/compare?before={world.old}&amp;after=v2.0-of-survivors"
    assert address in body
    assert page(address.replace("&amp;", "&"), people.anonymous).status_code == 200


def test_the_model_page_says_it_in_a_sentence(world, page, people):
    body = page("/mlflow/lab/models/forest", people.anonymous).body
    assert "trained on v1.2 of Titanic; current is v1.4: 3 files differ" in " ".join(body.split())
    assert "fresh: the data is still that of the current version" in body
    assert f"/dataset/titanic/versions/compare?before={world.old}&amp;after={world.new}" in body


def test_a_folder_is_counted_by_its_files_where_they_are_listed_and_else_as_a_folder(world, api, page):
    """DVC keeps the list of a folder's files in the storage; that of a cloud-versioned folder is in the repository."""

    def outs(listed, folder):
        extra = {"files": [[name, digest, 1] for name, digest in listed.items()]}
        return [
            {"path": "images", "is_dir": True, "hash": "x.dir", "nfiles": len(listed), "extra": extra},
            {"path": "texts", "is_dir": True, "hash": folder, "nfiles": 9},
            {"path": "a.csv", "hash": folder},
        ]

    session = model.Session()
    for version, facts in (
        (world.old, outs({"1.png": "1", "2.png": "2"}, "1.dir")),
        (world.new, outs({"1.png": "1", "3.png": "2"}, "2.dir")),
    ):
        session.get(Version, version).facts = {"outs": facts}
    session.commit()
    fresh = lineage(api)["versions"][-1]["datasets"][0]["freshness"]
    assert (fresh["differ"], fresh["folders"]) == (3, 1)
    assert fresh["files"] == ["a.csv", "images/2.png", "images/3.png", "texts/"]
    body = page("/mlflow/lab/models/forest").body
    assert "current is v1.4: 3 files differ, 1 folder differs" in " ".join(body.split())


def test_a_relation_is_said_once_where_run_and_experiment_are_linked(world, api, page):
    for relation in ("trained_on", "used"):
        world.link(world.titanic, "7", relation, kind="experiment", origin="asserted", evidence={})
    runs = {run["run_id"]: run for run in api("mlops_run_list", id="titanic")["results"]}
    assert [(tie["kind"], tie["relation"], tie["version_label"]) for tie in runs["r1"]["ties"]] == [
        ("run", "trained_on", "v1.2")
    ]
    # What the experiment alone ties is told by its links.
    assert {(tie["kind"], tie["relation"]) for tie in runs["r2"]["ties"]} == {
        ("experiment", "trained_on"),
        ("experiment", "used"),
    }
    rows = BeautifulSoup(page("/dataset/titanic/experiments?version=all").body, "html.parser").select("tr")
    [row] = [row for row in rows if "run r1" in row.text]
    assert len(row.select(".mlops-tie")) == 1


def test_runs_side_by_side_are_drawn_as_parallel_coordinates(world, page):
    for number in (1, 2, 3):
        world.run(f"p{number}", {"metrics": {"acc": number / 4, "loss": 1 / number}, "params": {"depth": f"{number}"}})
        world.link(world.titanic, f"p{number}", "trained_on", world.old)
    world.run("words", {"metrics": {"acc": 0.1, "loss": "NaN"}, "params": {"depth": "deep"}})
    world.link(world.titanic, "words", "trained_on", world.old)
    query = "&".join(f"run=lab:{run}" for run in ("p1", "p2", "p3", "words"))
    soup = BeautifulSoup(page(f"/dataset/titanic/compare?{query}").body, "html.parser")
    [drawn] = [svg for svg in soup.select("svg") if len(svg.select("path")) > 1]
    lines = {path.get_text(strip=True): path["d"] for path in drawn.select("path")}
    assert set(lines) == {"run p1", "run p2", "run p3"}  # what lacks a number has no line
    assert all(line.count(" L") == 2 for line in lines.values())  # acc, loss and depth
    assert len(set(lines.values())) == 3
    assert {"acc", "loss", "depth"} <= set(drawn.get_text(" ", strip=True).split())


def test_a_dataset_that_the_reader_may_not_see_is_a_count(world, api, page, people, refused):
    hidden = lineage(api, people.outsider)["versions"][1]
    assert (hidden["version"], hidden["datasets"], hidden["hidden"], hidden["run"]) == ("2", [], 1, None)
    seen = lineage(api, people.member)["versions"][1]
    assert [data["name"] for data in seen["datasets"]] == ["secret-passengers"]
    for address in ("/mlflow/lab/models/forest", "/mlflow/lab/experiments/7", "/mlflow/models", "/mlflow/experiments"):
        for form in ("", "?format=json", "?format=csv"):
            body = page(address + form, people.outsider).body
            assert "ecret" not in body.replace("secret_key", ""), address + form
        assert "you may not see" in page(address, people.outsider).body
    assert api("mlops_experiment_show", server="lab", name="7")["hidden"] == 1
    # Whoever sees none of the datasets does not learn that there is such a model.
    api("package_patch", people.editor, id="titanic", private=True)
    for action, name in (("mlops_model_lineage", "forest"), ("mlops_experiment_show", "7")):
        with pytest.raises(refused) as caught:
            api(action, people.outsider, server="lab", name=name)
        assert caught.value.status == 404
    assert (
        api("mlops_model_list", people.outsider)["count"] == api("mlops_experiment_list", people.outsider)["count"] == 0
    )


def test_an_experiment_lists_the_versions_that_its_runs_used(world, api):
    found = api("mlops_experiment_show", server="lab", name="7")["datasets"]
    assert {(each["name"], each["relation"], each["version"]["label"], each["runs"]) for each in found} == {
        ("titanic", "trained_on", "v1.2", 1),
        ("titanic", "evaluated_on", "v1.4", 1),
    }


def test_a_leaderboard_never_mixes_versions_or_what_was_done(world, api):
    world.run("r4", {"metrics": {"acc": 0.99}})
    world.link(world.titanic, "r4", "trained_on")  # of which version is not known
    world.run("r5", {"metrics": {"acc": 0.6, "loss": 0.2}})
    world.link(world.titanic, "r5", "trained_on", world.new)
    boards = api("mlops_leaderboard", id="titanic")["boards"]
    assert {
        (each["relation"], each["metric"], each["goal"], *(run["run_id"] for run in each["runs"])) for each in boards
    } == {
        ("evaluated_on", "acc", "max", "r3"),
        ("evaluated_on", "=cmd", "max", "r3"),
        ("trained_on", "acc", "max", "r5"),
        ("trained_on", "loss", "min", "r5"),
    }
    [old] = api("mlops_leaderboard", id="titanic", version=world.old)["boards"]
    assert [(run["run_id"], run["value"], run["models"][0]["aliases"]) for run in old["runs"]] == [
        ("r1", 0.8, ["champion"])
    ]


def test_the_tab_shows_the_runs_of_this_version_and_of_all(world, page):
    this, every = (page(f"/dataset/titanic/experiments{query}").body for query in ("", "?version=all"))
    assert "run r3" in this
    assert "run r1" not in this
    assert "run r1" in every
    assert "exact: hash" in this
    assert "run r2" not in every
    assert "/mlflow/lab/models/forest" in this


def test_runs_side_by_side_with_what_differs(world, page):
    body = page("/dataset/titanic/compare?run=lab:r1&run=lab:r3&run=lab:r2").body
    assert "run r1" in body
    assert "run r3" in body
    assert "run r2" not in body  # it belongs to the private dataset alone
    assert 'class="mlops-differs"' in body
    assert "<svg" in body


def test_versions_and_runs_are_compared_together(world, api):
    found = api("mlops_compare", things=[world.old, "lab:r1", "lab:r3"])
    assert [(each["kind"], each["label"]) for each in found["things"]] == [
        ("version", "v1.2"), ("run", "run r1"), ("run", "run r3")
    ]  # fmt: skip
    assert [each["label"] for each in found["things"][1]["datasets"]] == ["v1.2"]
    rows = {(row["group"], row["name"]): row for row in found["rows"]}
    assert rows["metrics", "acc"]["values"] == [None, 0.8, 0.7]
    # What a run read is told by the hashes of the versions that it is linked to.
    assert rows["inputs", "b.csv"]["values"] == [None, "1", "2"]
    assert rows["inputs", "b.csv"]["state"] == "differs"
    assert rows["inputs", "a.csv"]["state"] == "partly"
    assert found["rows"][0]["state"] == "differs"


def test_what_the_reader_may_not_see_is_missing_from_a_comparison(world, api, people, refused):
    things = [world.new, world.hidden, "lab:r2", "lab:none", "none"]
    found = api("mlops_compare", people.outsider, things=things)
    assert found["missing"] == things[1:]
    assert "ecret" not in json.dumps(found)
    assert api("mlops_compare", people.member, things=things)["missing"] == things[3:]
    with pytest.raises(refused) as caught:
        api("mlops_compare", people.outsider, things=[world.hidden, "lab:r2"])
    assert caught.value.status == 404
    # A run that is tied to a hidden dataset as well tells nothing of that one.
    world.link(world.secret, "r1", "evaluated_on", world.hidden)
    assert "ecret" not in json.dumps(api("mlops_compare", people.outsider, things=["lab:r1", world.new]))
    with pytest.raises(refused) as caught:
        api("mlops_compare", people.sysadmin, things=[f"lab:{number}" for number in range(11)])
    assert caught.value.status == 409


def test_versions_are_ticked_on_their_tab_and_runs_added(world, page):
    tab = page("/dataset/titanic/versions").body
    assert f'type="checkbox" name="version" value="{world.old}"' in tab
    body = page(f"/dataset/titanic/compare?version={world.old}&version={world.new}").body
    assert "What differs" in body
    assert "v1.2" in body
    assert '<option value="lab:r1">' in body
    assert page(f"/dataset/titanic/compare?version={world.old}&run=lab:none").status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/dataset/titanic/experiments?",
        "/dataset/titanic/compare?run=lab:r1&run=lab:r3&",
        "/dataset/titanic/leaderboard?",
        "/mlflow/models?",
        "/mlflow/experiments?",
        "/mlflow/lab/models/forest?",
        "/mlflow/lab/experiments/7?",
    ],
)
def test_everything_is_a_file_that_no_sheet_takes_for_a_formula(world, page, address):
    answer = page(address + "format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    for line in answer.body.splitlines():
        assert not any(cell.startswith(("=", "+", "@")) for cell in line.split(","))
    assert json.loads(page(address + "format=json").body)


def test_pages_with_nothing_to_show_say_so(people, make_dataset, page):
    make_dataset(name="titanic")
    for address in ("/dataset/titanic/leaderboard", "/dataset/titanic/compare", "/mlflow/models"):
        assert page(address).status_code == 200
    assert page("/mlflow/lab/models/none").status_code == 404
    assert page("/mlflow/lab/experiments/none").status_code == 404


def test_a_page_beyond_the_last_is_the_last(world, page):
    body = page("/mlflow/models?page=9", status=200).body
    assert "/mlflow/lab/models/forest" in body
    assert "No registered model" not in body


def test_a_model_shows_the_versions_that_its_data_may_be_of(world, page):
    choices = [{"version": each, "commit": "a" * 40, "path": "a.csv", "hash": ""} for each in (world.old, world.new)]
    evidence = {
        "rung": "commit",
        "strength": "candidate",
        "why": ["changed-between"],
        "against": [],
        "choices": choices,
    }
    world.link(world.titanic, "r3", "used", world.old, evidence=evidence)
    soup = BeautifulSoup(page("/mlflow/lab/models/forest", status=200).body, "html.parser")
    [said] = [each for each in soup.select("details.mlops-evidence p") if "It may be" in each.text]
    assert [a["href"] for a in said.select("a")] == [
        f"/dataset/titanic/versions/{each}" for each in (world.old, world.new)
    ]


def test_an_assertion_that_was_confirmed_is_not_disputed_on_the_model_page(world, page):
    found = {"rung": "hash", "strength": "exact", "why": ["named:input"], "against": []}
    found["choices"] = [{"version": world.old, "commit": "a" * 40, "path": "a.csv", "hash": "1"}]
    world.link(world.titanic, "r3", "trained_on", world.old, origin="asserted", evidence={"found": found})
    for address in ("/mlflow/lab/models/forest", "/dataset/titanic/experiments?version=all"):
        body = page(address, status=200).body
        assert "asserted, confirmed" in body
        assert "asserted, disputed" not in body
