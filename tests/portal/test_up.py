"""`up`: everything runs, is reachable from this machine only, and keeps its secrets."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import requests
from bs4 import BeautifulSoup

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest

NAMES = {"postgres", "redis", "solr", "mlflow", "ckan", "worker", "gather", "fetch", "timer"}


def test_status_says_what_runs_where_since_when_and_how_healthy(portal: PortalUnderTest) -> None:
    result = portal.command("status", "--json")
    found = json.loads(result.stdout)

    assert result.returncode == 0
    assert found["healthy"]
    assert {service["name"] for service in found["services"]} == NAMES
    for service in found["services"]:
        assert psutil.pid_exists(service["pid"])
        assert service["since"].endswith("+00:00")
    assert portal.services()["ckan"]["address"] == portal.url
    table = portal.command("status").stdout
    assert portal.url in table
    assert table.count("healthy") == len(NAMES)


def test_ckan_answers_with_the_plugins_and_the_saved_token_is_a_sysadmins(portal: PortalUnderTest) -> None:
    assert requests.get(portal.url, timeout=60).ok
    assert {"mlops", "dvc_harvester", "harvest"} <= set(portal.api("status_show")["extensions"])

    me = portal.api("user_show", id=portal.credentials["user"])

    assert me["sysadmin"]


def test_the_printed_password_signs_in(portal: PortalUnderTest) -> None:
    password = portal.credentials["password"]
    assert f"admin / {password}" in portal.said()
    with requests.Session() as browser:
        page = browser.get(f"{portal.url}/user/login", timeout=60).text
        (field, *_) = BeautifulSoup(page, "html.parser").select("input[name=_csrf_token]")
        token = field["value"]
        data = {"login": "admin", "password": password, "_csrf_token": token}

        answer = browser.post(f"{portal.url}/user/login", data=data, timeout=60)

        assert answer.ok, answer.text
        assert "/user/admin" in browser.get(portal.url, timeout=60).text


def test_only_loopback_is_listened_on(portal: PortalUnderTest) -> None:
    numbers = {process.pid for process in portal.processes()}
    listening = [
        connection.laddr.ip
        for connection in psutil.net_connections("inet")
        if connection.pid in numbers and connection.laddr and connection.status == psutil.CONN_LISTEN
    ]

    assert len(listening) >= 5
    assert set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def _secrets(portal: PortalUnderTest) -> list[str]:
    kept = json.loads((portal.home / "secrets.json").read_text())
    return [*kept.values(), portal.credentials["password"], portal.credentials["api_token"]]


def test_files_with_secrets_are_the_owners_only(portal: PortalUnderTest) -> None:
    holders: set[Path] = set()
    for path in portal.home.rglob("*"):
        if path.is_file() and path.stat().st_size < 1_000_000:
            content = path.read_bytes()
            if any(secret.encode() in content for secret in _secrets(portal)):
                holders.add(path)

    assert {"secrets.json", "credentials.json", "ckan.ini", "redis.conf"} <= {path.name for path in holders}
    for path in holders:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_no_secret_is_in_a_log_or_on_a_command_line(portal: PortalUnderTest) -> None:
    requests.get(f"{portal.url}/dataset/", timeout=60)
    said = [path.read_text(errors="replace") for path in (portal.home / "logs").iterdir()]
    said += [" ".join(process.cmdline()) for process in portal.processes()]

    assert len(said) > len(NAMES)
    for text in said:
        assert not any(secret in text for secret in _secrets(portal))
