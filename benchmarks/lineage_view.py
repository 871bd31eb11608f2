"""How fluid the drawn lineage is: 300 nodes at once, and 5,000 that are reached by opening nodes.

    python benchmarks/lineage_view.py [--small] [--chromium PATH]

The built script and style sheet run in Chromium on a page that is served here, over a synthetic pipeline (layers, two
inputs each; opened nodes bring 50 more). What is measured: from navigation to the drawn graph (``ready_ms``), the
times between frames while a person drags and zooms (``frame_ms``: median and 95th percentile), and how long opening a
node takes (``open_ms``). The last line is one JSON object; ``frames_per_60hz`` is the 95th percentile of a frame
against 1/60 s, so 1 is perfectly fluid. Software rendering, without a graphics card.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1] / "ckanext-mlops"
ASSETS = ROOT / "ckanext" / "mlops" / "assets"
FAN_OUT = 50
WORDS = {"roles": {"data": "Dataset"}, "origins": {"harvested": "harvested"}, "origin_hints": {}, "changes": {}}
PAGE = """<!doctype html><meta charset="utf-8"><style>
:root {{ --bs-body-bg: #fff; --bs-body-color: #222; --bs-border-color: #ccc; --bs-secondary-color: #666; }}
[hidden] {{ display: none !important; }}</style>
<link rel="stylesheet" href="/lineage.css">
<div class="mlops-lineage-graph" data-address="/graph" data-own="{{}}" hidden>
<script type="application/json" class="mlops-lineage-data">{graph}</script>
<script type="application/json" class="mlops-lineage-words">{words}</script></div>
<script>window.ckan = {{ module: (name, make) => {{
  const module = make(); module.el = [document.querySelector(".mlops-lineage-graph")]; module.initialize();
  window.ready = performance.now(); }} }};</script>
<script src="/lineage.js"></script>"""
FRAMES = """async ({ steps, zooming }) => {
  const canvas = document.querySelector(".mlops-lineage-canvas"), box = canvas.getBoundingClientRect(), times = [];
  const at = (x, y, type, target = window) => target.dispatchEvent(new MouseEvent(type,
    { bubbles: true, view: window, clientX: box.x + x, clientY: box.y + y, button: 0, buttons: 1 }));
  let before = performance.now();
  if (!zooming) at(300, 150, "mousedown", canvas);
  for (let i = 0; i < steps; i++) {
    if (zooming) canvas.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true, ctrlKey: true,
      deltaY: i % 40 < 20 ? 4 : -4, clientX: box.x + 300, clientY: box.y + 150 }));
    else at(300 + 120 * Math.sin(i / 8), 150 + 60 * Math.cos(i / 8), "mousemove");
    await new Promise(requestAnimationFrame);
    const now = performance.now(); times.push(now - before); before = now;
  }
  if (!zooming) at(300, 150, "mouseup");
  return times.slice(2);
}"""


def node(number: int, distance: int, more: bool) -> dict[str, Any]:
    """A node as the page's address gives it."""
    sides = {"upstream": False, "downstream": more}
    return {
        "id": f"n{number}",
        "key": f"k{number:07d}",
        "kind": "dataset",
        "role": "data",
        "name": f"node-{number}",
        "title": f"Pipeline {number % 7}: step {number}",
        "distance": distance,
        "upstream_distance": None,
        "downstream_distance": distance or None,
        "more": sides,
        "folded": [],
    }


def edge(up: int, down: int) -> dict[str, Any]:
    """An edge between two of them."""
    return {"upstream": f"n{up}", "downstream": f"n{down}", "origin": "harvested", "path": f"data/{up}.csv"}


def layered(count: int, layers: int = 10) -> dict[str, Any]:
    """A pipeline of ``count`` nodes in layers, two inputs each; the last layer goes on."""
    width = (count - 1) // layers + 1
    layer = [0] + [1 + (number - 1) // width for number in range(1, count)]
    inputs = {
        number: {0}
        if layer[number] == 1
        else {number - width, max(1 + (layer[number] - 2) * width, number - width - 1)}
        for number in range(1, count)
    }
    nodes = [node(number, layer[number], more=layer[number] == max(layer)) for number in range(count)]
    return {"focus": "n0", "nodes": nodes, "edges": [edge(up, down) for down, ups in inputs.items() for up in ups]}


def serve(count: int) -> ThreadingHTTPServer:
    """The page of ``count`` nodes, the assets, and what is opened."""
    fresh = iter(range(count, 10**9))
    page = PAGE.format(graph=json.dumps(layered(count)), words=json.dumps(WORDS)).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path == "/graph":
                number = int(urllib.parse.parse_qs(query)["id"][0][1:])
                found = [next(fresh) for _ in range(FAN_OUT)]
                graph = {
                    "nodes": [node(number, 0, False), *(node(each, 1, True) for each in found)],
                    "edges": [edge(number, each) for each in found],
                }
                self.answer(json.dumps(graph).encode(), "application/json")
            elif path.startswith("/lineage."):
                kind = "text/css" if path.endswith("css") else "text/javascript"
                self.answer((ASSETS / path[1:]).read_bytes(), kind)
            else:
                self.answer(page, "text/html")

        def answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def frames(page: Page, steps: int) -> dict[str, float]:
    """Median and 95th percentile between frames, in ms, while dragging and zooming."""
    times = [each for zooming in (False, True) for each in page.evaluate(FRAMES, {"steps": steps, "zooming": zooming})]
    return {"p50": round(statistics.median(times), 1), "p95": round(statistics.quantiles(times, n=20)[-1], 1)}


def measure(open_page: Callable[[], Page], goal: int, steps: int, report: Callable[[str], None]) -> dict[str, Any]:
    """A page; with ``goal``, after nodes were opened until it has so many."""
    page = open_page()
    result: dict[str, Any] = {"ready_ms": round(page.evaluate("window.ready"))}
    opened = []
    while (have := page.evaluate("document.querySelector('.mlops-lineage-graph').lineage.byId.size")) < goal:
        opened.append(
            page.evaluate(
                """async () => {
                  const lineage = document.querySelector('.mlops-lineage-graph').lineage, begin = performance.now();
                  lineage.refresh = () => {};
                  const next = [...lineage.byId.values()].find((node) => node.more.downstream);
                  await lineage.act(next.id, 'downstream');
                  await new Promise(requestAnimationFrame);
                  return performance.now() - begin;
                }"""
            )
        )
    if opened:
        result["open_ms"] = {"p50": round(statistics.median(opened)), "max": round(max(opened))}
    result["nodes"] = have
    page.evaluate("document.querySelector('.mlops-lineage-graph').lineage.view.begin('n0')")
    result["frame_ms"] = frames(page, steps)
    page.evaluate("document.querySelector('.mlops-lineage-graph').lineage.view.fit()")
    result["frame_far_ms"] = frames(page, steps)
    report(json.dumps(result))
    return result


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--small", action="store_true", help="a quick look")
    options.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    given = options.parse_args()
    if not given.chromium:
        sys.exit("no Chromium on this machine: give --chromium PATH")
    steps = 40 if given.small else 200
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"])
        print(f"Chromium {browser.version}, window of 1280 x 900")
        server = serve(300)

        def opened() -> Page:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.on("pageerror", lambda error: sys.exit(f"script: {error}"))
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.wait_for_function("window.ready")
            return page

        usual = measure(opened, 0, steps, print)
        large = measure(opened, 1000 if given.small else 5000, steps, print)
        browser.close()
        server.shutdown()
    hertz = 1000 / 60
    print(
        json.dumps(
            {
                "nodes_300": usual,
                "nodes_5000": large,
                "frames_per_60hz": {
                    "nodes_300": round(usual["frame_ms"]["p95"] / hertz, 2),
                    "nodes_5000": round(large["frame_ms"]["p95"] / hertz, 2),
                    "nodes_5000_far": round(large["frame_far_ms"]["p95"] / hertz, 2),
                },
            }
        )
    )


if __name__ == "__main__":
    main()
