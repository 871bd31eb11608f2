#!/usr/bin/env python3
"""Renew the pictures of README and docs from a portal that holds the demo.

    python3 scripts/portal.py demo --detach
    .venv-dev/bin/python scripts/pictures.py        # --home: the portal's folder, --browser: Chromium

Each is the part of a page that it is about, as a PNG of few colours.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tomllib
from pathlib import Path

import requests
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "images"
WIDTH, HEIGHT, COLOURS = 1200, 760, 96


def main() -> None:
    """See the text above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=ROOT / ".portal")
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args()
    settings = tomllib.loads((options.home / "portal.toml").read_text(encoding="utf-8"))
    who = json.loads((options.home / "credentials.json").read_text(encoding="utf-8"))
    portal = f"http://127.0.0.1:{settings['ckan']['port']}"
    answer = requests.get(f"{portal}/api/3/action/mlops_overview", timeout=60).json()
    repository = f"{portal}/repository/{answer['result']['repositories'][0]['id']}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, device_scale_factor=1)
        page.goto(f"{portal}/dataset/?q=titanic")
        keep(page, "search", page.locator(".wrapper"))
        page.goto(f"{portal}/dataset/titanic-prepare")
        keep(page, "dataset", page.locator(".wrapper"))
        page.goto(f"{portal}/dataset/titanic-train/lineage")
        page.locator("svg.mlops-lineage-canvas text", has_text="openml.org").first.wait_for()
        keep(page, "lineage", page.locator(".mlops-lineage-graph"))
        page.goto(f"{repository}/metrics?baseline=baseline&sort=accuracy&changed_only=1")
        keep(page, "metrics", page.locator(".wrapper"))
        page.goto(f"{repository}/plots?plot=plots/roc.csv&rev=main&rev=tensorflow&rev=random-forest")
        page.frame_locator("iframe.mlops-plots-frame").locator("main[data-drawn]").wait_for(timeout=60_000)
        keep(page, "plots", page.locator("iframe.mlops-plots-frame"))
        page.goto(f"{portal}/user/login")
        page.get_by_label("Username or Email").fill(who["user"])
        page.get_by_label("Password").fill(who["password"])
        page.get_by_role("main").get_by_role("button", name="Login").click()
        page.goto(f"{portal}/harvest/titanic-repository/job/last")
        keep(page, "harvest", page.locator(".wrapper"))
        browser.close()


def keep(page: Page, name: str, part: Locator) -> None:
    """Write the upper part of what is seen of ``part``."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # what moves has come to rest
    with Image.open(io.BytesIO(part.screenshot())) as taken:
        seen = taken.convert("RGB").crop((0, 0, taken.width, min(taken.height, HEIGHT)))
    path = FOLDER / f"{name}.png"
    seen.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
