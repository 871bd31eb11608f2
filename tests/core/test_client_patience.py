"""What the client asks again, and what it does not: a stand-in answers, because no portal fails on demand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.client import ClientError, Portal, Refused

OK = json.dumps({"success": True, "result": {"hash": "x"}}).encode()
NO = json.dumps({"success": False, "error": {"__type": "Authorization Error", "message": "Access denied"}}).encode()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def portal(stand: Any, waits: list[float]) -> Portal:
    return Portal(stand.url, "s3cret", retries=3, sleep=waits.append)


def answers(stand: Any, *each: tuple[int, bytes, dict[str, str]]) -> None:
    queue = list(each)

    def answer(handler: Any) -> None:
        status, body, headers = queue.pop(0) if len(queue) > 1 else queue[0]
        stand.reply(handler, status, body, **headers)

    stand.answer = answer


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_portal_that_is_away_is_asked_again(stand: Any, portal: Portal, waits: list[float], status: int) -> None:
    answers(stand, (status, b"busy", {}), (status, b"busy", {}), (200, OK, {}))
    assert portal.action("package_show", id="x") == {"hash": "x"}
    assert len(stand.requests) == 3
    assert 0 < waits[0] < waits[1]


def test_a_file_is_sent_again_from_its_beginning_and_when_the_portal_says(
    stand: Any, portal: Portal, waits: list[float], tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("content")
    answers(stand, (503, b"", {"Retry_After": "7"}), (200, OK, {}))
    portal.send_file("resource_patch", tmp_path / "x.csv", {"id": "x"})
    assert waits == [7.0]
    assert [body.count(b"content") for _, _, body in stand.requests] == [1, 1]


def test_a_refusal_is_final_and_named(stand: Any, portal: Portal, waits: list[float]) -> None:
    answers(stand, (403, NO, {}))
    with pytest.raises(Refused, match="you may not") as caught:
        portal.action("package_show", id="x")
    assert (caught.value.status, len(stand.requests), waits) == (403, 1, [])
    assert "s3cret" not in str(caught.value)


def test_what_does_not_come_back_is_given_up(stand: Any, waits: list[float]) -> None:
    portal = Portal("http://127.0.0.1:1", retries=2, sleep=waits.append)
    with pytest.raises(ClientError, match=r"127\.0\.0\.1:1 cannot be reached"):
        portal.action("package_show", id="x")
    assert len(waits) == 2


def test_a_page_that_is_no_portal_is_named(stand: Any, portal: Portal) -> None:
    answers(stand, (200, b"<html>welcome</html>", {}))
    with pytest.raises(ClientError, match="is no portal"):
        portal.action("package_show", id="x")


@pytest.mark.parametrize("url", ["portal.example", "ftp://portal.example", ""])
def test_an_address_without_a_scheme_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="begins with https"):
        Portal(url)
