"""The demo's portal as a person sees it: Chromium, and what it complained about.

``MLOPS_PORTAL`` is the data folder of a running portal that holds the demo (``scripts/portal.py demo --detach``),
``MLOPS_CHROMIUM`` the browser, ``MLOPS_SCREENSHOTS`` the folder for pictures. ``scripts/check.py browser`` sets them.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

# A closed network refuses the browser's own background requests, many at a time.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Portal:
    """Where the portal is, and who may change it."""

    url: str
    user: str
    password: str

    def __str__(self) -> str:
        return self.url


@pytest.fixture(scope="session")
def portal() -> Portal:
    home = Path(os.environ["MLOPS_PORTAL"])
    settings = tomllib.loads((home / "portal.toml").read_text(encoding="utf-8"))
    credentials = json.loads((home / "credentials.json").read_text(encoding="utf-8"))
    return Portal(f"http://127.0.0.1:{settings['ckan']['port']}", credentials["user"], credentials["password"])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=os.environ["MLOPS_CHROMIUM"], args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def complaints() -> list[str]:
    """Errors of scripts, of the console, and of requests; empty it where one is meant."""
    return []


@pytest.fixture
def open_page(browser: Browser, portal: Portal, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Open a page of the portal; options are those of Playwright's new_context. Fails the test on any complaint."""
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            complaints.append(f"{response.status} {response.url}")

    def broken(request: Request) -> None:
        # Leaving a page aborts what it still loads.
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"{request.failure}: {request.url}")

    def open_path(path: str = "/", **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("response", answered)
        page.on("requestfailed", broken)
        page.goto(portal.url + path)
        return page

    yield open_path
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Leave a screenshot of the whole page."""
    folder = Path(os.environ["MLOPS_SCREENSHOTS"])

    def take(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return take


@pytest.fixture
def act(portal: Portal) -> Callable[..., Any]:
    """Call an action as the demo's sysadmin."""
    credentials = json.loads((Path(os.environ["MLOPS_PORTAL"]) / "credentials.json").read_text(encoding="utf-8"))

    def call(action: str, **values: object) -> Any:
        headers = {"Authorization": credentials["api_token"]}
        answer = requests.post(f"{portal.url}/api/3/action/{action}", json=values, headers=headers, timeout=60)
        return answer.json().get("result")

    return call


@pytest.fixture
def signed_in(open_page: Callable[..., Page], portal: Portal) -> Page:
    """A page of who is signed in as the demo's sysadmin."""
    page = open_page("/user/login")
    page.fill("#field-login", portal.user)
    page.fill("#field-password", portal.password)
    page.click("form .btn-primary")
    return page
