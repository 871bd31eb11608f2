"""The versions page: every branch and tag, and what each achieved."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_branches_and_tags_are_badges_of_their_versions(open_page, picture):
    page = open_page("/dataset/titanic-train/versions")
    table = page.locator("table.mlops-versions")
    expect(table).to_contain_text("tensorflow")
    expect(table).to_contain_text(re.compile("master|main"))
    picture(page, "versions")


def test_the_metrics_of_the_default_branch_are_shown(open_page):
    page = open_page("/dataset/titanic-metrics/versions")
    expect(page.locator("table.mlops-versions")).to_contain_text(re.compile(r"accuracy\s*0\.\d+", re.IGNORECASE))


def test_the_stage_files_of_dvc_0_keep_their_tags_and_metrics(open_page, picture):
    page = open_page("/dataset/titanic-dvcfile/versions")
    rows = page.locator("table.mlops-versions tbody tr")
    expect(rows.filter(has_text="wrong-baseline")).to_contain_text(re.compile(r"accuracy\s*0\.9\d+"))
    expect(rows.filter(has_text=re.compile(r"\bbaseline\b")).first).to_contain_text(re.compile(r"accuracy\s*0\.8\d+"))
    picture(page, "versions-of-dvc-0")


def test_a_version_has_a_page_of_its_own(open_page, picture):
    page = open_page("/dataset/titanic-train/versions")
    page.locator('table.mlops-versions a[href*="/versions/"]').first.click()
    expect(page.get_by_role("main")).to_contain_text("models/model.pkl")
    picture(page, "version")
