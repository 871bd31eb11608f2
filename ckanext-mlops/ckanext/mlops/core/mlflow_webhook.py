"""Checking MLflow's webhooks (MLflow 3.3 and later): who sent it, and is it new?

MLflow signs ``DELIVERY-ID.TIMESTAMP.BODY`` with HMAC-SHA256 and sends ``v1,`` and the digest in base64, after the
convention of Standard Webhooks. A secret can be replaced without loss: several are accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import MlflowError

SIGNATURE, TIMESTAMP, DELIVERY = "X-MLflow-Signature", "X-MLflow-Timestamp", "X-MLflow-Delivery-Id"
#: Seconds that a message may be on its way, and that clocks may differ.
TOLERANCE = 300
MAX_BYTES = 1024**2
_VERSION = "v1"


class WebhookRefused(MlflowError):
    """A message is not from MLflow, or not from now."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that was checked; ``id`` is the same when MLflow sends it again."""

    id: str
    timestamp: int


def signature(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """What MLflow sends in the header :data:`SIGNATURE`."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    return f"{_VERSION},{base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()}"


def check(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> Delivery:
    """The message's id and time.

    :param secrets: any of them may have signed it
    :param now: seconds since 1970
    :raises WebhookRefused: the signature is missing or wrong, or the message is from another time
    """
    named = {name.lower(): value for name, value in headers.items()}
    delivery, timestamp, given = (named.get(name.lower(), "") for name in (DELIVERY, TIMESTAMP, SIGNATURE))
    if not given:
        raise WebhookRefused("The message has no signature; give the webhook in MLflow the secret of this portal.")
    if not re.fullmatch(r"[!-~]{1,100}", delivery) or not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise WebhookRefused(f"The message lacks MLflow's headers {DELIVERY} and {TIMESTAMP}.")
    expected = [signature(secret, delivery, timestamp, body) for secret in secrets if secret]
    if not any(hmac.compare_digest(given.encode(), each.encode()) for each in expected):
        raise WebhookRefused("The signature is wrong; the webhook in MLflow and this portal need the same secret.")
    if abs(now - int(timestamp)) > TOLERANCE:
        raise WebhookRefused("The message is too old, or the clocks of MLflow and this portal differ by minutes.")
    return Delivery(delivery, int(timestamp))
