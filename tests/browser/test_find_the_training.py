"""From the home page to the dataset of a training, as somebody who has never been here."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_a_visitor_finds_the_training_by_search_and_reads_where_it_comes_from(open_page, picture):
    page = open_page("/dataset/?q=train")
    picture(page, "search")
    page.get_by_role("link", name=re.compile("train", re.IGNORECASE)).first.wait_for()
    page.goto(page.url.split("/dataset")[0] + "/dataset/titanic-train")
    picture(page, "dataset")
    main = page.get_by_role("main")
    expect(main.get_by_text("python code/train.py")).to_be_visible()
    expect(main).to_contain_text(re.compile("Repository\\s+titanic"))
    expect(main).to_contain_text(re.compile(r"\b[0-9a-f]{7,}\b"))


def test_the_datasets_of_every_stage_are_there(open_page):
    page = open_page("/organization/titanic-demo")
    for stage in ("fetch", "prepare", "train", "metrics"):
        expect(page.locator(f'a[href$="/dataset/titanic-{stage}"]').first).to_be_visible()


def test_a_resource_page_tells_hash_size_kind_and_path(open_page, picture):
    page = open_page("/dataset/titanic-train")
    page.get_by_role("link", name=re.compile("model.pkl")).first.click()
    box = page.locator(".mlops-box", has_text="DVC file")
    expect(box).to_contain_text("models/model.pkl")
    expect(box).to_contain_text(re.compile(r"[0-9a-f]{32}"))
    expect(box).to_contain_text(re.compile("model", re.IGNORECASE))
    picture(page, "resource")


def test_the_home_page_opens_without_a_complaint(open_page, picture):
    page = open_page("/")
    expect(page.get_by_role("main")).to_be_visible()
    picture(page, "home")
