"""Servers that fail, lie or stall. They are stand-ins: no real MLflow does this on demand."""

import gzip
import json
import re
import threading
import time
import traceback

import pytest
import requests

from ckanext.mlops.core.errors import MlflowError, MlflowUnavailable
from ckanext.mlops.core.mlflow import MlflowClient, Server

RUN = {"info": {"run_id": "a" * 32, "experiment_id": "1", "start_time": 1, "status": "FINISHED"}, "data": {}}


def page(*runs, token=""):
    return json.dumps({"runs": runs, **({"next_page_token": token} if token else {})}).encode()


def client_of(stand, **options):
    sleeps = []
    client = MlflowClient(Server("lab", stand.url, **{"timeout": 2.0, **options}), sleep=sleeps.append)
    client.sleeps = sleeps
    return client


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_error_is_tried_again(status, stand):
    answers = iter([status, status, 200])
    stand.answer = lambda handler: stand.reply(handler, next(answers), page(RUN))
    client = client_of(stand)
    assert [run.run_id for run in client.runs(["1"])] == ["a" * 32]
    assert len(client.sleeps) == 2


def test_a_server_that_keeps_failing_is_unavailable(stand):
    stand.answer = lambda handler: stand.reply(handler, 500, b"<html>Traceback secret</html>")
    with pytest.raises(MlflowUnavailable, match=r"MLflow server lab: .*500.*try again"):
        list(client_of(stand).runs(["1"]))
    assert len(stand.requests) == 3


def test_half_an_answer_is_tried_again(stand):
    def half(handler):
        if len(stand.requests) > 1:
            return stand.reply(handler, 200, page(RUN))
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"runs": [')
        return None

    stand.answer = half
    assert len(list(client_of(stand).runs(["1"]))) == 1


def test_a_broken_connection_is_unavailable(stand):
    stand.answer = lambda handler: handler.connection.close()
    with pytest.raises(MlflowUnavailable, match="connection failed or broke off"):
        list(client_of(stand).experiments())


def test_nobody_there_is_unavailable(stand):
    stand.server.server_close()
    client = client_of(stand)
    with pytest.raises(MlflowUnavailable, match="is it running"):
        list(client.experiments())
    health = client.health()
    assert (health.status, health.version) == ("unavailable", "")
    assert stand.url not in health.detail


def test_silence_and_dripping_end_in_time(stand):
    release = threading.Event()
    stand.answer = lambda _: release.wait(20)
    start = time.monotonic()
    with pytest.raises(MlflowUnavailable, match="no answer within"):
        list(client_of(stand, timeout=0.2).experiments())
    release.set()

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        for _ in range(300):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    stand.answer = drip
    with pytest.raises(MlflowUnavailable, match="too slowly"):
        list(client_of(stand, timeout=0.1).experiments())
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Login</html>",
        b"[]",
        b"null",
        b'{"runs": {}}',
        b'{"runs": [1]}',
        b'{"runs": [{}]}',
        b'{"runs": [{"info": {}}]}',
        b'{"runs": [], "next_page_token": 7}',
        b"[" * 100_000,
        b'{"runs": [{"info": ' * 20_000,
    ],
)
def test_what_is_not_mlflow_is_named(body, stand):
    stand.answer = lambda handler: stand.reply(handler, 200, body)
    with pytest.raises(MlflowError, match="not that of MLflow's API; check the option uri"):
        list(client_of(stand).runs(["1"]))


def test_a_wrong_address_is_not_an_empty_server(stand):
    stand.answer = lambda handler: stand.reply(handler, 404, b"not found")
    client = client_of(stand)
    for read in (client.experiments, client.registered_models, lambda: client.runs(["1"])):
        with pytest.raises(MlflowError, match="check the option uri"):
            list(read())
    assert client.health().status == "refused"
    # An older server lacks only this endpoint.
    assert list(client.logged_models(["1"])) == []


def test_odd_values_are_read(stand):
    odd = {
        "info": {"run_id": "b" * 32, "experiment_id": 1, "start_time": "1e99", "end_time": -5, "run_name": None},
        "data": {
            "metrics": [{"key": "nan", "value": "NaN"}, {"key": "minus", "value": "-Infinity"}, {"key": "no"}, {}, 7],
            "params": [{"key": "long", "value": "x" * 10_000}, {"key": "none", "value": None}, "x", {"value": "v"}],
            "tags": [{"key": "\ud800", "value": "nul\0"}],
        },
        "inputs": {
            "dataset_inputs": [
                {"dataset": {"name": "d", "source": "no json", "profile": "[" * 99}, "tags": None},
                {"dataset": {"source": json.dumps({"uri": ["x"]}), "profile": '{"num_rows": true}'}},
                {"dataset": {"source": '{"url": "https://u:p@[x/"}'}},
                {},
                None,
            ]
        },
        "outputs": [],
    }
    stand.answer = lambda handler: stand.reply(handler, 200, page(odd)[:-1] + b', "x": NaN}')
    (run,) = client_of(stand).runs(["1"])
    assert (run.experiment_id, run.start, run.end, run.name) == ("1", "", "", "")
    assert run.metrics == {"nan": "NaN", "minus": "-Infinity", "no": "NaN"}
    assert len(run.params["long"]) == 8000
    assert run.truncated
    assert run.params["none"] == ""
    assert list(run.tags.values()) == ["nul"]
    assert len(run.inputs) == 4
    json.dumps([run.tags, run.params, [item.source for item in run.inputs]]).encode()
    assert "u:p" not in repr(run)


def test_bytes_that_are_not_utf8_are_read(stand):
    stand.answer = lambda handler: stand.reply(handler, 200, page(RUN).replace(b"FINISHED", b"FIN\xff\xfeSHED"))
    assert "FIN" in next(client_of(stand).runs(["1"])).status


def test_too_many_values_are_cut(stand):
    many = {**RUN, "data": {"params": [{"key": str(number), "value": "v"} for number in range(6000)]}}
    stand.answer = lambda handler: stand.reply(handler, 200, page(many))
    (run,) = client_of(stand).runs(["1"])
    assert (len(run.params), run.truncated) == (5000, True)


def test_endless_lists_of_a_run_are_cut_and_artifacts_are_neither_read_nor_asked_for(stand):
    many = range(20_000)
    value = [{"key": f"k{number}", "value": "1"} for number in many]
    run = {
        **RUN,
        "data": {"params": value, "metrics": value, "tags": value},
        "inputs": {"dataset_inputs": [{"dataset": {"name": f"d{number}"}} for number in many]},
        "outputs": {"model_outputs": [{"model_id": f"m-{number}"} for number in many]},
        "artifacts": [{"path": f"a/{number}", "file_size": 1} for number in many],
    }
    stand.answer = lambda handler: stand.reply(handler, 200, page(run))
    (found,) = client_of(stand).runs(["1"])
    parts = (found.params, found.metrics, found.tags, found.inputs, found.model_ids)
    assert ({len(part) for part in parts}, found.truncated) == ({5000}, True)
    assert [path for path, _, _ in stand.requests] == ["/api/2.0/mlflow/runs/search"]


def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones(stand):
    """One thousand runs with dataset profiles of megabytes do not fit in memory; ten do."""

    def sized(handler):
        asked = json.loads(stand.requests[-1][2])["max_results"]
        stand.reply(handler, 200, page(*[RUN] * asked))

    stand.answer = sized
    runs = list(client_of(stand, max_bytes=3_000).runs(["1"]))
    assert 0 < len(runs) < 30
    stand.answer = lambda handler: stand.reply(handler, 200, b" " * 10_000)
    with pytest.raises(MlflowError, match="larger than 3,000 bytes"):
        list(client_of(stand, max_bytes=3_000).runs(["1"]))


def test_a_page_that_takes_too_long_is_asked_for_in_smaller_ones(stand):
    sizes = []

    def slow(handler):
        sizes.append(json.loads(stand.requests[-1][2])["max_results"])
        time.sleep(1.5 if sizes[-1] > 100 else 0)
        stand.reply(handler, 200, page(*[RUN] * 2))

    stand.answer = slow
    assert len(list(client_of(stand, timeout=0.5).runs(["1"]))) == 2
    assert sizes == [500, 125, 31]


def test_a_compressed_bomb_is_stopped(stand):
    bomb = gzip.compress(bytes(200_000_000))
    stand.answer = lambda handler: stand.reply(handler, 200, bomb, Content_Encoding="gzip")
    start = time.monotonic()
    with pytest.raises(MlflowError, match="larger than"):
        client_of(stand, max_bytes=1_000_000).experiment("1")
    assert time.monotonic() - start < 20


def test_a_search_that_never_ends_is_left(stand):
    stand.answer = lambda handler: stand.reply(handler, 200, page(RUN, token="again"))
    with pytest.raises(MlflowError, match="not that of MLflow's API"):
        list(client_of(stand).runs(["1"]))
    assert len(stand.requests) == 2


def test_pages_without_end_and_without_runs_are_left_and_a_few_are_not(stand):
    def answer(handler):
        number = len(stand.requests)
        stand.reply(handler, 200, page(*[RUN] * (number % 50 == 0), token=str(number) if number < stand.last else ""))

    stand.answer, stand.last = answer, 200
    assert len(list(client_of(stand).runs(["1"]))) == 4
    stand.requests.clear()
    stand.answer = lambda handler: stand.reply(handler, 200, page(token=str(len(stand.requests))))
    with pytest.raises(MlflowError, match="not that of MLflow's API"):
        list(client_of(stand).runs(["1"]))
    assert len(stand.requests) < 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_refused(status, stand):
    stand.answer = lambda handler: stand.reply(handler, status, b"", Location=f"{stand.url}/elsewhere")
    client = client_of(stand, username="ada", password="hunter2")
    with pytest.raises(MlflowError, match="redirects; set its final address"):
        list(client.experiments())
    assert len(stand.requests) == 1


def test_the_403_of_mlflows_host_check_is_explained(stand):
    stand.answer = lambda handler: stand.reply(handler, 403, b"Invalid Host header - possible DNS rebinding attack")
    with pytest.raises(MlflowError, match="--allowed-hosts"):
        client_of(stand).run("x")


@pytest.mark.parametrize("status", [401, 403])
def test_denied_access_names_the_options(status, stand):
    stand.answer = lambda handler: stand.reply(handler, status, b"You are not authenticated")
    with pytest.raises(MlflowError, match="username, password, token"):
        list(client_of(stand).experiments())
    assert client_of(stand).health().status == "refused"


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"username": "ada", "password": "hunter2"}, "Basic YWRhOmh1bnRlcjI="),
        ({"token": "hunter2"}, "Bearer hunter2"),
        ({"username": "ada", "password": "x", "token": "hunter2"}, "Bearer hunter2"),
        ({}, None),
    ],
)
def test_credentials_are_sent_and_never_shown(options, header, stand, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    stand.answer = lambda handler: stand.reply(
        handler, 400, json.dumps({"error_code": "BAD", "message": f"x http://ada:hunter2@h/ {'y' * 9000}"}).encode()
    )
    with pytest.raises(MlflowError) as caught:
        list(client_of(stand, **options).experiments())
    assert stand.requests[0][1].get("Authorization") == header
    assert not re.search("hunter2|127.0.0.1:", "".join(traceback.format_exception_only(caught.value)))
    assert len(str(caught.value)) < 700


def test_no_error_text_or_traceback_holds_the_address(stand):
    stand.server.server_close()
    secret = "tok" + "3n"
    with pytest.raises(MlflowUnavailable) as caught:
        list(client_of(stand, token=secret).experiments())
    lines = "".join(traceback.format_exception(caught.value))
    assert "127.0." + "0.1" not in lines
    assert secret not in lines


def test_a_given_session_is_used(stand):
    stand.answer = lambda handler: stand.reply(handler, 200, page())
    session = requests.Session()
    session.headers["User-Agent"] = "catalog"
    list(MlflowClient(Server("lab", stand.url + "/prefix/"), session).runs(["1"]))
    path, headers, _ = stand.requests[0]
    assert path == "/prefix/api/2.0/mlflow/runs/search"
    assert headers["User-Agent"] == "catalog"
    assert "Origin" not in headers
