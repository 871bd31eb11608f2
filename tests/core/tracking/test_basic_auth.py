"""MLflow's own basic auth: an account that may read is enough, and nobody else sees anything."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow import MlflowClient, Server

pytestmark = pytest.mark.slow
ADMIN = ("admin", "admin-of-a-test")  # of the fixture


def call(address: str, path: str, **body: Any) -> Any:
    answer = requests.post(f"{address}/api/2.0/mlflow/{path}", json=body, auth=ADMIN, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def run(guarded: str) -> str:
    """A run of the administrator; the account ``reader`` may read all and change nothing."""
    call(guarded, "users/create", username="reader", password="reader-of-a-test")
    experiment = call(guarded, "experiments/create", name="guarded")["experiment_id"]
    return call(guarded, "runs/create", experiment_id=experiment, run_name="one")["run"]["info"]["run_id"]


def client(address: str, **credentials: Any) -> MlflowClient:
    return MlflowClient(Server("lab", address, timeout=200, **credentials), retries=0)


def test_an_account_that_may_only_read_is_enough(guarded, run):
    reader = client(guarded, username="reader", password="reader-of-a-test")
    health = reader.health()
    assert health.status == "ok", health.detail
    found = list(reader.experiments())
    assert {each.name for each in found} == {"Default", "guarded"}
    assert [each.run_id for each in reader.runs([each.experiment_id for each in found])] == [run]
    assert list(reader.registered_models()) == list(reader.model_versions()) == []


@pytest.mark.parametrize("credentials", [{}, {"username": "reader", "password": "wrong"}, {"token": "not-one"}])
def test_others_are_refused_by_name_without_the_secret(guarded, run, credentials):
    stranger = client(guarded, **credentials)
    health = stranger.health()
    assert health.status == "refused"
    assert "401" in health.detail
    assert not any(secret in health.detail for secret in ("wrong", "not-one"))
    with pytest.raises(MlflowError):
        stranger.run(run)
