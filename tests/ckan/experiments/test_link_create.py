"""A person or script ties a dataset to an experiment or run."""

from __future__ import annotations

import pytest


def link(api, person, **data):
    return api("mlops_link_create", person, **{"id": "titanic", "server": "lab", **data})


def test_a_run_is_linked_with_its_facts_and_its_experiment(api, people, dataset, tracking):
    experiment = tracking.experiment()
    run = tracking.run(
        experiment,
        "forest",
        metrics={"accuracy": 0.83},
        params={"depth": "5"},
        tags={
            "mlflow.source.git.commit": "ab" * 20,
            "mlflow.source.git.repoURL": "https://user:pw@git.example.org/o/titanic.git",
            "mlflow.source.name": "/home/ada/secret-project/train.py",
            "team": "red",
        },
    )
    made = link(api, people.editor, target=run, relation="trained_on", note="by hand")
    assert made["target"] == run
    assert made["origin"] == "asserted"
    assert made["user_id"] == people.editor.id
    assert made["note"] == "by hand"
    assert made["stale"] == ""
    assert made["experiment"]["name"] == tracking.name_of(experiment)
    assert made["page"] == f"https://mlflow.example.org/#/experiments/{experiment}/runs/{run}"
    facts = made["run"]
    assert facts["name"] == "forest"
    assert facts["metrics"] == {"accuracy": 0.83}
    assert facts["params"] == {"depth": "5"}
    assert facts["duration"] == 65
    assert facts["git_commit"] == "ab" * 20
    assert facts["git_repository"] == "git.example.org/o/titanic"
    assert facts["source_name"] == "train.py"
    assert facts["tags"] == {"team": "red"}


@pytest.mark.parametrize("by", ["id", "name"])
def test_an_experiment_is_linked_with_its_newest_runs(api, people, dataset, tracking, by):
    experiment = tracking.experiment()
    old = tracking.run(experiment, "old", start=1_600_000_000_000)
    new = tracking.run(experiment, "new", start=1_650_000_000_000)
    target = experiment if by == "id" else tracking.name_of(experiment)
    made = link(api, people.editor, kind="experiment", target=target)
    assert made["target"] == experiment
    assert made["relation"] == "used"
    assert made["run_count"] == 2
    assert [run["run_id"] for run in made["runs"]] == [new, old]
    assert made["experiment"]["all_runs_copied"] is True
    assert made["page"] == f"https://mlflow.example.org/#/experiments/{experiment}"


def test_linking_again_is_the_same_link(api, people, dataset, tracking):
    run = tracking.run(tracking.experiment())
    first = link(api, people.editor, target=run, note="first")
    again = link(api, people.admin, target=run)
    changed = link(api, people.admin, target=run, note="second")
    assert first["id"] == again["id"] == changed["id"]
    assert again["note"] == "first"
    assert changed["note"] == "second"
    assert changed["user_id"] == people.editor.id
    assert changed["created"] == first["created"]
    assert api("mlops_link_list", id="titanic")["count"] == 1


def test_another_relation_is_another_link(api, people, dataset, tracking):
    run = tracking.run(tracking.experiment())
    ids = {link(api, people.editor, target=run, relation=each)["id"] for each in ("trained_on", "evaluated_on")}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"server": "nowhere"}, "server", "No MLflow server named 'nowhere' is configured (configured: lab)"),
        ({"target": "0" * 32}, "target", "MLflow server lab has no run with this id"),
        ({"target": "../../etc"}, "target", "MLflow server lab has no run with this id"),
        ({"kind": "experiment", "target": "no such thing"}, "target", "has no experiment with this id or name"),
        ({"kind": "experiment", "target": "9" * 15}, "target", "has no experiment with this id or name"),
        ({"kind": "model", "target": "x"}, "kind", "Value must be one of"),
        ({"relation": "likes", "target": "x"}, "relation", "Value must be one of"),
        ({"target": ""}, "target", "Missing value"),
        ({"target": "x", "version": "none"}, "version", "no such version"),
        ({"target": "x", "note": "n" * 2001}, "note", "at most 2000"),
    ],
)
def test_what_cannot_be_linked_is_said(api, people, dataset, tracking, refused, change, field, words):
    with pytest.raises(refused) as caught:
        link(api, people.editor, **{"target": "x", **change})
    assert caught.value.status == 409
    assert words in caught.value.error[field][0]
    assert api("mlops_link_list", id="titanic")["count"] == 0


def test_an_unknown_dataset_is_not_found(api, people, tracking, refused):
    with pytest.raises(refused) as caught:
        link(api, people.editor, id="none", target="x")
    assert caught.value.status == 404


def test_a_server_that_is_away_is_named_and_nothing_is_linked(api, people, dataset, tracking, stop_lab, refused):
    run = tracking.run(tracking.experiment())
    stop_lab()
    with pytest.raises(refused) as caught:
        link(api, people.editor, target=run)
    [message] = caught.value.error["server"]
    assert "MLflow server lab" in message
    assert "is it running?" in message
    assert "127.0.0.1" not in message
    assert api("mlops_link_list", id="titanic")["count"] == 0


def test_a_server_that_is_away_does_not_matter_when_the_facts_are_known(
    api, people, dataset, make_dataset, tracking, stop_lab
):
    make_dataset(name="other")
    experiment = tracking.experiment()
    run = tracking.run(experiment, "known")
    link(api, people.editor, id="other", target=run)
    link(api, people.editor, id="other", kind="experiment", target=experiment)
    stop_lab()
    made = link(api, people.editor, target=run)
    assert made["run"]["name"] == "known"
    assert made["stale"] == "away"
    by_name = link(api, people.editor, kind="experiment", target=made["experiment"]["name"])
    assert by_name["target"] == experiment


def test_a_broken_server_is_named_and_its_answer_is_not_repeated(api, people, dataset, fault, refused):
    for body, status in ((b"<html>login</html>", 200), ({"error": "x"}, 401), (b'{"run": {"in', 200), ({}, 503)):
        fault.answer(body, status)
        with pytest.raises(refused) as caught:
            link(api, people.editor, server="broken", target="a" * 32)
        [message] = caught.value.error["server"]
        assert "MLflow server broken" in message
        assert "html" not in message


def test_a_hostile_answer_is_stored_harmlessly_and_can_be_shown(api, people, dataset, fault, page):
    """Numbers that JSON cannot hold, NUL, half surrogates, a huge value: PostgreSQL's JSONB refuses most of them."""
    run = {
        "info": {"run_id": "a" * 32, "experiment_id": "1", "run_name": "x\0\ud800<b>", "status": "FINISHED"},
        "data": {
            "metrics": [{"key": "m", "value": float("nan")}, {"key": "i", "value": float("inf")}, {"key": "\udfff"}],
            "params": [{"key": "long", "value": "v" * 100_000}],
        },
    }
    experiment = {"experiment_id": "1", "name": "e\0\ud800", "lifecycle_stage": "active"}
    fault.answer({"run": run, "experiment": experiment})
    made = link(api, people.editor, server="broken", target="a" * 32)
    assert made["run"]["name"] == "x?<b>"
    assert made["run"]["metrics"] == {"m": "NaN", "i": "Infinity", "?": "NaN"}
    assert len(made["run"]["params"]["long"]) == 8000
    assert made["experiment"]["name"] == "e?"
    body = page("/dataset/titanic/experiments").body
    assert "x?&lt;b&gt;" in body
    assert ">∞</td>" in body
