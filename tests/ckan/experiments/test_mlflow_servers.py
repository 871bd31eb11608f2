"""Servers come from the configuration; what is wrong with it is said, what is secret is not."""

from __future__ import annotations

import base64
import logging
import subprocess

import pytest
from ckan.plugins import toolkit as tk

from ckanext.mlops.tracking import servers as mlflow_servers


def test_options_of_a_server(configure, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    configure("lab", uri=" http://mlflow.internal:5000/ml ", public_url="https://ml.example.org", username="reader")
    configure("lab", timeout="2.5", verify="false", ca_bundle=str(bundle))
    server = mlflow_servers.server("lab")
    assert (server.uri, server.page_root) == ("http://mlflow.internal:5000/ml", "https://ml.example.org")
    assert (server.username, server.timeout, server.verify, server.ca_bundle) == ("reader", 2.5, False, bundle)


def test_the_environment_wins_over_the_file(configure, monkeypatch):
    configure("lab", uri="http://file.example.org", password="from the file")
    monkeypatch.setenv("CKANEXT__MLOPS__MLFLOW__LAB__PASSWORD", "from the environment")
    assert mlflow_servers.server("lab").password == "from the environment"
    monkeypatch.setenv("CKANEXT__MLOPS__MLFLOW__SERVERS", "lab second")
    monkeypatch.setenv("CKANEXT__MLOPS__MLFLOW__SECOND__URI", "http://second.example.org")
    assert mlflow_servers.names() == ["lab", "second"]
    assert mlflow_servers.server("second").uri == "http://second.example.org"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "the option ckanext.mlops.mlflow.lab.uri is not set (nor"),
        ({"uri": "ftp://x"}, "uri must be an http or https address"),
        ({"uri": "http://me:pw@host"}, "uri holds credentials"),
        ({"uri": "http://host", "timeout": "soon"}, "ckanext.mlops.mlflow.lab.timeout has no valid value"),
        ({"uri": "http://host", "timeout": "-1"}, "ckanext.mlops.mlflow.lab.timeout has no valid value"),
        ({"uri": "http://host", "verify": "maybe"}, "ckanext.mlops.mlflow.lab.verify has no valid value"),
        ({"uri": "http://host", "ca_bundle": "/nowhere.pem"}, "ca_bundle does not exist"),
    ],
)
def test_a_wrong_option_is_named(configure, options, words):
    configure("lab", **options)
    with pytest.raises(mlflow_servers.NotConfigured, match="lab") as caught:
        mlflow_servers.server("lab")
    assert words in str(caught.value)


def test_a_name_that_cannot_be_a_key_is_refused(configure):
    configure("Our Lab")
    with pytest.raises(mlflow_servers.NotConfigured, match="lower-case"):
        mlflow_servers.server("Our Lab")


def test_the_list_shows_names_and_health_only(api, people, tracking, fault, configure, secret):
    fault.answer({}, 401)
    configure("nameless")
    answer = {server["name"]: server for server in api("mlops_server_list", people.member)}
    assert list(answer) == ["lab", "broken", "nameless"]
    assert (answer["lab"]["healthy"], answer["lab"]["detail"]) == (True, "")
    assert answer["broken"]["healthy"] is False
    assert "access was denied (401)" in answer["broken"]["detail"]
    assert answer["broken"]["answered"] is None
    assert "uri is not set" in answer["nameless"]["detail"]
    assert "127.0.0.1" not in str(answer)
    assert secret not in str(answer)


def test_servers_are_not_asked_for_every_curious_user(api, people, fault):
    fault.answer({"experiments": []})
    for _ in range(3):
        assert api("mlops_server_list", people.member)[0]["healthy"] is True
    assert len([path for path, _ in fault.asked if path.endswith("experiments/search")]) == 1


def test_the_password_goes_to_the_server_and_nowhere_else(
    api, people, dataset, tracking, fault, page, refused, secret, caplog
):
    caplog.set_level(logging.DEBUG)
    run = tracking.run(tracking.experiment())
    answers = [api("mlops_link_create", people.editor, id="titanic", server="lab", target=run)]
    fault.answer(b"no json")
    with pytest.raises(refused) as caught:
        api("mlops_link_create", people.editor, id="titanic", server="broken", target=run)
    answers += [
        caught.value.error,
        api("mlops_link_list", people.sysadmin, id="titanic"),
        api("mlops_run_list", people.sysadmin, id="titanic"),
        api("mlops_server_list", people.sysadmin),
        api("mlops_mlflow_sync", people.sysadmin),
        api("package_activity_list", people.sysadmin, id="titanic"),
        page("/dataset/titanic/experiments", people.sysadmin).body,
        caplog.text,
        repr(mlflow_servers.server("lab")),
    ]
    sent = base64.b64encode(f"reader:{secret}".encode()).decode()
    assert {credential for _, credential in fault.asked} == {f"Basic {sent}"}
    for answer in answers:
        assert secret not in str(answer)
        assert sent not in str(answer)


@pytest.fixture
def file_store(configure, tmp_path, monkeypatch):
    """A file store of one experiment with one run, configured as ``files``."""
    run = tmp_path / "stores" / "mlruns" / "7" / "abc"
    (run / "metrics").mkdir(parents=True)
    (run.parent / "meta.yaml").write_text("experiment_id: '7'\nname: from files\nlifecycle_stage: active\n")
    meta = ("run_id: abc", "experiment_id: '7'", "run_name: first", "status: 3", "start_time: 1600000000000")
    (run / "meta.yaml").write_text("\n".join(meta) + "\n")
    (run / "metrics" / "acc").write_text("1 0.75 0\n")
    monkeypatch.setitem(tk.config, "ckanext.mlops.mlflow.roots", [str(tmp_path / "stores")])
    configure("files", folder=str(tmp_path / "stores" / "mlruns"))
    return run


def test_a_file_store_is_a_server_like_another(api, people, dataset, file_store, sync):
    [server] = api("mlops_server_list", people.member)
    assert (server["name"], server["healthy"]) == ("files", True)
    made = api("mlops_link_create", people.editor, id="titanic", server="files", kind="experiment", target="from files")
    assert (made["target"], made["run_count"], made["page"]) == ("7", 1, None)
    assert sync("files")["errors"] == []
    [run] = api("mlops_run_list", id="titanic")["results"]
    assert (run["name"], run["metrics"], run["page"]) == ("first", {"acc": 0.75}, None)
    meta = (file_store / "meta.yaml").read_text()
    (file_store / "meta.yaml").write_text(meta + "lifecycle_stage: deleted\n")
    assert sync("files")["errors"] == []
    [run] = api("mlops_run_list", id="titanic")["results"]
    assert run["lifecycle_stage"] == "deleted"


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_store_outside_of_the_roots_is_refused(configure, tmp_path, monkeypatch, inside):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "stores").mkdir()
    (tmp_path / "stores" / "link").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setitem(tk.config, "ckanext.mlops.mlflow.roots", [str(tmp_path / "stores")])
    configure("files", folder=str(tmp_path / ("stores/link" if inside else "elsewhere")))
    with pytest.raises(mlflow_servers.NotConfigured, match="is below none of") as caught:
        mlflow_servers.client("files")
    assert str(tmp_path) not in str(caught.value)


def test_a_store_that_is_committed_in_a_repository_is_a_server_too(
    api, people, dataset, configure, file_store, sync, tmp_path, monkeypatch
):
    work = file_store.parents[2]
    git = ["git", "-C", str(work), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (
        ["init", "-q", "-b", "main"],
        ["checkout", "-q", "-b", "mlflow"],
        ["add", "."],
        ["commit", "-qm", "x"],
    ):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setitem(tk.config, "ckanext.mlops.repository.roots", [str(tmp_path)])
    monkeypatch.setitem(tk.config, "ckanext.mlops.repository.mirrors", str(tmp_path / "mirrors"))
    configure("committed", repository=work.as_uri(), revision="mlflow")
    health = {server["name"]: server for server in api("mlops_server_list", people.member)}["committed"]
    assert (health["healthy"], "run a sync" in health["detail"]) == (False, True)
    report = sync("committed")
    assert (report["errors"], report["experiments"], report["runs"]) == ([], 1, 1)
    made = api("mlops_link_create", people.editor, id="titanic", server="committed", kind="run", target="abc")
    assert (made["run"]["metrics"], made["stale"], made["page"]) == ({"acc": 0.75}, "", None)
    configure("committed", revision="nowhere")
    assert "no branch or tag nowhere" in sync("committed")["errors"][0]
