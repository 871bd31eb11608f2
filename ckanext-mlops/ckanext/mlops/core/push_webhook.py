"""Checking the push webhooks of GitHub, GitLab and Gitea (Forgejo): who sent it, is it new, what moved?

GitHub and Gitea sign the body with HMAC-SHA256, and no headers: a message counts as received before when its delivery
id *or* its body was. GitLab sends the secret itself, which is as good as any signature only over TLS.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .errors import MlopsError
from .untrusted import clean

MAX_BYTES = 5 * 1024**2
#: Seconds for which messages are remembered; older ones are refused where they have a time.
REMEMBERED = 7 * 24 * 3600
_PUSHES = {"push", "create", "delete", "Push Hook", "Tag Push Hook"}
_PINGS = {"ping", "Test Hook"}


class PushRefused(MlopsError):
    """A message is not from the forge, or not from now."""


@dataclass(frozen=True, slots=True)
class Push:
    """A message that was checked.

    :param marks: of this message; one that was seen before says that it is a repetition
    :param kind: of the ref that moved, ``""`` when the message is of something else than a push
    """

    forge: Literal["github", "gitlab", "gitea"]
    marks: tuple[str, ...]
    kind: Literal["branch", "tag", ""] = ""
    name: str = ""


def check(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> Push:
    """What the message says.

    :param secrets: any of them may be the sender's
    :param now: seconds since 1970
    :raises PushRefused: no or a wrong signature, no JSON, or from long ago
    """
    named = {name.lower(): value for name, value in headers.items()}
    secrets = [secret for secret in secrets if secret]
    signed = named.get("x-gitea-signature") or named.get("x-hub-signature-256", "").removeprefix("sha256=")
    token = named.get("x-gitlab-token", "")
    if signed:
        expected = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
        good = [hmac.compare_digest(signed.encode(), each.encode()) for each in expected]
    elif token:
        good = [hmac.compare_digest(token.encode(), secret.encode()) for secret in secrets]
    else:
        raise PushRefused("The message has no signature; give the webhook the secret of this portal.")
    if not any(good):
        raise PushRefused("The signature is wrong; the webhook and this portal need the same secret.")
    forge: Literal["github", "gitlab", "gitea"] = (
        "gitlab" if not signed else "gitea" if "x-gitea-event" in named else "github"
    )
    event = named.get({"github": "x-github-event", "gitlab": "x-gitlab-event", "gitea": "x-gitea-event"}[forge], "")
    delivery = named.get(
        {"github": "x-github-delivery", "gitlab": "x-gitlab-event-uuid", "gitea": "x-gitea-delivery"}[forge], ""
    )
    if delivery and not re.fullmatch(r"[!-~]{1,100}", delivery):
        raise PushRefused("The message's delivery id cannot be one.")
    marks = [f"id:{delivery}"] if delivery else []
    if signed or not delivery:
        marks.append(f"body:{hashlib.sha256(body).hexdigest()}")
    data = _payload(body)
    sent = _time(data)
    if sent is not None and now - sent > REMEMBERED:
        raise PushRefused("The message is of a push of more than a week ago.")
    if event in _PINGS or event not in _PUSHES:
        return Push(forge, tuple(marks))
    kind, name = _ref(data)
    return Push(forge, tuple(marks), kind, name)


def _payload(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise PushRefused("The message is not JSON; choose application/json as its content type.") from None
    if not isinstance(data, dict):
        raise PushRefused("The message is not a JSON object.")
    return data


def _ref(data: dict[str, Any]) -> tuple[Literal["branch", "tag", ""], str]:
    ref = str(data.get("ref") or "")
    kinds: tuple[tuple[Literal["branch", "tag"], str], ...] = (("branch", "refs/heads/"), ("tag", "refs/tags/"))
    for kind, prefix in kinds:
        if ref.startswith(prefix):
            return kind, clean(ref.removeprefix(prefix), 500)
        if data.get("ref_type") == kind:  # of "create" and "delete"
            return kind, clean(ref, 500)
    return "", ""


def _time(data: dict[str, Any]) -> float | None:
    """When the push was, where the message says so."""
    repository = data.get("repository")
    pushed = repository.get("pushed_at") if isinstance(repository, dict) else None
    if isinstance(pushed, (int, float)) and not isinstance(pushed, bool):
        return float(pushed)
    if isinstance(pushed, str):
        try:
            moment = datetime.datetime.fromisoformat(pushed)
        except ValueError:
            return None
        return moment.timestamp() if moment.tzinfo else None
    return None
