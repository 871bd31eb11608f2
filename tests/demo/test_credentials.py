"""An MLflow server that asks for credentials gets them, and only them."""

from __future__ import annotations

import base64

import requests

from embedded.demo.mlflow_runs import MlflowServer


def sent(credentials):
    """The Authorization header of a request as it leaves."""
    server = MlflowServer("http://mlflow.example", credentials)
    request = requests.Request("GET", server.url)
    return server._session.prepare_request(request).headers.get("Authorization")


def test_token_is_sent_as_bearer():
    assert sent({"MLFLOW_TRACKING_TOKEN": "secret"}) == "Bearer secret"


def test_user_and_password_are_sent_as_basic():
    expected = base64.b64encode(b"rose:secret").decode()
    assert sent({"MLFLOW_TRACKING_USERNAME": "rose", "MLFLOW_TRACKING_PASSWORD": "secret"}) == f"Basic {expected}"


def test_token_wins_over_netrc(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine mlflow.example login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert sent({"MLFLOW_TRACKING_TOKEN": "secret"}) == "Bearer secret"
