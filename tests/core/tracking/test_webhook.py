"""Webhooks are believed when MLflow itself signed them with our secret, and lately."""

import time

import pytest

from ckanext.mlops.core.mlflow_webhook import TOLERANCE, WebhookRefused, check, signature

NOW = 1_800_000_000
BODY = b'{"entity": "model_version", "action": "created"}'


def headers(key="s3cret", delivery="d-1", timestamp=NOW, body=BODY):
    return {
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": str(timestamp),
        "X-MLflow-Signature": signature(key, delivery, str(timestamp), body),
    }


def test_what_mlflow_signs_is_believed():
    delivery = pytest.importorskip("mlflow.webhooks.delivery")
    sent = headers() | {
        "X-MLflow-Signature": delivery._generate_hmac_signature("s3cret", "d-1", str(NOW), BODY.decode())
    }
    assert sent == headers()
    assert check(sent, BODY, ["s3cret"], NOW).id == "d-1"


def test_a_secret_can_be_replaced_without_loss():
    assert check(headers("old"), BODY, ["new", "old"], NOW + TOLERANCE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X-MLflow-Signature": ""}, "no signature"),
        ({"X-MLflow-Signature": "v1,AAAA"}, "signature is wrong"),
        ({"X-MLflow-Signature": "v1,ü"}, "signature is wrong"),
        ({"X-MLflow-Delivery-Id": "d-2"}, "signature is wrong"),
        ({"X-MLflow-Delivery-Id": "x" * 200}, "headers"),
        ({"X-MLflow-Timestamp": str(NOW + 1)}, "signature is wrong"),
        ({"X-MLflow-Timestamp": "1e9"}, "headers"),
        (headers("other"), "signature is wrong"),
        (headers(timestamp=NOW - TOLERANCE - 1), "too old"),
        (headers(timestamp=NOW + TOLERANCE + 1), "too old"),
    ],
)
def test_everything_else_is_refused(change, words):
    with pytest.raises(WebhookRefused, match=words):
        check(headers() | change, BODY, ["s3cret"], NOW)


def test_another_body_or_no_secret_is_refused():
    for body, secrets in ((BODY + b" ", ["s3cret"]), (BODY, []), (BODY, [""])):
        with pytest.raises(WebhookRefused, match="signature is wrong"):
            check(headers(), body, secrets, time.time())
