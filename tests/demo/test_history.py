"""The repository has the history that the demo tells, in every form that it went through."""

from __future__ import annotations

import json

OLD = {"Dvcfile", "dvc/01-fetch-data.dvc", "dvc/02-prepare-data.dvc", "data/metrics.json", ".dvc/config"}
NEW = {"dvc.yaml", "dvc.lock", "params.yaml", "metrics.json", "plots/roc.csv", "plots/confusion.csv", ".dvc/config"}


def git(built, *arguments):
    return built.space.run("git", "-C", str(built.space.bare), *arguments)


def files(built, revision):
    return set(git(built, "ls-tree", "-r", "--name-only", revision).split())


def metrics(built, revision, path):
    return json.loads(git(built, "show", f"{revision}:{path}"))


def test_branches_and_tags_are_pushed(built):
    refs = git(built, "for-each-ref", "--format=%(refname)").split()
    assert refs == [
        "refs/heads/main",
        "refs/heads/tensorflow",
        "refs/tags/baseline",
        "refs/tags/random-forest",
        "refs/tags/survival-model@v1.0.0",
        "refs/tags/wrong-baseline",
    ]
    assert git(built, "symbolic-ref", "HEAD").strip() == "refs/heads/main"


def test_first_revisions_are_dvc_0x(built):
    for tag in ("wrong-baseline", "baseline"):
        assert files(built, tag) >= OLD
        assert not files(built, tag) & {"dvc.yaml", "dvc.lock"}


def test_later_revisions_are_dvc_3(built):
    for revision in ("random-forest", "main", "tensorflow"):
        assert files(built, revision) >= NEW
        assert not files(built, revision) & {"Dvcfile", "dvc/01-fetch-data.dvc", "data/metrics.json"}


def test_data_and_models_are_not_in_git(built):
    for revision in ("wrong-baseline", "baseline", "main", "tensorflow"):
        kept = {path for path in files(built, revision) if path.endswith((".pkl", ".csv"))}
        assert kept <= {"source/titanic.csv", "plots/roc.csv", "plots/confusion.csv"}


def test_the_leak_shows_in_the_metrics(built):
    wrong = metrics(built, "wrong-baseline", "data/metrics.json")["accuracy"]
    honest = metrics(built, "baseline", "data/metrics.json")["accuracy"]
    assert wrong > 0.95
    assert 0.75 < honest < 0.85


def test_better_features_and_the_network_beat_the_first_forest(built):
    first = metrics(built, "random-forest", "metrics.json")["accuracy"]
    assert metrics(built, "main", "metrics.json")["accuracy"] > first
    assert metrics(built, "tensorflow", "metrics.json")["accuracy"] > first


def test_branch_tensorflow_says_what_it_uses(built):
    assert "scikit-learn's" in git(built, "show", "tensorflow:code/models.py")
    assert "neural_network" in git(built, "show", "tensorflow:dvc.lock")


def test_one_commit_still_has_its_metrics_in_the_dvc_cache_alone(built):
    first = git(built, "log", "--format=%H", "--grep=Too good", "main").strip()
    assert "data/metrics.json" not in files(built, first)
    assert "metric: true" in git(built, "show", f"{first}:Dvcfile")


def test_only_the_remote_names_its_place(built):
    """It is absolute, so that ``dvc get`` works on a copy of the repository wherever that lies on this machine."""
    for revision in git(built, "rev-list", "--all").split():
        for line in git(built, "show", f"{revision}:.dvc/config").splitlines():
            if str(built.space.folder) in line:
                assert line.strip() == f"url = {built.space.remote}"


def test_the_work_tree_is_clean_and_at_main(built):
    assert built.space.git("status", "--porcelain") == ""
    assert built.space.git("branch", "--show-current").strip() == "main"
