"""Whatever a program sends as an argument of an action, the answer is a refusal in words, never a broken server."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import pytest
from ckan import model
from ckan.tests import helpers

from ckanext.mlops.logic import action as actions

NAMES = sorted(name for name in actions.__all__ if name.startswith("mlops_"))
#: As JSON, which Python's reader takes more of than the standard says.
VALUES = (
    '"a\\u0000b"',
    '"\\ud800"',
    '"{!func}x"',
    json.dumps("x" * 40_000),
    "Infinity",
    str(10**30),
    "-1",
    "null",
    '["a\\u0000b"]',
    '[{"id": {}}]',
    '{"a": [1]}',
)


def parameters(name: str) -> list[str]:
    """What the help of an action names."""
    return re.findall(r"^\s*:param (\w+):", inspect.getdoc(getattr(actions, name)) or "", re.MULTILINE)


@pytest.fixture
def send(app: helpers.CKANTestApp, people: Any) -> Any:
    """Call an action with JSON text as a sysadmin; the status."""

    def call(name: str, text: str) -> int:
        headers = {**people.sysadmin.headers, "Content-Type": "application/json"}
        response = app.post(f"/api/3/action/{name}", data=text.encode(), headers=headers, follow_redirects=False)
        return int(response.status_code)

    return call


@pytest.fixture
def sound(make_dataset: Any) -> dict[str, Any]:
    """Values that the other arguments have meanwhile."""
    package = make_dataset(name="titanic", dvc_repository="https://git.example/o/titanic", dvc_stage="train")
    return {"id": package["id"], "server": "lab", "q": "titanic", "query": "q=titanic", "field": "title"}


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_may_be_anything(name: str, send: Any, sound: dict[str, Any]) -> None:
    broken = []
    names = parameters(name)
    for argument in names:
        others = {key: json.dumps(value) for key, value in sound.items() if key in names and key != argument}
        for value in VALUES:
            text = "{" + ", ".join(f'"{key}": {each}' for key, each in (others | {argument: value}).items()) + "}"
            try:
                status = send(name, text)
            except Exception as error:  # the test client passes on what a server would answer with 500
                broken.append((argument, value[:30], f"{type(error).__name__}: {str(error)[:90]}"))
                model.Session.rollback()
                continue
            if status >= 500:
                broken.append((argument, value[:30], str(status)))
    assert not broken, "\n".join(map(str, broken))
