"""The lineage page: the graph, and the same content as tables."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_the_graph_shows_what_the_model_was_made_from(open_page, picture):
    page = open_page("/dataset/titanic-train/lineage")
    graph = page.locator(".mlops-lineage-graph svg.mlops-lineage-canvas")
    expect(graph).to_be_visible()
    for label in ("openml.org", "fetch", "prepare", "train", "metrics"):
        expect(graph.locator("text", has_text=label).first).to_be_visible()
    picture(page, "lineage")


def test_a_node_leads_to_its_dataset(open_page):
    page = open_page("/dataset/titanic-train/lineage")
    page.locator('section a[href$="/dataset/titanic-prepare"]').first.click()
    expect(page).to_have_url(re.compile("/dataset/titanic-prepare$"))


def test_without_javascript_the_tables_tell_the_same(open_page, picture):
    page = open_page("/dataset/titanic-train/lineage", java_script_enabled=False)
    tables = page.locator("table.mlops-lineage-table")
    expect(tables.first).to_contain_text("data/train_prepared.csv")
    expect(tables.first).to_contain_text("data/train.csv")
    expect(page.locator(".mlops-lineage-graph")).to_be_hidden()
    picture(page, "lineage-without-javascript")


def test_fewer_steps_show_less(open_page):
    page = open_page("/dataset/titanic-train/lineage?direction=upstream&depth=1")
    tables = page.locator("table.mlops-lineage-table")
    expect(tables.first).to_contain_text("data/train_prepared.csv")
    expect(tables.first).not_to_contain_text("data/gender_submission.csv")


def test_it_is_readable_in_a_dark_window(open_page, picture):
    page = open_page("/dataset/titanic-train/lineage", color_scheme="dark")
    expect(page.locator(".mlops-lineage-graph svg.mlops-lineage-canvas")).to_be_visible()
    picture(page, "lineage-dark")
