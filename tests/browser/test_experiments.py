"""The experiments page: runs, their metrics, and the way into MLflow."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def sign_in(page, portal):
    page.goto(portal.url + "/user/login")
    page.get_by_label("Username or Email").fill(portal.user)
    page.get_by_label("Password").fill(portal.password)
    page.get_by_role("main").get_by_role("button", name="Login").click()


def test_runs_with_their_metrics_are_listed(open_page, picture):
    page = open_page("/dataset/titanic-train/experiments")
    main = page.get_by_role("main")
    expect(main.locator("table").first).to_contain_text(re.compile("accuracy", re.IGNORECASE))
    expect(main.locator("table").first).to_contain_text(re.compile(r"0\.\d{2,}"))
    picture(page, "experiments")


def test_a_run_leads_to_its_page_in_mlflow(open_page):
    page = open_page("/dataset/titanic-train/experiments")
    link = page.locator('[role=main] a[href*="/runs/"]').first
    expect(link).to_be_visible()
    assert re.search(r"/#/experiments/\d+/runs/[0-9a-f]{32}$", link.get_attribute("href") or "")


def test_visitors_get_no_form_and_editors_do(open_page, portal, picture):
    page = open_page("/dataset/titanic-train/experiments")
    expect(page.locator('[role=main] form[method="post"]')).to_have_count(0)
    sign_in(page, portal)
    page.goto(portal.url + "/dataset/titanic-train/experiments")
    expect(page.locator('[role=main] form[method="post"]').first).to_be_visible()
    picture(page, "experiments-editor")


def test_names_are_offered_while_an_editor_types(open_page, portal):
    page = open_page("/dataset/titanic-train/experiments")
    sign_in(page, portal)
    page.goto(portal.url + "/dataset/titanic-train/experiments")
    page.locator(".mlops-link-form summary").click()
    target = page.get_by_label("Name or id")
    for kind, typed, offered in (("experiment", "tita", "titanic"), ("run", "forest", "random_forest")):
        page.get_by_label("What", exact=True).select_option(kind)
        target.fill("")
        target.press_sequentially(typed)
        option = page.locator("datalist option").first
        expect(option).to_have_attribute("value" if kind == "experiment" else "label", re.compile(offered))
