"""Messages of GitHub, GitLab and Gitea: believed when they are signed, once, and not from long ago."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from ckanext.mlops.core.push_webhook import REMEMBERED, Push, PushRefused, check

SECRET = "correct horse"
NOW = 1_700_000_000.0


def signed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github(body: bytes, event: str = "push", **headers: str) -> dict[str, str]:
    sent = {"X-GitHub-Event": event, "X-GitHub-Delivery": "d-1", "X-Hub-Signature-256": f"sha256={signed(body)}"}
    return sent | headers


def gitea(body: bytes) -> dict[str, str]:
    return {"X-Gitea-Event": "push", "X-Gitea-Delivery": "d-2", "X-Gitea-Signature": signed(body)}


def gitlab(_body: bytes) -> dict[str, str]:
    return {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Event-UUID": "d-3", "X-Gitlab-Token": SECRET}


def body(**values: Any) -> bytes:
    return json.dumps({"ref": "refs/heads/main", **values}).encode()


@pytest.mark.parametrize("forge", [github, gitea, gitlab])
def test_each_forge_is_believed_with_its_secret(forge: Any) -> None:
    push = check(forge(body()), body(), ["old", SECRET], NOW)
    assert (push.forge, push.kind, push.name) == (forge.__name__, "branch", "main")
    with pytest.raises(PushRefused, match="wrong"):
        check(forge(body()), body(), ["another"], NOW)
    with pytest.raises(PushRefused):
        check(forge(body()), body(), ["", ""], NOW)


@pytest.mark.parametrize("forge", [github, gitea])
def test_a_changed_body_is_not_believed(forge: Any) -> None:
    with pytest.raises(PushRefused, match="wrong"):
        check(forge(body()), body(ref="refs/heads/evil"), [SECRET], NOW)


def test_a_message_without_signature_is_refused() -> None:
    with pytest.raises(PushRefused, match="no signature"):
        check({"X-GitHub-Event": "push"}, body(), [SECRET], NOW)


def test_a_repetition_is_known_by_its_id_and_by_its_body() -> None:
    first = check(github(body()), body(), [SECRET], NOW)
    forged = check(github(body(), **{"X-GitHub-Delivery": "another"}), body(), [SECRET], NOW)
    assert set(first.marks) & set(forged.marks)
    other = body(after="f" * 40)
    assert set(first.marks) & set(check(github(other), other, [SECRET], NOW).marks) == {"id:d-1"}


def test_old_messages_are_refused() -> None:
    old = body(repository={"pushed_at": NOW - REMEMBERED - 1})
    with pytest.raises(PushRefused, match="more than a week"):
        check(github(old), old, [SECRET], NOW)
    text = body(repository={"pushed_at": "2023-01-01T00:00:00+00:00"})
    with pytest.raises(PushRefused, match="more than a week"):
        check(github(text), text, [SECRET], NOW)
    new = body(repository={"pushed_at": NOW - 60})
    assert check(github(new), new, [SECRET], NOW).name == "main"


@pytest.mark.parametrize(
    ("event", "values", "expected"),
    [
        ("push", {"ref": "refs/tags/v1"}, ("tag", "v1")),
        ("create", {"ref": "v2", "ref_type": "tag"}, ("tag", "v2")),
        ("delete", {"ref": "old", "ref_type": "branch"}, ("branch", "old")),
        ("ping", {}, ("", "")),
        ("issues", {}, ("", "")),
        ("push", {"ref": "refs/pull/1/head"}, ("", "")),
        ("push", {"ref": ["refs/heads/main"]}, ("", "")),
    ],
)
def test_what_moved(event: str, values: dict[str, Any], expected: tuple[str, str]) -> None:
    sent = body(**values)
    push = check(github(sent, event), sent, [SECRET], NOW)
    assert (push.kind, push.name) == expected


@pytest.mark.parametrize("sent", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"payload=%7B%7D"])
def test_what_is_no_json_object_is_refused(sent: bytes) -> None:
    with pytest.raises(PushRefused, match="JSON"):
        check(github(sent), sent, [SECRET], NOW)


def test_an_impossible_delivery_id_is_refused() -> None:
    with pytest.raises(PushRefused, match="delivery id"):
        check(github(body(), **{"X-GitHub-Delivery": "x" * 101}), body(), [SECRET], NOW)


def test_a_push_is_a_value() -> None:
    assert Push("github", ("a",)) == Push("github", ("a",))
