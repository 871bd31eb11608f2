"""From a column's name to where the data came from, to the best run and a copy on the disk: the portal in one go."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

BOX = "#field-main-search"


@pytest.fixture
def looked_into(portal) -> None:
    """The worker that the demo asked to look into the tables is done."""
    deadline = time.monotonic() + 120
    address = f"{portal}/api/3/action/mlops_search_suggest?q=column:fam"
    while not requests.get(address, timeout=30).json()["result"]:
        assert time.monotonic() < deadline, "nobody looked into the tables"
        time.sleep(1)


def test_from_a_column_to_a_copy_of_the_data(open_page, portal, looked_into, picture, tmp_path: Path):
    # Find the prepared data by a column, with the keyboard.
    page = open_page("/")
    box = page.locator(BOX)
    box.focus()
    expect(box).to_have_role("combobox")
    page.keyboard.type("family")
    option = page.get_by_role("option", name=re.compile("family_size"))
    expect(option).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    picture(page, "suggestions")
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", option.get_attribute("id"))
    page.keyboard.press("Enter")
    expect(box).to_have_value("column:family_size ")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/dataset/\?q=column"))
    page.locator('[role=main] a[href$="/dataset/titanic-prepare"]').first.click()
    expect(page.locator(".mlops-box", has_text="DVC source")).to_contain_text("code/prepare.py")

    # See where it came from.
    page.get_by_role("link", name="Lineage").first.click()
    expect(page.locator("svg.mlops-lineage-canvas text", has_text="openml.org").first).to_be_visible()

    # Compare the baseline with the branch.
    page.goto(f"{portal}/dataset/titanic-prepare")
    page.get_by_role("link", name="its whole pipeline").click()
    page.get_by_role("link", name="Metrics").first.click()
    page.goto(page.url.split("?")[0] + "?baseline=baseline")
    row = page.locator("table.mlops-metrics tbody tr", has_text="tensorflow")
    expect(row.first).to_contain_text("0.84")
    expect(row.first.locator(".mlops-delta").first).to_contain_text(re.compile(r"\D?0\.\d"))
    picture(page, "metrics-baseline-and-branch")

    # The best run leads into MLflow.
    page.goto(f"{portal}/dataset/titanic-train/leaderboard")
    link = page.locator('[role=main] a[href*="/runs/"]').first
    assert re.search(r"/#/experiments/\d+/runs/[0-9a-f]{32}$", link.get_attribute("href") or "")

    # Copy the command and run it.
    page.goto(f"{portal}/dataset/titanic-prepare")
    command = page.locator(".mlops-get pre code").first.inner_text()
    assert command.startswith("ckan-mlops get titanic-prepare")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(shlex.split(command), cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    [copy] = tmp_path.rglob("train_prepared.csv")
    assert "family_size" in copy.read_text().splitlines()[0]


def test_escape_closes_and_a_chosen_dataset_is_opened(open_page):
    page = open_page("/dataset/")
    box = page.locator("#field-giant-search")
    box.focus()
    page.keyboard.type("titanic-prep")
    listbox = page.get_by_role("listbox")
    expect(listbox).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="suggestions")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(listbox).to_be_hidden()
    expect(box).to_have_value("titanic-prep")
    page.keyboard.press("ArrowDown")
    page.get_by_role("option", name=re.compile("prepare", re.IGNORECASE)).first.click()
    expect(page).to_have_url(re.compile("/dataset/titanic-prepare$"))


def test_similar_datasets_come_when_they_are_scrolled_to(open_page):
    page = open_page("/dataset/titanic-train")
    page.locator(".mlops-later").scroll_into_view_if_needed()
    expect(page.locator(".mlops-later")).to_have_count(0)


def test_a_search_is_saved_and_deleted(open_page, portal, picture):
    page = open_page("/user/login")
    page.get_by_label("Username or Email").fill(portal.user)
    page.get_by_label("Password").fill(portal.password)
    page.get_by_role("main").get_by_role("button", name="Login").click()
    page.goto(f"{portal}/dataset/?q=stage:train")
    page.get_by_role("button", name="Tell me of new versions").click()
    main = page.get_by_role("main")
    expect(main.get_by_role("link", name="stage:train")).to_be_visible()
    picture(page, "saved-searches")
    main.get_by_role("button", name="Delete the search stage:train").click()
    expect(main).to_contain_text("You saved no search yet")
